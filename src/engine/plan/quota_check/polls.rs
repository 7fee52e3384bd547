use crate::domain::FleetTime;
use crate::engine::plan::quota_check::{Quota, QuotaCheck, QuotaVerdict, StageCount};

/// How a device asks for the state of its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polls {
    /// How often.
    pub count: u32,
    /// How long after each other.
    pub every: FleetTime,
}

impl Polls {
    /// What a registration takes: one question when it is done before the first, more when it is not. The first wait is as
    /// long as the others.
    pub fn until_assigned(assignment: FleetTime, every: FleetTime) -> Self {
        let further = assignment.as_nanos().checked_div(every.as_nanos()).unwrap_or_default();
        Self { count: u32::try_from(further).unwrap_or(u32::MAX).saturating_add(1), every }
    }

    /// Most questions within a time.
    fn within(self, period: FleetTime) -> u32 {
        let further = match self.every.as_nanos() {
            0 => u128::MAX,
            // Of a period that is not closed at its end.
            every => period.as_nanos().saturating_sub(1) / every,
        };
        u32::try_from(further).unwrap_or(u32::MAX).saturating_add(1).min(self.count)
    }
}

/// Devices of one class that register in a stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registering {
    pub(super) stage: usize,
    pub(super) polls: Polls,
    pub(super) devices: u64,
}

/// Every device has a quota of its own, so it does not matter when they come, nor what comes beside them. `None` when nobody
/// registers.
pub(super) fn check(limit: u32, all: &[Registering]) -> Option<QuotaCheck> {
    let period = Quota::Polls.period();
    let peak = |registering: &Registering| u64::from(registering.polls.within(period));
    let most = all.iter().map(peak).max()?;
    let shares = |of: &dyn Fn(&Registering) -> bool, count: &dyn Fn(&Registering) -> u64, sum: bool| {
        let mut shares: Vec<StageCount> = Vec::new();
        for registering in all.iter().filter(|registering| of(registering)) {
            let count = count(registering);
            match shares.iter_mut().find(|share| share.stage == registering.stage) {
                Some(share) if sum => share.count += count,
                Some(share) => share.count = share.count.max(count),
                None => shares.push(StageCount { stage: registering.stage, count }),
            }
        }
        shares
    };
    let is_over = |registering: &Registering| peak(registering) > u64::from(limit);
    let over_of = shares(&is_over, &|registering| registering.devices, true);
    let over = over_of.iter().map(|share| share.count).sum();
    let first_over = all.iter().filter(|r| is_over(r)).map(|r| r.polls.every * limit).min();
    Some(QuotaCheck {
        quota: Quota::Polls,
        limit,
        period,
        most: limit.into(),
        needed: all.iter().map(|registering| u64::from(registering.polls.count)).max().unwrap_or_default(),
        verdict: if over > 0 { QuotaVerdict::Exceeded } else { QuotaVerdict::Kept },
        peak: Some(most),
        peak_at: None,
        peak_of: shares(&|registering| peak(registering) == most, &peak, false),
        untimed: Vec::new(),
        over,
        over_of,
        first_over,
        together: all.iter().map(|registering| registering.devices).sum(),
        shortest_spread: (over == 0).then_some(FleetTime::ZERO),
        later: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_limited_per_device() {
        let polls =
            |assignment, every| Polls::until_assigned(FleetTime::from_secs(assignment), FleetTime::from_secs(every));
        assert_eq!((polls(0, 3).count, polls(7, 3).count, polls(60, 1).count), (1, 3, 61));
        assert_eq!(polls(60, 0).count, 1);
        let found = |all: &[Polls]| {
            let all: Vec<_> = all.iter().map(|polls| Registering { stage: 2, polls: *polls, devices: 9 }).collect();
            check(5, &all)
        };
        let bad = found(&[polls(60, 3), polls(60, 1)]).unwrap();
        assert_eq!((bad.verdict, bad.peak, bad.over), (QuotaVerdict::Exceeded, Some(10), 9));
        assert_eq!((bad.first_over, bad.shortest_spread), (Some(FleetTime::from_secs(5)), None));
        assert_eq!(bad.over_of, [StageCount { stage: 2, count: 9 }], "the class that asks too often");
        let good = found(&[polls(60, 3), polls(60, 2)]).unwrap();
        assert_eq!((good.verdict, good.peak, good.over), (QuotaVerdict::Kept, Some(5), 0));
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn classes_of_one_stage_are_counted_together_and_stages_apart() {
        let often = |count| Polls { count, every: FleetTime::from_secs(1) };
        let class = |stage, count, devices| Registering { stage, polls: often(count), devices };
        let all = [class(0, 7, 9), class(0, 10, 4), class(0, 10, 2), class(1, 10, 7), class(1, 5, 6), class(2, 5, 8)];
        let check = check(5, &all).unwrap();
        let shares = |shares: &[StageCount]| shares.iter().map(|share| (share.stage, share.count)).collect::<Vec<_>>();
        assert_eq!((shares(&check.over_of), check.over), (vec![(0, 15), (1, 7)], 22), "devices");
        assert_eq!((shares(&check.peak_of), check.peak), (vec![(0, 10), (1, 10)], Some(10)), "questions of a device");
        assert_eq!((check.needed, check.together), (10, 36));
    }
}
