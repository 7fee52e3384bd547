//! Faults that are injected on purpose. Each one is drawn from a stream of its own: the n-th occasion for a fault has the
//! same fate in every run with the same seed, whatever else is switched on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::config::{Faults, OutageEffect, duration};
use crate::domain::{TimeScale, rng};

/// The plan of faults that holds, and its dice.
#[derive(Debug)]
pub(crate) struct FaultInjector {
    seed: u64,
    /// Times of the plan are of the fleet.
    scale: TimeScale,
    /// Whether there is any, so that the usual case costs one load.
    any: AtomicBool,
    plan: RwLock<Arc<Plan>>,
    changed: Notify,
}

#[derive(Debug)]
struct Plan {
    since: Instant,
    faults: Faults,
    occasions: [AtomicU64; 5],
}

/// Those that are drawn.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Drawn {
    BeforePuback,
    AfterPuback,
    Result,
    ServerError,
    Handshake,
}

impl Drawn {
    /// Name of its stream of random numbers.
    const fn stream(self) -> &'static str {
        match self {
            Self::BeforePuback => "f.before_puback",
            Self::AfterPuback => "f.after_puback",
            Self::Result => "f.result",
            Self::ServerError => "f.server_error",
            Self::Handshake => "f.handshake",
        }
    }
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    BeforePuback,
    AfterPuback,
}

/// What the authority's outage does to a request that comes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaOutage {
    /// Nothing is signed before.
    Until(Instant),
    /// Nothing is signed.
    Fails,
}

impl FaultInjector {
    /// With this plan from `now` on.
    pub(crate) fn new(seed: u64, scale: TimeScale, faults: Faults, now: Instant) -> Self {
        Self {
            seed,
            scale,
            any: AtomicBool::new(!faults.is_none()),
            plan: RwLock::new(Arc::new(Plan::new(faults, now))),
            changed: Notify::new(),
        }
    }

    /// The plan that holds, and for how long it has.
    pub(crate) fn plan(&self, now: Instant) -> (Faults, Duration) {
        let plan = self.current();
        (plan.faults.clone(), now.duration_since(plan.since))
    }

    /// Changes the plan; all times count from `now`, all dice are new.
    pub(crate) fn set(&self, faults: Faults, now: Instant) {
        let any = !faults.is_none();
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Plan::new(faults, now));
        self.any.store(any, Ordering::Release);
        self.changed.notify_one();
    }

    /// Begins the plan that holds once more: all times count from `now`, all dice are new.
    pub(crate) fn restart(&self, now: Instant) {
        let (faults, _) = self.plan(now);
        self.set(faults, now);
    }

    /// A message at QoS 1 came: whether its connection is cut.
    pub(crate) fn publish(&self, now: Instant) -> Option<Cut> {
        let plan = self.active()?;
        let (before, after) = (&plan.faults.drop_before_puback, &plan.faults.drop_after_puback);
        if self.happens(&plan, Drawn::BeforePuback, before.probability, (before.from_seconds, before.for_seconds), now)
        {
            return Some(Cut::BeforePuback);
        }
        self.happens(&plan, Drawn::AfterPuback, after.probability, (after.from_seconds, after.for_seconds), now)
            .then_some(Cut::AfterPuback)
    }

    /// A result with status 200 is to be sent: how much later.
    pub(crate) fn result_delay(&self, now: Instant) -> Option<Duration> {
        let plan = self.active()?;
        let delay = &plan.faults.delayed_result;
        self.happens(&plan, Drawn::Result, delay.probability, (delay.from_seconds, delay.for_seconds), now)
            .then(|| Duration::from_millis(delay.delay_ms))
    }

    /// A request came that may be answered with a server error: the status.
    pub(crate) fn server_error(&self, now: Instant) -> Option<u16> {
        let plan = self.active()?;
        let error = &plan.faults.server_error;
        self.happens(&plan, Drawn::ServerError, error.probability, (error.from_seconds, error.for_seconds), now)
            .then_some(error.status)
    }

    /// A client connected: how long the handshake is put off.
    pub(crate) fn handshake_delay(&self, now: Instant) -> Option<Duration> {
        let plan = self.active()?;
        let delay = &plan.faults.slow_handshake;
        self.happens(&plan, Drawn::Handshake, delay.probability, (delay.from_seconds, delay.for_seconds), now)
            .then(|| Duration::from_millis(delay.delay_ms))
    }

    /// A certificate is wanted: whether the authority is away.
    pub(crate) fn ca_outage(&self, now: Instant) -> Option<CaOutage> {
        let plan = self.active()?;
        let outage = &plan.faults.ca_outage;
        let from = plan.since + self.real(outage.from_seconds);
        let to = from + self.real(outage.for_seconds);
        (from..to).contains(&now).then_some(match outage.effect {
            OutageEffect::Wait => CaOutage::Until(to),
            OutageEffect::Fail => CaOutage::Fails,
        })
    }

    /// Waits until the hub is to end all its connections; moments before `after` are over.
    pub(crate) async fn hub_disconnect(&self, after: Instant) -> Instant {
        loop {
            let plan = self.current();
            let moments = plan.faults.hub_disconnect.at_seconds.iter().map(|at| plan.since + self.real(*at));
            let next = moments.into_iter().find(|at| *at > after);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = due => return next.unwrap_or(after),
                () = self.changed.notified() => {}
            }
        }
    }

    /// How long a time of the plan, in seconds of the fleet, really takes.
    fn real(&self, seconds: f64) -> Duration {
        self.scale.to_real(duration(seconds))
    }

    fn active(&self) -> Option<Arc<Plan>> {
        self.any.load(Ordering::Acquire).then(|| self.current())
    }

    fn current(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// `window`: seconds since the plan holds, from and how long.
    fn happens(&self, plan: &Plan, drawn: Drawn, probability: f64, window: (f64, Option<f64>), now: Instant) -> bool {
        if probability <= 0.0 {
            return false;
        }
        let from = plan.since + self.real(window.0);
        if now < from || window.1.is_some_and(|length| now >= from + self.real(length)) {
            return false;
        }
        let occasion = plan.occasions[drawn as usize].fetch_add(1, Ordering::Relaxed);
        rng(self.seed, drawn.stream(), occasion).random_bool(probability)
    }
}

impl Plan {
    fn new(faults: Faults, since: Instant) -> Self {
        Self { since, faults, occasions: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config::{Chance, Disconnect, Outage};

    const SECOND: Duration = Duration::from_secs(1);

    fn injector(change: impl FnOnce(&mut Faults)) -> (FaultInjector, Instant) {
        let (mut faults, now) = (Faults::default(), Instant::now());
        change(&mut faults);
        faults.check().unwrap();
        (FaultInjector::new(1, TimeScale::REAL, faults, now), now)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_goes_wrong_by_default() {
        let (none, now) = injector(|_| {});
        assert_eq!((none.publish(now), none.result_delay(now), none.server_error(now)), (None, None, None));
        assert_eq!((none.handshake_delay(now), none.ca_outage(now)), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn faults_happen_as_often_as_asked_and_the_same_with_the_same_seed() {
        let plan = |faults: &mut Faults| faults.drop_after_puback.probability = 0.25;
        let fates = |injector: &FaultInjector, now| (0..4000).map(|_| injector.publish(now)).collect::<Vec<_>>();
        let (a, now) = injector(plan);
        let cut = fates(&a, now);
        let count = cut.iter().filter(|cut| **cut == Some(Cut::AfterPuback)).count();
        assert!((900..1100).contains(&count), "{count}");
        // Another fault shifts nobody's dice.
        let (b, now) = injector(|faults| {
            plan(faults);
            faults.server_error.probability = 0.5;
        });
        b.server_error(now);
        assert_eq!(fates(&b, now), cut);
        b.set(
            Faults { drop_after_puback: Chance { probability: 0.25, ..Chance::default() }, ..Faults::default() },
            now,
        );
        assert_eq!(fates(&b, now), cut, "a new plan has new dice");
    }

    #[tokio::test(start_paused = true)]
    async fn windows_begin_and_end() {
        let (window, start) = injector(|faults| {
            faults.server_error.probability = 1.0;
            faults.server_error.from_seconds = 10.0;
            faults.server_error.for_seconds = Some(5.0);
            faults.ca_outage = Outage { from_seconds: 1.0, for_seconds: 2.0, ..Outage::default() };
        });
        let at = |seconds: u32| start + SECOND * seconds;
        assert_eq!([9, 10, 14, 15].map(|s| window.server_error(at(s))), [None, Some(500), Some(500), None]);
        let until = Some(CaOutage::Until(at(3)));
        assert_eq!([0, 1, 2, 3].map(|s| window.ca_outage(at(s))), [None, until, until, None]);
    }

    #[tokio::test(start_paused = true)]
    async fn moments_come_one_after_the_other_and_a_new_plan_counts_at_once() {
        let (faults, start) = injector(|faults| faults.hub_disconnect = Disconnect { at_seconds: vec![5.0, 9.0] });
        let first = faults.hub_disconnect(start).await;
        assert_eq!((first - start, Instant::now() - start), (5 * SECOND, 5 * SECOND));
        let second = faults.hub_disconnect(first).await;
        assert_eq!(second - start, 9 * SECOND);
        let waiting = async { faults.hub_disconnect(second).await };
        let change = async {
            let plan = Faults { hub_disconnect: Disconnect { at_seconds: vec![2.0] }, ..Faults::default() };
            faults.set(plan, Instant::now());
        };
        let (third, ()) = tokio::join!(waiting, change);
        assert_eq!(third - start, 11 * SECOND);
    }
}
