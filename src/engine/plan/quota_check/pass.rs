//! One pass over all arrivals of a plan in order of time.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::domain::{FleetTime, QuotaLimits};
use crate::engine::plan::Plan;
use crate::engine::plan::quota_check::demand::{Demand, DeviceDemand};
use crate::engine::plan::quota_check::loose::{Loose, loose};
use crate::engine::plan::quota_check::meter::Meter;
use crate::engine::plan::quota_check::polls::{self, Registering};
use crate::engine::plan::quota_check::{Later, Polls, Quota, QuotaCheck, QuotaChecks, QuotaVerdict};
use crate::scenario::{Scenario, Workload};

/// What is reckoned.
pub(super) struct Reckoning<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) plan: &'a Plan,
    pub(super) limits: &'a QuotaLimits,
    pub(super) polls: &'a [Polls],
}

/// A device comes and asks for something.
struct ServiceRequest {
    /// From the start of the run.
    at: FleetTime,
    stage: usize,
    class: usize,
    demand: Demand,
    /// Whether it comes just then, or at any time from then on.
    timed: bool,
}

impl Reckoning<'_> {
    pub(super) fn check(&self) -> QuotaChecks {
        let begins = self.plan.schedule.earliest(None);
        let count = self.scenario.stages.len();
        let mut all = self.meters();
        let mut each: Vec<Vec<Meter>> = (0..count).map(|_| self.meters()).collect();
        let mut registering = vec![vec![0; self.polls.len()]; count];
        self.pass(&begins, |request| {
            let alone = ServiceRequest { at: request.at.saturating_sub(begins[request.stage]), ..*request };
            meter(&mut all, request);
            meter(&mut each[request.stage], &alone);
            if let Some(devices) = registering[request.stage].get_mut(request.class) {
                *devices += u64::from(request.demand.registrations > 0);
            }
        });
        let registering = registering.iter().enumerate().map(|(stage, classes)| -> Vec<Registering> {
            let classes = classes.iter().zip(self.polls).filter(|(devices, _)| **devices > 0);
            classes.map(|(devices, polls)| Registering { stage, polls: *polls, devices: *devices }).collect()
        });
        let registering: Vec<Vec<Registering>> = registering.collect();
        let mut together = self.checks(all, &registering.concat());
        self.look_at_later(&begins, &mut together);
        let stages = each.into_iter().zip(&registering).map(|(meters, polls)| self.checks(meters, polls)).collect();
        QuotaChecks { together, stages }
    }

    /// A meter for every quota that is declared.
    fn meters(&self) -> Vec<Meter> {
        let stages = self.scenario.stages.len();
        let meter = |quota: Quota| Some(Meter::new(quota, quota.limit(self.limits)?, self.limits.burst(), stages));
        Quota::SHARED.into_iter().filter_map(meter).collect()
    }

    fn checks(&self, meters: Vec<Meter>, registering: &[Registering]) -> Vec<QuotaCheck> {
        let polls = self.limits.polls_per_10_seconds.and_then(|limit| polls::check(limit, registering));
        meters.into_iter().filter_map(Meter::check).chain(polls).collect()
    }

    /// Tells of every request, in order of time, and of those at the same moment in the order of the scenario.
    fn pass(&self, begins: &[FleetTime], mut tell: impl FnMut(&ServiceRequest)) {
        let Scenario { stages, fleet, policy, .. } = self.scenario;
        let mut devices = vec![DeviceDemand::default(); fleet.devices as usize];
        let mut sources: Vec<_> = (0..stages.len()).map(|stage| self.arrivals(begins, stage)).collect();
        let mut next: BinaryHeap<_> = BinaryHeap::with_capacity(sources.len());
        for (stage, source) in sources.iter_mut().enumerate() {
            next.extend(source.next().map(|(at, device)| Reverse((at, stage, device))));
        }
        while let Some(Reverse((at, index, device))) = next.pop() {
            next.extend(sources[index].next().map(|(at, device)| Reverse((at, index, device))));
            let stage = &stages[index];
            let class = fleet.mix.class_of(device);
            let demand = devices[device as usize].is_due(stage, &fleet.classes[class], policy, begins[index], at);
            let timed = matches!(stage.workload, Workload::Open { .. });
            tell(&ServiceRequest { at, stage: index, class, demand, timed });
        }
    }

    /// Who comes when in a stage.
    fn arrivals(&self, begins: &[FleetTime], index: usize) -> impl Iterator<Item = (FleetTime, u32)> + use<> {
        let (begin, schedule) = (begins[index], &self.plan.schedule);
        // Renewals are due when their certificates say so, whenever the stage begins.
        let renews = self.scenario.stages[index].renewal_timing().is_some();
        let foreseen = self.plan.time_scale.to_fleet(schedule.foreseen(index).begins.unwrap_or_default());
        let from = if renews { foreseen } else { begin };
        schedule.who_comes(index).map(move |(offset, device)| ((from + offset).max(begin), device))
    }

    fn look_at_later(&self, begins: &[FleetTime], together: &mut [QuotaCheck]) {
        for loose in loose(self.scenario) {
            let begin = begins[loose.stage];
            let lasts = |stage| Some(self.plan.time_scale.to_fleet(self.plan.schedule.lasts(stage)?));
            let goes_on = |stage: &usize| lasts(*stage).is_some_and(|lasts| begins[*stage] + lasts > begin);
            if !loose.beside.iter().any(goes_on) {
                continue;
            }
            for (quota, by) in self.coincidences(begins, &loose) {
                let kept = |check: &&mut QuotaCheck| check.quota == quota && check.verdict != QuotaVerdict::Exceeded;
                let Some(check) = together.iter_mut().find(kept) else { continue };
                let delayed = self.plan.schedule.earliest(Some((loose.stage, by)));
                let mut meters = self.meters();
                self.pass(&delayed, |request| meter(&mut meters, request));
                let then = meters.into_iter().filter_map(Meter::check).find(|check| check.quota == quota);
                let Some(then) = then.filter(|then| then.verdict == QuotaVerdict::Exceeded) else { continue };
                let peak = then.peak.unwrap_or_default();
                if check.later.is_none_or(|known| peak > known.peak) {
                    check.later = Some(Later { stage: loose.stage, by, peak, over: then.over });
                }
            }
        }
    }

    /// For every quota by how much later a stage would have to begin, so that the most that comes with it and the most that
    /// comes beside it come together.
    fn coincidences(&self, begins: &[FleetTime], loose: &Loose) -> Vec<(Quota, FleetTime)> {
        let (mut moved, mut beside) = (self.meters(), self.meters());
        let begin = begins[loose.stage];
        self.pass(begins, |request| {
            let of = |stages: &BTreeSet<usize>| request.timed && stages.contains(&request.stage);
            if of(&loose.moved) {
                meter(&mut moved, request);
            } else if of(&loose.beside) && request.at >= begin {
                meter(&mut beside, request);
            }
        });
        let peaks = moved.iter().zip(&beside).filter_map(|(moved, beside)| {
            let ((most, at), (most_beside, at_beside)) = (moved.peak()?, beside.peak()?);
            let by = Some(at_beside.saturating_sub(at)).filter(|by| !by.is_zero())?;
            let limit = u64::from(moved.quota().limit(self.limits)?);
            (most + most_beside > limit).then_some((moved.quota(), by))
        });
        peaks.collect()
    }
}

fn meter(meters: &mut [Meter], request: &ServiceRequest) {
    for meter in meters {
        let tokens = request.demand.of(meter.quota());
        if request.timed {
            meter.arrives(request.at, request.stage, tokens);
        } else {
            meter.may_arrive(request.at, request.stage, tokens);
        }
    }
}
