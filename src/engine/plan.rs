use std::time::Duration;

use crate::domain::RegistrationId;
use crate::engine::share::open_files_for;
use crate::scenario::{Arrival, DueOffsets, IdPattern, Scenario, Stage, StageKind, Workload};

/// What a run will do, derived from scenario and seed alone: the same two give the same plan and the same devices.
/// Making it starts nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of all random draws.
    pub seed: u64,
    /// Devices of the fleet.
    pub devices: u32,
    /// The stages in order.
    pub stages: Vec<PlannedStage>,
    /// What it needs of the machine.
    pub needs: Needs,
    ids: IdPattern,
    /// Per stage; `None` in a closed workload.
    processes: Vec<Option<Arrival>>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStage {
    /// Name of the stage.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// Workload and arrival process in words.
    pub workload: String,
    /// Devices that take part.
    pub devices: u32,
    /// When the last device is due, from the start of the stage; `None` in a closed workload.
    pub last_due: Option<Duration>,
    /// Devices due per step of time, for a drawing; empty in a closed workload.
    pub arrivals: Vec<u32>,
    /// Length of one step of `arrivals`.
    pub step: Duration,
    /// Most devices due within one second of the stage; `None` in a closed workload.
    pub peak_per_second: Option<u32>,
}

/// What a plan needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Key pairs, CSRs and SAS tokens to make.
    pub keys: u64,
    /// Most attempts in flight at once if the service answered nothing, bounded by `limits.max_in_flight`.
    pub in_flight: u64,
    /// Open files for that. With fewer, less is in flight and devices that are due wait.
    pub open_files: u64,
}

/// Steps of [`PlannedStage::arrivals`].
const STEPS: u32 = 60;

impl Plan {
    /// Derives the plan.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        let devices = scenario.fleet.devices;
        let stages: Vec<PlannedStage> = scenario.stages.iter().map(|s| PlannedStage::new(s, devices)).collect();
        let wanted = scenario.stages.iter().map(|s| most_in_flight(s, devices)).max().unwrap_or_default();
        let process = |stage: &Stage| match &stage.workload {
            Workload::Open { arrival, .. } => Some(arrival.clone()),
            Workload::Closed { .. } => None,
        };
        let processes = scenario.stages.iter().map(process).collect();
        let in_flight = u64::from(scenario.limits.max_in_flight.map_or(wanted, |max| max.min(wanted)));
        let keys = u64::from(devices) * stages.len() as u64;
        let needs = Needs { keys, in_flight, open_files: open_files_for(in_flight) };
        Self { seed, devices, stages, needs, ids: scenario.fleet.registration_id.clone(), processes }
    }

    /// Registration id of a device of the fleet, `None` past its end.
    pub fn registration_id(&self, device: u32) -> Option<RegistrationId> {
        (device < self.devices).then(|| self.ids.registration_id(device).ok()).flatten()
    }

    /// When each device of a stage is due, in order, from the start of the stage; `None` in a closed workload or past
    /// the last stage.
    pub fn due_offsets(&self, stage: usize) -> Option<DueOffsets> {
        let arrival = self.processes.get(stage)?.as_ref()?;
        arrival.due_offsets(self.devices, self.seed, u16::try_from(stage).unwrap_or(u16::MAX))
    }
}

impl PlannedStage {
    fn new(stage: &Stage, devices: u32) -> Self {
        let planned = Self {
            name: stage.name.clone(),
            kind: stage.kind,
            workload: stage.workload.to_string(),
            devices,
            last_due: None,
            arrivals: Vec::new(),
            step: Duration::ZERO,
            peak_per_second: None,
        };
        match &stage.workload {
            Workload::Closed { .. } => planned,
            Workload::Open { arrival, .. } => {
                let due = || arrival.due_offsets(devices, 0, 0).into_iter().flatten();
                let last = due().last().unwrap_or_default();
                let (arrivals, step) = steps(due(), last);
                Self {
                    last_due: Some(last),
                    arrivals,
                    step,
                    peak_per_second: Some(most_within(due(), Duration::from_secs(1))),
                    ..planned
                }
            }
        }
    }
}

/// Most attempts in flight at once if the service answered nothing.
fn most_in_flight(stage: &Stage, devices: u32) -> u32 {
    match &stage.workload {
        Workload::Closed { concurrency } => (*concurrency).min(devices),
        Workload::Open { arrival, .. } => {
            most_within(arrival.due_offsets(devices, 0, 0).into_iter().flatten(), stage.timeout)
        }
    }
}

/// Counts per step; one step of a second when everything is due at once.
fn steps(due: impl Iterator<Item = Duration>, last: Duration) -> (Vec<u32>, Duration) {
    if last.is_zero() {
        return (vec![u32::try_from(due.count()).unwrap_or(u32::MAX)], Duration::from_secs(1));
    }
    // A nanosecond more, so that the last arrival falls into the last step.
    let step = last / STEPS + Duration::from_nanos(1);
    let mut counts = vec![0; STEPS as usize];
    for offset in due {
        let index = usize::try_from(offset.as_nanos() / step.as_nanos()).unwrap_or(usize::MAX);
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    }
    (counts, step)
}

/// Most arrivals within any span of that length.
fn most_within(due: impl Iterator<Item = Duration> + Clone, span: Duration) -> u32 {
    let (mut most, mut within) = (0, 0);
    let mut oldest = due.clone().peekable();
    for offset in due {
        within += 1;
        while oldest.next_if(|o| *o + span <= offset).is_some() {
            within -= 1;
        }
        most = most.max(within);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrival: &str, devices: u32) -> Plan {
        let text = format!(
            "schema = 1\nname = 'x'\nfleet.devices = {devices}\n[[stage]]\nname = 's'\nkind = 'provision'\n\
             timeout = '10s'\n{arrival}\n"
        );
        Plan::new(&Scenario::parse("x.toml", &text, &[]).unwrap(), 1)
    }

    #[test]
    fn needs_follow_from_arrivals_and_timeout() {
        let all = plan("arrival = 'at-once'", 500);
        assert_eq!((all.needs.keys, all.needs.in_flight), (500, 500));
        assert_eq!(all.stages[0].arrivals, [500]);
        let spread = plan("arrival = { process = 'constant', rate = '20/s' }", 500);
        assert_eq!(spread.needs.in_flight, 200);
        assert_eq!(spread.stages[0].peak_per_second, Some(20));
        assert_eq!(spread.stages[0].last_due, Some(Duration::from_millis(24_950)));
        assert_eq!(spread.stages[0].arrivals.iter().sum::<u32>(), 500);
        let closed = plan("workload = 'closed'\nconcurrency = 8", 500);
        assert_eq!((closed.needs.in_flight, closed.stages[0].last_due), (8, None));
        assert!(closed.due_offsets(0).is_none() && spread.due_offsets(1).is_none());
    }

    #[test]
    fn the_same_scenario_and_seed_give_the_same_devices_and_times() {
        let (a, b) = (plan("arrival = 'at-once'", 9), plan("arrival = 'at-once'", 9));
        assert_eq!(a, b);
        assert_eq!(a.registration_id(8).map(|id| id.to_string()).as_deref(), Some("device-000008"));
        assert_eq!(a.registration_id(9), None);
    }
}
