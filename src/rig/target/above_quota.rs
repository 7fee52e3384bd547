//! The rail that keeps a run from asking more of somebody's service than it allows: what the plan asks for is reckoned before
//! anything is sent. It refuses and does not slow down: an open workload that is held back is another workload, and its
//! latencies would be those of the brake.

use crate::domain::QuotaProfile;
use crate::engine::Plan;
use crate::engine::quota_check::{QuotaCheck, QuotaVerdict};
use crate::rig::quotas;
use crate::rig::target::EmulatorConfigError;
use crate::scenario::Scenario;

/// The plan asks for more than the quotas of a target that is not on this machine.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{target} is not on this machine, and the run asks for more than its quotas:\n- {}", reasons.join("\n- "))]
#[diagnostic(help(
    "let devices come more slowly (`fleetstorm plan` shows when they are too many), declare the quotas that you have in \
     `[quotas]` (those that are not declared are taken to be the defaults of DPS), or insist with --above-quota"
))]
pub struct AboveQuota {
    /// Whose.
    pub target: String,
    /// One for each quota, in words.
    pub reasons: Vec<String>,
}

/// Which quotas the whole run asks too much of, whichever shard this is: the service counts all of them. Quotas that the
/// scenario does not declare are those of DPS as it is made. First attempts alone: devices that are refused come again.
///
/// # Errors
/// The scenario's `[emulator]` is no configuration of the emulator.
pub(super) fn above_quota(scenario: &Scenario, seed: u64) -> Result<Vec<String>, EmulatorConfigError> {
    let limits = scenario.quotas.or(&QuotaProfile::DpsDefault.limits());
    let checks = quotas::checks(scenario, &Plan::new(scenario, seed), &limits)?;
    // Where the target decides when devices come, only so few that they all fit are known to.
    let too_much = |check: &&QuotaCheck| check.verdict != QuotaVerdict::Kept || check.later.is_some();
    Ok(checks.together.iter().filter(too_much).map(|check| quotas::words(check, scenario)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(devices: u32, stage: &str, quotas: &str) -> Vec<String> {
        let text = format!(
            "schema = 1\nname = 'x'\nfleet.devices = {devices}\ntarget = {{ address = 'dps.example', id_scope = '0ne1' }}\n\
             [quotas]\n{quotas}\n[[stage]]\nname = 'storm'\nkind = 'provision'\n{stage}\n"
        );
        above_quota(&Scenario::parse("x.toml", &text, &[]).unwrap(), 1).unwrap()
    }

    #[test]
    fn what_is_not_declared_is_the_default_of_dps() {
        assert!(reasons(400, "arrival = 'at-once'", "").is_empty());
        let found = reasons(600, "arrival = 'at-once'", "");
        assert!(matches!(found.as_slice(), [one] if one.contains("EXCEEDED") && one.contains("500")), "{found:?}");
        let declared = "certificates_per_minute = 2_000";
        assert!(reasons(600, "arrival = 'at-once'", declared).is_empty());
        // Only certificates were bought.
        let found = reasons(1_200, "arrival = 'at-once'", declared);
        assert!(matches!(found.as_slice(), [one] if one.contains("1,000 registrations")), "{found:?}");
    }

    #[test]
    fn arrivals_that_are_slow_enough_pass() {
        let stage = "arrival = { process = 'constant', rate = '8/s' }";
        assert!(reasons(5_000, stage, "").is_empty());
        assert!(!reasons(5_000, "arrival = { process = 'constant', rate = '12/s' }", "").is_empty());
    }

    #[test]
    fn a_closed_workload_passes_only_when_all_of_it_fits() {
        let stage = "workload = 'closed'\nconcurrency = 2";
        assert!(reasons(500, stage, "").is_empty());
        let found = reasons(501, stage, "");
        assert!(matches!(found.as_slice(), [one] if one.contains("unknown")), "{found:?}");
    }

    #[test]
    fn stages_beside_each_other_are_added_up() {
        let of_class = |name: &str, with: &str| {
            format!(
                "[[fleet.class]]\nname = '{name}'\n[[stage]]\nname = 'r{name}'\nkind = 'provision'\nclasses = ['{name}']\n{with}\n\
                 arrival = {{ process = 'spread', over = '150s' }}\n"
            )
        };
        let text = format!(
            "schema = 1\nname = 'x'\ntarget = {{ address = 'dps.example', id_scope = '0ne1' }}\n[fleet]\ndevices = 3000\n{}{}{}",
            of_class("a", ""),
            of_class("b", "with = 'ra'"),
            of_class("c", "with = 'ra'"),
        );
        let found = above_quota(&Scenario::parse("x.toml", &text, &[]).unwrap(), 1).unwrap();
        for (reason, allowed) in found.iter().zip(["1,000 registrations", "500 certificates"]) {
            let told = "up to 1,200 asked for (400 by ra, 400 by rb, 400 by rc)";
            assert!(reason.contains(allowed) && reason.contains(told) && reason.starts_with("EXCEEDED"), "{found:?}");
        }
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn devices_that_ask_too_often_are_too_much_however_few() {
        let found = reasons(1, "arrival = 'at-once'", "polls_per_10_seconds = 1");
        assert!(found.is_empty(), "{found:?}");
    }
}
