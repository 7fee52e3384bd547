//! What a plan asks of the quotas of its target, stage by stage.

use std::time::Duration;

use crate::cli::CommandError;
use crate::cli::emulator_config::EmulatorConfig;
use crate::domain::QuotaLimits;
use crate::engine::Plan;
use crate::engine::quota_check::{self, Demand, Polls, Quota, QuotaCheck};
use crate::report::units;
use crate::scenario::{DeviceClass, Scenario, TargetAddress};

/// Checks every stage of a plan against the quotas; quotas that no stage asks for are left out.
///
/// # Errors
/// The scenario's `[emulator]` is no configuration of the emulator.
pub fn checks(scenario: &Scenario, plan: &Plan, limits: &QuotaLimits) -> Result<Vec<Vec<QuotaCheck>>, CommandError> {
    let service = Service::of(scenario, plan.seed)?;
    let stages = scenario.stages.iter().zip(&plan.stages).enumerate();
    let checks = stages.map(|(index, (stage, planned))| {
        let classes = stage.classes.iter().filter_map(|class| scenario.fleet.classes.get(*class));
        let polls = classes.map(|class| service.polls(class)).max_by_key(|polls| polls.count);
        let connected = stays_connected(scenario, index);
        let demand = Demand::of(stage.kind, stage.hub_connect, connected, polls.unwrap_or_default());
        // Drawn once, looked at several times.
        let due: Option<Vec<Duration>> = planned.last_due.map(|_| plan.arrivals(index).collect());
        let due = due.as_ref().map(|due| due.iter().copied());
        quota_check::check(&demand, limits, planned.devices, due.as_ref())
    });
    Ok(checks.collect())
}

/// What a check came to, in one sentence.
pub fn words(check: &QuotaCheck) -> String {
    let QuotaCheck { quota, limit, period, needed: _, peak, over, first_over, shortest_spread } = check;
    let period = match period.as_secs() {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        _ => units::fleet_time(*period),
    };
    let allowed = format!("{} {} per {period} allowed", units::count((*limit).into()), quota.name());
    let spread = match shortest_spread {
        Some(spread) if spread.is_zero() => "all devices at once fit".to_owned(),
        Some(spread) => format!("evenly over {} they fit", units::fleet_time(enough(*spread))),
        None if *quota == Quota::Polls => "each device asks too often, whenever it comes".to_owned(),
        None => "no spread fits: one device needs more than that".to_owned(),
    };
    match (peak, first_over) {
        (None, _) => format!("unknown: {allowed}, the target decides when devices come; {spread}"),
        (Some(peak), None) => format!("kept: {allowed}, at most {} asked for", units::count(*peak)),
        (Some(peak), Some(first)) => {
            let when =
                if first.is_zero() { "at once".to_owned() } else { format!("after {}", units::fleet_time(*first)) };
            format!(
                "EXCEEDED {when}: {allowed}, up to {} asked for; {} refused at first; {spread}",
                units::count(*peak),
                devices(*over),
            )
        }
    }
}

/// That long or a little longer, so that what is printed fits: whole seconds, minutes or hours.
fn enough(spread: Duration) -> Duration {
    let step = match spread.as_secs() {
        0..60 => 1,
        60..3_600 => 5,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    let seconds = spread.as_secs() + u64::from(spread.subsec_nanos() > 0);
    Duration::from_secs(seconds.div_ceil(step) * step)
}

/// How long the service lets devices wait for their assignment.
struct Service {
    /// Fleet time.
    retry_after: Duration,
    /// Fleet time.
    assignment: Duration,
}

/// Whether devices hold a connection with their hub from an earlier stage.
fn stays_connected(scenario: &Scenario, index: usize) -> bool {
    let Some(classes) = scenario.stages.get(index).map(|stage| &stage.classes) else { return false };
    let before = scenario.stages.iter().take(index);
    before.filter(|stage| stage.keep_connected).any(|stage| classes.iter().all(|class| stage.classes.contains(class)))
}

impl Service {
    fn of(scenario: &Scenario, seed: u64) -> Result<Self, CommandError> {
        if scenario.target.address != TargetAddress::Embedded {
            // What DPS says; how long it works is not known.
            return Ok(Self { retry_after: Duration::from_secs(3), assignment: Duration::ZERO });
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
            assert_eq!(units::fleet_time(enough(Duration::from_secs_f64(seconds))), text);
        }
    }
}
