//! What a plan asks of the quotas of its target.

use crate::domain::{FleetTime, QuotaLimits};
use crate::engine::Plan;
use crate::engine::quota_check::{self, Polls, Quota, QuotaCheck, QuotaChecks, QuotaVerdict, StageCount};
use crate::report::units;
use crate::rig::target::{EmulatorConfig, EmulatorConfigError};
use crate::scenario::{DeviceClass, Scenario, TargetAddress};

/// Checks a plan against the quotas, for the whole fleet whichever shard it is of: the service counts what all of them ask for.
/// Quotas that nobody asks for are left out.
///
/// # Errors
/// The scenario's `[emulator]` is no configuration of the emulator.
pub fn checks(scenario: &Scenario, plan: &Plan, limits: &QuotaLimits) -> Result<QuotaChecks, EmulatorConfigError> {
    let service = Service::of(scenario, plan.seed)?;
    let polls: Vec<Polls> = scenario.fleet.classes.iter().map(|class| service.polls(class)).collect();
    if plan.shard.is_whole() {
        return Ok(quota_check::check(scenario, plan, limits, &polls));
    }
    Ok(quota_check::check(scenario, &Plan::new(scenario, plan.seed), limits, &polls))
}

/// What a check of a scenario's stages came to, in one sentence.
pub fn words(check: &QuotaCheck, scenario: &Scenario) -> String {
    let QuotaCheck { quota, limit, period, peak, first_over, .. } = check;
    let period = match period.as_secs() {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        _ => units::fleet_time(*period),
    };
    let mut allowed = format!("{} {} per {period} allowed", units::count((*limit).into()), quota.name());
    if check.most > u64::from(*limit) {
        allowed += &format!(", {} at once", units::count(check.most));
    }
    let by = match quota {
        // Of every device.
        Quota::Polls if scenario.stages.len() > 1 => format!(" in {}", listed(&check.peak_of, scenario)),
        Quota::Polls => String::new(),
        _ => by_whom(&check.peak_of, scenario),
    };
    let asked =
        |word: &str| peak.map(|peak| format!(", {word} {} asked for{by}", units::count(peak))).unwrap_or_default();
    match check.verdict {
        QuotaVerdict::Kept => match (peak, &check.later) {
            (None, _) => format!("kept: {allowed}, {} asked for altogether", units::count(check.needed)),
            (Some(_), None) => format!("kept: {allowed}{}", asked("at most")),
            (Some(_), Some(later)) => format!(
                "may be EXCEEDED: {allowed}{}, but up to {} when {} begins {} later than it could",
                asked("at most"),
                units::count(later.peak),
                name(later.stage, scenario),
                units::fleet_time(later.by),
            ),
        },
        QuotaVerdict::Unknown => {
            let whose = listed(&check.untimed, scenario);
            let asked = asked("at most");
            let spread = spread(check);
            format!("unknown: {allowed}{asked}, the target decides when devices of {whose} come; {spread}")
        }
        QuotaVerdict::Exceeded => {
            let when = match first_over {
                Some(first) if !first.is_zero() => format!("after {}", units::fleet_time(*first)),
                _ => "at once".to_owned(),
            };
            let refused = match check.over {
                0 => "refused only where none may be saved up before, as the emulator lets them".to_owned(),
                over => format!("{} refused at first{}", devices(over), of_whom(&check.over_of, scenario)),
            };
            format!("EXCEEDED {when}: {allowed}{}; {refused}; {}", asked("up to"), spread(check))
        }
    }
}

/// What would be kept.
fn spread(check: &QuotaCheck) -> String {
    let who = match check.peak_of.len().max(check.untimed.len()) {
        0 | 1 => "they".to_owned(),
        _ => format!("all {}", units::count(check.together)),
    };
    match check.shortest_spread {
        Some(spread) if spread.is_zero() => "all devices at once fit".to_owned(),
        Some(spread) => format!("evenly over {} {who} fit", units::fleet_time(enough(spread))),
        None if check.quota == Quota::Polls => "each device asks too often, whenever it comes".to_owned(),
        None => "no spread fits: one device needs more than that".to_owned(),
    }
}

/// Whose a peak is, where that does not go without saying.
fn by_whom(shares: &[StageCount], scenario: &Scenario) -> String {
    match shares {
        _ if scenario.stages.len() == 1 => String::new(),
        [] => String::new(),
        [only] => format!(" by {}", name(only.stage, scenario)),
        several => {
            let each =
                several.iter().map(|share| format!("{} by {}", units::count(share.count), name(share.stage, scenario)));
            format!(" ({})", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn of_whom(shares: &[StageCount], scenario: &Scenario) -> String {
    match shares {
        [] | [_] => String::new(),
        several => {
            let each =
                several.iter().map(|share| format!("{} of {}", units::count(share.count), name(share.stage, scenario)));
            format!(" ({})", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn listed(shares: &[StageCount], scenario: &Scenario) -> String {
    units::listed(&shares.iter().map(|share| name(share.stage, scenario)).collect::<Vec<_>>())
}

fn name(stage: usize, scenario: &Scenario) -> &str {
    scenario.stages.get(stage).map_or("", |stage| stage.name.as_str())
}

/// That long or a little longer, so that what is printed fits: whole seconds, minutes or hours.
fn enough(spread: FleetTime) -> FleetTime {
    let step = match spread.as_secs() {
        0..60 => 1,
        60..3_600 => 5,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    let seconds = spread.as_secs() + u64::from(spread.length().subsec_nanos() > 0);
    FleetTime::from_secs(seconds.div_ceil(step) * step)
}

/// How long the service lets devices wait for their assignment.
struct Service {
    retry_after: FleetTime,
    assignment: FleetTime,
}

impl Service {
    fn of(scenario: &Scenario, seed: u64) -> Result<Self, EmulatorConfigError> {
        if scenario.target.address != TargetAddress::Embedded {
            // What DPS says; how long it works is not known.
            return Ok(Self { retry_after: FleetTime::from_secs(3), assignment: FleetTime::ZERO });
        }
        let config = EmulatorConfig::new(scenario, None, seed)?;
        Ok(Self {
            retry_after: config.retry_after(),
            assignment: scenario.time_scale.to_fleet(config.typical_assignment()),
        })
    }

    fn polls(&self, class: &DeviceClass) -> Polls {
        let behaviour = &class.behaviour;
        let every = if behaviour.honours_retry_after { self.retry_after } else { behaviour.default_wait };
        Polls::until_assigned(self.assignment, every)
    }
}

fn devices(count: u64) -> String {
    format!("{} {}", units::count(count), if count == 1 { "device" } else { "devices" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_that_is_printed_is_long_enough_and_not_much_longer() {
        for (seconds, text) in
            [(240.001, "4 min 5 s"), (49.5, "50 s"), (4_001.0, "1 h 7 min"), (119_880.0, "1 day 10 h")]
        {
            assert_eq!(units::fleet_time(enough(FleetTime::try_from_secs_f64(seconds).unwrap())), text);
        }
    }
}
