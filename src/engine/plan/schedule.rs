//! When stages begin and who is due when: pure functions of what is known so far, without clocks or devices. The plan prints
//! what they foresee, the conductor of a run asks them as stages end, quota checks reckon with the earliest that can be.

use std::ops::Add;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::domain::{FleetTime, Shard, TimeScale};
use crate::engine::plan::arrivals::{Arrivals, Offsets};
use crate::engine::plan::due::DueList;
use crate::engine::plan::members::Members;
use crate::scenario::{Scenario, Start, Workload};

/// When stages begin and who is due when in each. Without a plan's seed and shard it would be no one's: it is part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    scale: TimeScale,
    stages: Vec<StageSchedule>,
}

#[derive(Debug, Clone, PartialEq)]
struct StageSchedule {
    start: Start,
    members: Members,
    arrivals: Arrivals,
    /// How long an operating stage lasts.
    operates: Option<FleetTime>,
    /// Until the last device is due, or an operating one done; `None` in a closed workload.
    lasts: Option<Duration>,
    /// If the stages that it waits for end with their last arrivals.
    foreseen: StageTimes,
}

/// When a stage begins and ended, as far as that is known, from the start of the measured part: in real time, or in that of the
/// fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTimes<T = Duration> {
    /// It begins then.
    pub begins: Option<T>,
    /// It ended then.
    pub ended: Option<T>,
}

/// When a stage begins, as far as that is known before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Then.
    At(Duration),
    /// When others have ended: not before then.
    NotBefore(Duration),
}

/// A device with the validity of its certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certified {
    pub(crate) device: u32,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Schedule {
    pub(crate) fn new(scenario: &Scenario, seed: u64, shard: Shard) -> Self {
        let mut schedule = Self { scale: scenario.time_scale, stages: Vec::with_capacity(scenario.stages.len()) };
        let mut known = Vec::with_capacity(scenario.stages.len());
        for index in 0..scenario.stages.len() {
            let stage = schedule.foresee(scenario, seed, shard, index, &known);
            known.push(stage.foreseen);
            schedule.stages.push(stage);
        }
        schedule
    }

    /// One more stage, by what is foreseen of those before.
    fn foresee(
        &self,
        scenario: &Scenario,
        seed: u64,
        shard: Shard,
        index: usize,
        known: &[StageTimes],
    ) -> StageSchedule {
        let stage = &scenario.stages[index];
        let members = Members::new(scenario, shard, index);
        let begins = begin(&stage.start, known, |delay| self.scale.to_real(delay));
        let arrivals = match stage.renewal_timing() {
            Some(_) => self.foresee_renewals(scenario, seed, index, &members, begins),
            None => Arrivals::drawn(scenario, seed, shard, index),
        };
        let operates = stage.operate.map(|operate| operate.duration);
        let last = arrivals.offsets().last().unwrap_or_default();
        let is_open = matches!(stage.workload, Workload::Open { .. });
        let lasts = is_open.then(|| self.scale.to_real(last).max(self.scale.to_real(operates.unwrap_or_default())));
        let ended = begins.zip(lasts).map(|(begins, lasts)| begins + lasts);
        let foreseen = StageTimes { begins, ended };
        StageSchedule { start: stage.start.clone(), members, arrivals, operates, lasts, foreseen }
    }

    /// Renewals, as if every device had got its certificate when it was due.
    fn foresee_renewals(
        &self,
        scenario: &Scenario,
        seed: u64,
        index: usize,
        members: &Members,
        begins: Option<Duration>,
    ) -> Arrivals {
        let origin = FleetTime::from_secs(1_800_000_000).after(SystemTime::UNIX_EPOCH);
        let begins = begins.map(|begins| self.scale.to_fleet(begins));
        // When each device got the certificate that it has then.
        let mut issued: Vec<Option<FleetTime>> = vec![None; scenario.fleet.devices as usize];
        for (before, stage) in
            self.stages.iter().enumerate().filter(|(stage, _)| scenario.stages[*stage].kind.makes_keys())
        {
            let began = self.scale.to_fleet(stage.foreseen.begins.unwrap_or_default());
            for (offset, device) in self.who_comes(before) {
                // What begins later, or goes on then, has not given it one yet.
                if begins.is_none_or(|begins| began + offset <= begins) {
                    let issued = &mut issued[device as usize];
                    *issued = (*issued).max(Some(began + offset));
                }
            }
        }
        let certified = members.iter().filter_map(|device| {
            let not_before = issued[device as usize]?.after(origin);
            Some(Certified { device, not_before, not_after: scenario.policy.validity.after(not_before) })
        });
        let began = begins.unwrap_or_default().after(origin);
        let (due, devices): (Vec<_>, Vec<_>) = renewals(scenario, seed, index, certified, began).into_iter().unzip();
        Arrivals::Renewals { due: due.into(), devices: devices.into() }
    }

    /// When a stage begins, by what is known of the others; `None` as long as that is too little. Stages refer to
    /// earlier ones only.
    pub fn begin(&self, stage: usize, known: &[StageTimes]) -> Option<Duration> {
        begin(&self.stages.get(stage)?.start, known, |delay| self.scale.to_real(delay))
    }

    /// When an operating stage that begins at that time is over for its devices.
    pub fn until(&self, stage: usize, begins: Duration) -> Option<Duration> {
        Some(begins + self.scale.to_real(self.stages.get(stage)?.operates?))
    }

    /// When a stage begins, as far as that is known before the run.
    pub(crate) fn foreseen_begin(&self, stage: usize) -> Begins {
        let certain = self.fold(|delay| self.scale.to_real(delay), |_, begins| StageTimes { begins, ended: None });
        match certain[stage].begins {
            Some(begins) => Begins::At(begins),
            // Behind all whose begin can be foreseen at least.
            None => Begins::NotBefore(self.foreseen(stage).begins.unwrap_or(Duration::MAX)),
        }
    }

    /// Whether a stage begins with the run in any case, so that its keys are made before it. Renewals never do, as their devices
    /// are provisioned before.
    pub fn begins_with_run(&self, stage: usize) -> bool {
        self.foreseen_begin(stage) == Begins::At(Duration::ZERO)
    }

    /// When a stage begins and ends, if all end with their last arrivals; `None` where a closed workload is waited for.
    pub(crate) fn foreseen(&self, stage: usize) -> StageTimes {
        self.stages[stage].foreseen
    }

    /// Until the last device of a stage is due, or an operating one done, from its begin; `None` in a closed workload.
    pub(crate) fn lasts(&self, stage: usize) -> Option<Duration> {
        self.stages[stage].lasts
    }

    /// When stages begin at the earliest: one that waits for others begins when the last device of theirs is
    /// due, as if they were done at that moment; a closed workload is over as soon as it has begun. `delayed`: a stage begins
    /// that much later than it could.
    pub(crate) fn earliest(&self, delayed: Option<(usize, FleetTime)>) -> Vec<FleetTime> {
        let earliest = self.fold(
            |delay| delay,
            |stage, begins| {
                let late = delayed.filter(|(delayed, _)| *delayed == stage).map_or(FleetTime::ZERO, |(_, by)| by);
                let begins = begins.map(|begins| begins + late);
                let lasts = self.lasts(stage).map_or(FleetTime::ZERO, |lasts| self.scale.to_fleet(lasts));
                StageTimes { begins, ended: begins.map(|begins| begins + lasts) }
            },
        );
        earliest.into_iter().map(|times| times.begins.unwrap_or_default()).collect()
    }

    /// The times of all stages: `times` makes those of a stage of its index and begin.
    fn fold<T: Copy + Ord + Default + Add<Output = T>>(
        &self,
        scaled: impl Fn(FleetTime) -> T + Copy,
        times: impl Fn(usize, Option<T>) -> StageTimes<T>,
    ) -> Vec<StageTimes<T>> {
        self.stages.iter().enumerate().fold(Vec::with_capacity(self.stages.len()), |mut known, (index, stage)| {
            known.push(times(index, begin(&stage.start, &known, scaled)));
            known
        })
    }

    /// Devices that take part in a stage, in order.
    pub(crate) fn members(&self, stage: usize) -> impl Iterator<Item = u32> + Clone + use<> {
        self.stages[stage].members.iter()
    }

    /// When each device of a stage is due, in order, from the start of the stage; `None` in a closed workload,
    /// where certificates decide, or past the last stage.
    pub fn due_offsets(&self, stage: usize) -> Option<Offsets> {
        match &self.stages.get(stage)?.arrivals {
            drawn @ (Arrivals::Process { .. } | Arrivals::Drawn(_)) => Some(drawn.offsets()),
            Arrivals::Renewals { .. } | Arrivals::Pulled => None,
        }
    }

    /// When each device of a stage is due, in order, from the start of the stage, with what can be foreseen of
    /// renewals: as if every device had got its certificate when it was due. Empty in a closed workload.
    pub fn arrivals(&self, stage: usize) -> Offsets {
        self.stages.get(stage).map_or_else(|| Arrivals::Pulled.offsets(), |stage| stage.arrivals.offsets())
    }

    /// Who is due when in a stage, in order, from its start, as [`Self::arrivals`] has it.
    pub fn who_is_due(&self, stage: usize) -> impl Iterator<Item = (FleetTime, u32)> + use<> {
        let StageSchedule { members, arrivals, .. } = &self.stages[stage];
        let foreseen = match arrivals {
            Arrivals::Renewals { devices, .. } => Some(Arc::clone(devices)),
            _ => None,
        };
        let foreseen = foreseen.map(|devices| (0..devices.len()).map(move |place| devices[place]));
        let members = foreseen.is_none().then(|| members.iter());
        arrivals.offsets().zip(foreseen.into_iter().flatten().chain(members.into_iter().flatten()))
    }

    /// Who comes when in a stage, in order, from its start: who is due, and in a closed workload all devices as
    /// if they were due at once.
    pub(crate) fn who_comes(&self, stage: usize) -> Box<dyn Iterator<Item = (FleetTime, u32)> + Send> {
        match self.stages[stage].arrivals {
            Arrivals::Pulled => Box::new(std::iter::repeat(FleetTime::ZERO).zip(self.members(stage))),
            _ => Box::new(self.who_is_due(stage)),
        }
    }

    /// Who comes when, as [`Self::who_comes`] has it, in real time.
    pub(crate) fn due_list(&self, stage: usize) -> DueList {
        let scale = self.scale;
        Box::new(self.who_comes(stage).map(move |(at, device)| (scale.to_real(at), device)))
    }
}

/// When something begins, by what is known of the stages that it refers to. `scaled` makes of delays what is
/// known.
fn begin<T: Copy + Ord + Default + Add<Output = T>>(
    start: &Start,
    known: &[StageTimes<T>],
    scaled: impl Fn(FleetTime) -> T,
) -> Option<T> {
    let (from, delay) = match start {
        Start::At(delay) => (T::default(), delay),
        Start::With { stage, delay } => (known.get(*stage)?.begins?, delay),
        Start::After { stages, delay } => {
            let ends: Option<Vec<_>> = stages.iter().map(|stage| known.get(*stage)?.ended).collect();
            (ends?.into_iter().max().unwrap_or_default(), delay)
        }
    };
    Some(from + scaled(*delay))
}

/// The renewals of a stage of them that began at that time, each when the device's certificate says so: who is due when, in order, from
/// the begin. What should have been done before is due when the stage begins.
pub(crate) fn renewals(
    scenario: &Scenario,
    seed: u64,
    stage: usize,
    certified: impl IntoIterator<Item = Certified>,
    began: SystemTime,
) -> Vec<(FleetTime, u32)> {
    let Some(timing) = scenario.stages[stage].renewal_timing() else { return Vec::new() };
    let round = u32::try_from(stage).unwrap_or(u32::MAX);
    let due = |Certified { device, not_before, not_after }| {
        let at = timing.due(&scenario.policy, (not_before, not_after), seed, device, round);
        (FleetTime::between(began, at), device)
    };
    let mut due: Vec<_> = certified.into_iter().map(due).collect();
    due.sort_unstable();
    due
}

#[cfg(test)]
mod tests;
