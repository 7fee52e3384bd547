use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{FleetTime, QuotaLimits, TimeScale};
use crate::emulator::config::{self, Excess};
use crate::emulator::sharded::{Sharded, lock};
use crate::model::{TokenBucket, TokenRate};

/// The quotas of one emulator.
#[derive(Debug)]
pub(crate) struct QuotaBuckets {
    registrations: Option<Mutex<TokenBucket>>,
    certificates: Option<Mutex<TokenBucket>>,
    renewals: Option<Mutex<TokenBucket>>,
    hub_connections: Option<Mutex<TokenBucket>>,
    polls: Option<PollBuckets>,
    /// From when on times are counted.
    origin: Instant,
    retry_after: u32,
    hub_connections_over: Excess,
    scale: TimeScale,
}

/// Something is over its quota: come again after so many seconds of the fleet's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) retry_after: u32,
}

/// A bucket per device.
#[derive(Debug)]
struct PollBuckets {
    rate: TokenRate,
    /// When the bucket of each will be full again.
    full_at: Sharded<Duration>,
}

impl QuotaBuckets {
    /// Connections over the quota wait so long at most.
    const PATIENCE: FleetTime = FleetTime::from_secs(60);

    pub(super) fn new(limits: QuotaLimits, config: &config::Quotas, scale: TimeScale) -> Self {
        const SECOND: FleetTime = FleetTime::from_secs(1);
        const MINUTE: FleetTime = FleetTime::from_secs(60);
        let rate = |tokens: u32, period| TokenRate::new(tokens, scale.to_real(period), limits.burst());
        let bucket =
            |tokens: Option<u32>, period| tokens.map(|tokens| Mutex::new(TokenBucket::full(rate(tokens, period))));
        Self {
            registrations: bucket(limits.registrations_per_minute, MINUTE),
            certificates: bucket(limits.certificates_per_minute, MINUTE),
            renewals: bucket(limits.renewals_per_minute, MINUTE),
            hub_connections: bucket(limits.hub_connections_per_second, SECOND),
            polls: limits
                .polls_per_10_seconds
                .map(|tokens| PollBuckets { rate: rate(tokens, SECOND * 10), full_at: Sharded::new() }),
            origin: Instant::now(),
            retry_after: config.retry_after_seconds,
            hub_connections_over: config.hub_connections_over,
            scale,
        }
    }

    /// Every bucket is full.
    pub(super) fn restart(&self) {
        let buckets = [&self.registrations, &self.certificates, &self.renewals, &self.hub_connections];
        buckets.into_iter().flatten().for_each(|bucket| lock(bucket).fill());
        if let Some(polls) = &self.polls {
            polls.full_at.retain(|_| false);
        }
    }

    /// A registration comes.
    pub(crate) fn registration(&self, now: Instant) -> Result<(), Over> {
        self.take(self.registrations.as_ref(), now)
    }

    /// A registration wants a certificate.
    pub(crate) fn certificate(&self, now: Instant) -> Result<(), Over> {
        self.take(self.certificates.as_ref(), now)
    }

    /// A renewal comes.
    pub(crate) fn renewal(&self, now: Instant) -> Result<(), Over> {
        self.take(self.renewals.as_ref(), now)
    }

    /// The device of that id asks for the state of an operation.
    pub(crate) fn poll(&self, registration_id: &Arc<str>, now: Instant) -> Result<(), Over> {
        let Some(polls) = &self.polls else { return Ok(()) };
        let mut shard = polls.full_at.shard(registration_id);
        let mut full_at = shard.get(registration_id).copied().unwrap_or_default();
        let taken = polls.rate.reserve(&mut full_at, self.since(now), Duration::ZERO);
        shard.insert(Arc::clone(registration_id), full_at);
        taken.map(drop).map_err(|wait| Over { retry_after: self.whole_seconds(wait) })
    }

    /// Whether connections with the hub have a quota.
    pub(super) const fn bounds_hub_connections(&self) -> bool {
        self.hub_connections.is_some()
    }

    /// A device connects with the hub: when it may.
    pub(crate) fn hub_connection(&self, now: Instant) -> Result<Instant, Over> {
        let Some(bucket) = &self.hub_connections else { return Ok(now) };
        let patience = match self.hub_connections_over {
            Excess::Refuse => Duration::ZERO,
            Excess::Delay => self.scale.to_real(Self::PATIENCE),
        };
        match lock(bucket).reserve(self.since(now), patience) {
            Ok(at) => Ok(self.origin + at),
            Err(wait) => Err(Over { retry_after: self.whole_seconds(wait) }),
        }
    }

    /// Forgets devices that have not asked for long.
    pub(crate) fn expire(&self, now: Instant) {
        if let Some(polls) = &self.polls {
            let now = self.since(now);
            polls.full_at.retain(|full_at| *full_at > now);
        }
    }

    /// A wait as devices are told it: seconds of the fleet's time, rounded up, at least one.
    fn whole_seconds(&self, wait: Duration) -> u32 {
        let wait = self.scale.to_fleet(wait);
        let seconds = wait.as_secs() + u64::from(wait.length().subsec_nanos() > 0);
        u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
    }

    fn take(&self, bucket: Option<&Mutex<TokenBucket>>, now: Instant) -> Result<(), Over> {
        let Some(bucket) = bucket else { return Ok(()) };
        lock(bucket).take(self.since(now)).map_err(|_| Over { retry_after: self.retry_after })
    }

    fn since(&self, now: Instant) -> Duration {
        now.duration_since(self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::QuotaProfile;

    fn quotas(change: impl FnOnce(&mut config::Quotas), profile: QuotaProfile) -> QuotaBuckets {
        scaled_quotas(change, profile, TimeScale::REAL)
    }

    fn scaled_quotas(
        change: impl FnOnce(&mut config::Quotas),
        profile: QuotaProfile,
        scale: TimeScale,
    ) -> QuotaBuckets {
        let mut config = config::Quotas::default();
        change(&mut config);
        QuotaBuckets::new(config.limits(profile), &config, scale)
    }

    #[tokio::test(start_paused = true)]
    async fn quotas_hold_in_fleet_time_and_waits_are_told_in_it() {
        let minute_in_a_second = TimeScale::new(FleetTime::from_secs(60), Duration::from_secs(1)).unwrap();
        let quotas = scaled_quotas(
            |config| config.hub_connections_over = Excess::Delay,
            QuotaProfile::HubS1,
            minute_in_a_second,
        );
        let (now, id) = (Instant::now(), "a".into());
        let registered = |at| (0..2000).filter(|_| quotas.registration(at).is_ok()).count();
        assert_eq!((registered(now), registered(now + Duration::from_secs(1))), (1000, 1000));
        assert_eq!((0..9).filter(|_| quotas.poll(&id, now).is_ok()).count(), 5);
        assert_eq!(quotas.poll(&id, now), Err(Over { retry_after: 2 }), "a thirtieth of a real second");
        let last = (0..9999).map_while(|_| quotas.hub_connection(now).ok()).last().unwrap();
        assert!((last - now).abs_diff(Duration::from_secs(1)) < Duration::from_millis(1), "a minute's patience");
    }

    #[tokio::test(start_paused = true)]
    async fn the_quotas_of_a_dps_instance_hold() {
        let (quotas, now) = (quotas(|_| {}, QuotaProfile::DpsDefault), Instant::now());
        let taken = |take: &dyn Fn() -> bool| (0..2000).filter(|_| take()).count();
        assert_eq!(taken(&|| quotas.registration(now).is_ok()), 1000);
        assert_eq!(taken(&|| quotas.certificate(now).is_ok()), 500);
        assert_eq!(taken(&|| quotas.renewal(now).is_ok()), 500);
        assert_eq!(taken(&|| quotas.hub_connection(now).is_ok()), 2000);
        assert_eq!(quotas.registration(now), Err(Over { retry_after: 30 }));
    }

    #[tokio::test(start_paused = true)]
    async fn every_device_has_polls_of_its_own_and_is_told_when_the_next_is_allowed() {
        let (quotas, now) = (quotas(|_| {}, QuotaProfile::DpsDefault), Instant::now());
        let (a, b) = ("a".into(), "b".into());
        assert_eq!((0..9).filter(|_| quotas.poll(&a, now).is_ok()).count(), 5);
        assert_eq!((quotas.poll(&a, now), quotas.poll(&b, now)), (Err(Over { retry_after: 2 }), Ok(())));
        quotas.expire(now + Duration::from_secs(9));
        assert!(quotas.polls.as_ref().unwrap().full_at.get("a").is_some());
        quotas.expire(now + Duration::from_secs(10));
        assert!(quotas.polls.as_ref().unwrap().full_at.get("a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_over_the_quota_are_refused_or_wait() {
        let now = Instant::now();
        let refusing = quotas(|_| {}, QuotaProfile::HubS1);
        assert_eq!((0..150).filter(|_| refusing.hub_connection(now).is_ok()).count(), 100);
        assert_eq!(refusing.hub_connection(now), Err(Over { retry_after: 1 }));
        let delaying = quotas(|config| config.hub_connections_over = Excess::Delay, QuotaProfile::HubS1);
        let starts: Vec<_> = (0..300).map(|_| delaying.hub_connection(now).unwrap() - now).collect();
        assert_eq!((starts[99], starts[299]), (Duration::ZERO, Duration::from_secs(2)));
        assert_eq!((0..9999).filter(|_| delaying.hub_connection(now).is_ok()).count(), 5800, "a minute at most");
    }

    #[tokio::test(start_paused = true)]
    async fn without_quotas_nothing_is_over() {
        let (quotas, now) = (quotas(|_| {}, QuotaProfile::Unlimited), Instant::now());
        assert!((0..5000).all(|_| quotas.registration(now).is_ok() && quotas.poll(&"a".into(), now).is_ok()));
    }
}
