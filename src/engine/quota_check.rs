//! What a stage asks of the service's quotas, reckoned from its arrivals alone: first attempts only, as if each were done
//! at its due time. Devices that are refused come again and make it worse.

use std::time::Duration;

use crate::domain::QuotaLimits;
use crate::scenario::StageKind;

/// What a service limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Registrations of the DPS instance.
    Registrations,
    /// Certificates issued during registration.
    Certificates,
    /// Questions for the state of an operation, per device.
    Polls,
    /// Certificate renewals.
    Renewals,
    /// New connections with the hub.
    HubConnections,
}

/// What one device of a stage asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Registrations.
    pub registrations: u32,
    /// Certificates issued during registration.
    pub certificates: u32,
    /// Renewals.
    pub renewals: u32,
    /// Connections with the hub.
    pub hub_connections: u32,
    /// Questions for the state of its registration.
    pub polls: Polls,
}

/// How a device asks for the state of its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polls {
    /// How often.
    pub count: u32,
    /// How long after each other (fleet time).
    pub every: Duration,
}

/// What a stage makes of one quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaCheck {
    /// Which one.
    pub quota: Quota,
    /// What it allows per `period`.
    pub limit: u32,
    /// Its period (fleet time).
    pub period: Duration,
    /// What the stage asks for altogether; per device where the quota is.
    pub needed: u64,
    /// Most that is asked for within one period; `None` when the target decides when devices come.
    pub peak: Option<u64>,
    /// Devices that are refused at first.
    pub over: u64,
    /// When the first of them comes, from the start of the stage (fleet time).
    pub first_over: Option<Duration>,
    /// Shortest window over which the stage's devices can come evenly without any being refused (fleet time); zero when all
    /// may come at once, `None` when no window is long enough.
    pub shortest_spread: Option<Duration>,
}

impl Quota {
    /// The key that declares it in scenarios and files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Registrations => "registrations_per_minute",
            Self::Certificates => "certificates_per_minute",
            Self::Polls => "polls_per_10_seconds",
            Self::Renewals => "renewals_per_minute",
            Self::HubConnections => "hub_connections_per_second",
        }
    }

    /// What it counts, for a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registrations => "registrations",
            Self::Certificates => "certificates",
            Self::Polls => "polls of a device",
            Self::Renewals => "renewals",
            Self::HubConnections => "hub connections",
        }
    }

    const fn period(self) -> Duration {
        Duration::from_secs(match self {
            Self::Registrations | Self::Certificates | Self::Renewals => 60,
            Self::Polls => 10,
            Self::HubConnections => 1,
        })
    }
}

impl Polls {
    /// What a registration takes: one question when it is done before the first, more when it is not. The first wait is as
    /// long as the others.
    pub fn until_assigned(assignment: Duration, every: Duration) -> Self {
        let further = assignment.as_nanos().checked_div(every.as_nanos()).unwrap_or_default();
        Self { count: u32::try_from(further).unwrap_or(u32::MAX).saturating_add(1), every }
    }

    /// Most questions within a time.
    fn within(self, period: Duration) -> u32 {
        let further = match self.every.as_nanos() {
            0 => u128::MAX,
            // Of a period that is not closed at its end.
            every => period.as_nanos().saturating_sub(1) / every,
        };
        u32::try_from(further).unwrap_or(u32::MAX).saturating_add(1).min(self.count)
    }
}

impl Demand {
    /// What one device of such a stage asks for. `connected` says whether it holds a connection with its hub from an earlier
    /// stage.
    pub fn of(kind: StageKind, hub_connect: bool, connected: bool, polls: Polls) -> Self {
        match kind {
            StageKind::Provision | StageKind::Reprovision => Self {
                registrations: 1,
                certificates: 1,
                hub_connections: u32::from(hub_connect),
                polls,
                ..Self::default()
            },
            // It asks over one connection and comes back with the new certificate.
            StageKind::Renew => {
                Self { renewals: 1, hub_connections: u32::from(!connected) + u32::from(hub_connect), ..Self::default() }
            }
            StageKind::Reconnect => Self { hub_connections: 1, ..Self::default() },
            StageKind::Operate => Self { hub_connections: u32::from(!connected), ..Self::default() },
        }
    }
}

/// Checks a stage of `devices` against every quota that is declared and asked for. `due` are the times at which they come,
/// in order, from the start of the stage in fleet time; `None` when the target decides that.
pub fn check(
    demand: &Demand,
    limits: &QuotaLimits,
    devices: u32,
    due: Option<&(impl Iterator<Item = Duration> + Clone)>,
) -> Vec<QuotaCheck> {
    let shared = [
        (Quota::Registrations, limits.registrations_per_minute, demand.registrations),
        (Quota::Certificates, limits.certificates_per_minute, demand.certificates),
        (Quota::Renewals, limits.renewals_per_minute, demand.renewals),
        (Quota::HubConnections, limits.hub_connections_per_second, demand.hub_connections),
    ];
    let shared = shared.into_iter().filter_map(|(quota, limit, each)| {
        let limit = limit.filter(|_| each > 0)?;
        Some(check_shared(quota, limit, limits.burst(), each, devices, due.cloned()))
    });
    let polls = limits.polls_per_10_seconds.filter(|_| demand.polls.count > 0);
    shared.chain(polls.map(|limit| check_polls(limit, demand.polls, devices))).collect()
}

fn check_shared(
    quota: Quota,
    limit: u32,
    burst: u32,
    each: u32,
    devices: u32,
    due: Option<impl Iterator<Item = Duration> + Clone>,
) -> QuotaCheck {
    let period = quota.period();
    let mut bucket = Bucket::new(limit, period, burst);
    let check = QuotaCheck {
        quota,
        limit,
        period,
        needed: u64::from(devices) * u64::from(each),
        peak: None,
        over: 0,
        first_over: None,
        shortest_spread: bucket.shortest_spread(devices, each),
    };
    let Some(due) = due else { return check };
    let (mut over, mut first_over) = (0, None);
    for at in due.clone() {
        if !bucket.take(at, each) {
            over += 1;
            first_over = first_over.or(Some(at));
        }
    }
    let peak = u64::from(most_within(due, period)) * u64::from(each);
    QuotaCheck { peak: Some(peak), over, first_over, ..check }
}

/// Every device has a bucket of its own, so it does not matter when they come.
fn check_polls(limit: u32, polls: Polls, devices: u32) -> QuotaCheck {
    let period = Quota::Polls.period();
    let peak = polls.within(period);
    let over = peak > limit;
    QuotaCheck {
        quota: Quota::Polls,
        limit,
        period,
        needed: u64::from(polls.count),
        peak: Some(peak.into()),
        over: if over { devices.into() } else { 0 },
        first_over: over.then(|| polls.every.saturating_mul(limit)),
        shortest_spread: (!over).then_some(Duration::ZERO),
    }
}

/// Most arrivals within any span of that length.
pub(super) fn most_within(due: impl Iterator<Item = Duration> + Clone, span: Duration) -> u32 {
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

/// A token bucket that holds some periods' worth, as the one moment at which it will be full again (generic cell rate algorithm,
/// ITU-T I.371), in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// What a full one holds.
    full: u128,
    /// Between two tokens.
    interval: u128,
    full_at: u128,
}

impl Bucket {
    fn new(limit: u32, period: Duration, burst: u32) -> Self {
        let period = period.as_nanos();
        Self { full: period * u128::from(burst), interval: period / u128::from(limit.max(1)), full_at: 0 }
    }

    /// Takes as many tokens as there are, up to `count`; false when there were fewer.
    fn take(&mut self, at: Duration, count: u32) -> bool {
        let now = at.as_nanos();
        for _ in 0..count {
            let after = self.full_at.max(now) + self.interval;
            if after - now > self.full {
                return false;
            }
            self.full_at = after;
        }
        true
    }

    /// Device number k of n in a window comes at k/n of it, as an arrival process that spreads them does. The last one finds
    /// the bucket emptiest: it fits when what all have taken has been refilled, but for one full bucket.
    fn shortest_spread(&self, devices: u32, each: u32) -> Option<Duration> {
        if self.interval * u128::from(each) > self.full {
            return None;
        }
        let all = self.interval * u128::from(devices) * u128::from(each);
        let refilled = all.saturating_sub(self.full);
        if refilled == 0 {
            return Some(Duration::ZERO);
        }
        // More than one device: one alone fits.
        let window = (refilled * u128::from(devices)).div_ceil(u128::from(devices.saturating_sub(1).max(1)));
        Some(Duration::from_nanos(u64::try_from(window).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::domain::QuotaProfile;
    use crate::scenario::Arrival;

    const MINUTE: Duration = Duration::from_secs(60);
    const ONE: Polls = Polls { count: 1, every: Duration::from_secs(3) };

    fn over(limits: QuotaLimits, demand: &Demand, devices: u32, arrival: &Arrival) -> Vec<(Quota, u64, Option<u64>)> {
        let due = arrival.due_offsets(devices, 1, 0).unwrap();
        check(demand, &limits, devices, Some(&due)).iter().map(|c| (c.quota, c.over, c.peak)).collect()
    }

    #[test]
    fn a_storm_is_over_the_quota_by_all_but_a_full_bucket() {
        let demand = Demand::of(StageKind::Provision, true, false, ONE);
        let due = Arrival::AtOnce.due_offsets(5_000, 1, 0).unwrap();
        let checks = check(&demand, &QuotaProfile::HubS1.limits(), 5_000, Some(&due));
        let found: Vec<_> = checks.iter().map(|c| (c.quota, c.over, c.shortest_spread.unwrap().as_secs())).collect();
        assert_eq!(
            found,
            [
                (Quota::Registrations, 4_000, 240),
                (Quota::Certificates, 4_500, 540),
                (Quota::HubConnections, 4_900, 49),
                (Quota::Polls, 0, 0)
            ]
        );
        assert_eq!((checks[0].peak, checks[0].first_over), (Some(5_000), Some(Duration::ZERO)));
    }

    #[test]
    fn slow_arrivals_fit() {
        let demand = Demand::of(StageKind::Renew, true, true, Polls::default());
        let arrival = Arrival::Spread { over: 10 * MINUTE, jitter: Duration::ZERO };
        assert_eq!(
            over(QuotaProfile::HubS1.limits(), &demand, 5_000, &arrival),
            [(Quota::Renewals, 0, Some(500)), (Quota::HubConnections, 0, Some(9))]
        );
        assert_eq!(over(QuotaLimits::NONE, &demand, 5_000, &arrival), []);
    }

    #[test]
    fn what_a_device_asks_for_follows_from_its_stage() {
        let connections = |kind, hub, connected| Demand::of(kind, hub, connected, ONE).hub_connections;
        assert_eq!([false, true].map(|connected| connections(StageKind::Renew, true, connected)), [2, 1]);
        assert_eq!([false, true].map(|connected| connections(StageKind::Operate, true, connected)), [1, 0]);
        assert_eq!(
            (connections(StageKind::Provision, false, false), connections(StageKind::Reconnect, true, true)),
            (0, 1)
        );
    }

    #[test]
    fn polls_are_limited_per_device() {
        let polls =
            |assignment, every| Polls::until_assigned(Duration::from_secs(assignment), Duration::from_secs(every));
        assert_eq!((polls(0, 3).count, polls(7, 3).count, polls(60, 1).count), (1, 3, 61));
        assert_eq!(polls(60, 0).count, 1);
        let limits = QuotaLimits { polls_per_10_seconds: Some(5), ..QuotaLimits::NONE };
        let found = |polls| {
            let demand = Demand { polls, ..Demand::default() };
            check(&demand, &limits, 9, None::<&std::iter::Empty<Duration>>)[0]
        };
        let bad = found(polls(60, 1));
        assert_eq!((bad.peak, bad.over, bad.first_over), (Some(10), 9, Some(Duration::from_secs(5))));
        assert_eq!(bad.shortest_spread, None, "spreading the devices does not help");
        assert_eq!((found(polls(60, 3)).peak, found(polls(60, 2)).over), (Some(4), 0));
    }

    #[test]
    fn where_the_target_decides_nothing_is_known_but_the_spread() {
        let demand = Demand::of(StageKind::Reconnect, true, false, Polls::default());
        let check = check(&demand, &QuotaProfile::HubS1.limits(), 1_000, None::<&std::iter::Empty<Duration>>)[0];
        assert_eq!((check.peak, check.over, check.shortest_spread.unwrap().as_secs()), (None, 0, 9));
    }

    #[test]
    fn a_device_that_asks_for_more_than_a_full_bucket_never_fits() {
        let limits = QuotaLimits { hub_connections_per_second: Some(1), ..QuotaLimits::NONE };
        let demand = Demand { hub_connections: 2, ..Demand::default() };
        let due = Arrival::AtOnce.due_offsets(3, 1, 0).unwrap();
        let check = check(&demand, &limits, 3, Some(&due))[0];
        assert_eq!((check.over, check.shortest_spread), (3, None));
    }

    proptest! {
        #[test]
        fn the_shortest_spread_fits_and_a_shorter_one_does_not(
            devices in 2u32..3_000,
            limit in 2u32..2_000,
            each in 1u32..=2,
        ) {
            let limits = QuotaLimits { renewals_per_minute: Some(limit), ..QuotaLimits::NONE };
            let demand = Demand { renewals: each, ..Demand::default() };
            let over = |window| {
                let due = Arrival::Spread { over: window, jitter: Duration::ZERO }.due_offsets(devices, 1, 0).unwrap();
                check(&demand, &limits, devices, Some(&due))[0]
            };
            let shortest = over(MINUTE).shortest_spread.unwrap();
            prop_assert_eq!(over(shortest).over, 0);
            prop_assert_eq!(over(shortest).first_over, None);
            if shortest > Duration::ZERO {
                prop_assert!(over(shortest.mul_f64(0.99)).over > 0);
            }
        }

        #[test]
        fn as_many_are_over_as_the_emulator_would_refuse(devices in 1u32..500, limit in 1u32..100, window in 0u64..120) {
            // By counting tokens instead of moments.
            let due = Arrival::Spread { over: Duration::from_secs(window), jitter: Duration::ZERO };
            let mut tokens = f64::from(limit);
            let (mut last, mut refused) = (Duration::ZERO, 0u64);
            for at in due.due_offsets(devices, 1, 0).unwrap() {
                tokens = (tokens + (at - last).as_secs_f64() * f64::from(limit) / 60.0).min(f64::from(limit));
                last = at;
                if tokens >= 1.0 - 1e-6 { tokens -= 1.0 } else { refused += 1 }
            }
            let limits = QuotaLimits { renewals_per_minute: Some(limit), ..QuotaLimits::NONE };
            let demand = Demand { renewals: 1, ..Demand::default() };
            prop_assert_eq!(over(limits, &demand, devices, &due)[0].1, refused);
        }
    }
}
