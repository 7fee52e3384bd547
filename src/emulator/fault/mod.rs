//! Faults that are injected on purpose. Each one is drawn from a stream of its own: the n-th occasion for a fault has the
//! same fate in every run with the same seed, whatever else is switched on.

mod pause;
mod plan;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::config::{Faults, HubOutageEffect, OutageEffect};
use crate::domain::{TimeScale, rng};
pub(crate) use pause::PauseWindow;
use plan::FaultPlan;
pub(crate) use plan::PlannedFault;

/// The plan of faults that holds, and its dice.
#[derive(Debug)]
pub(crate) struct FaultInjector {
    seed: u64,
    /// Times of the plan are of the fleet.
    scale: TimeScale,
    /// Whether there is any, so that the usual case costs one load.
    any: AtomicBool,
    plan: RwLock<Arc<FaultPlan>>,
    changed: Notify,
    /// Whether all connections are held up.
    pub(crate) pause: PauseWindow,
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
    const COUNT: usize = 5;

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
        let injector = Self {
            seed,
            scale,
            any: AtomicBool::new(false),
            plan: RwLock::new(Arc::new(FaultPlan::new(Faults::default(), scale, now))),
            changed: Notify::new(),
            pause: PauseWindow::none(now),
        };
        injector.set(faults, now);
        injector
    }

    /// The plan that holds, and for how long it has.
    pub(crate) fn plan(&self, now: Instant) -> (Faults, Duration) {
        let plan = self.current();
        (plan.faults.clone(), now.duration_since(plan.since))
    }

    /// Changes the plan; all times count from `now`, all dice are new.
    pub(crate) fn set(&self, faults: Faults, now: Instant) {
        let any = !faults.is_none();
        let plan = Arc::new(FaultPlan::new(faults, self.scale, now));
        self.pause.set(&plan.pause);
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
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
        if self.happens(&plan, Drawn::BeforePuback, plan.faults.drop_before_puback.probability, now) {
            return Some(Cut::BeforePuback);
        }
        self.happens(&plan, Drawn::AfterPuback, plan.faults.drop_after_puback.probability, now)
            .then_some(Cut::AfterPuback)
    }

    /// A result with status 200 is to be sent: how much later.
    pub(crate) fn result_delay(&self, now: Instant) -> Option<Duration> {
        let plan = self.active()?;
        let delay = &plan.faults.delayed_result;
        self.happens(&plan, Drawn::Result, delay.probability, now).then(|| Duration::from_millis(delay.delay_ms))
    }

    /// A request came that may be answered with a server error: the status.
    pub(crate) fn server_error(&self, now: Instant) -> Option<u16> {
        let plan = self.active()?;
        let error = &plan.faults.server_error;
        self.happens(&plan, Drawn::ServerError, error.probability, now).then_some(error.status)
    }

    /// A client connected: how long the handshake is put off.
    pub(crate) fn handshake_delay(&self, now: Instant) -> Option<Duration> {
        let plan = self.active()?;
        let delay = &plan.faults.slow_handshake;
        self.happens(&plan, Drawn::Handshake, delay.probability, now).then(|| Duration::from_millis(delay.delay_ms))
    }

    /// A certificate is wanted: whether the authority is away.
    pub(crate) fn ca_outage(&self, now: Instant) -> Option<CaOutage> {
        let plan = self.active()?;
        plan.ca_outage.contains(&now).then_some(match plan.faults.ca_outage.effect {
            OutageEffect::Wait => CaOutage::Until(plan.ca_outage.end),
            OutageEffect::Fail => CaOutage::Fails,
        })
    }

    /// Somebody connects with the hub, or is connected: whether it is away.
    pub(crate) fn hub_outage(&self, now: Instant) -> Option<HubOutageEffect> {
        let plan = self.active()?;
        plan.hub_outage.contains(&now).then_some(plan.faults.hub_outage.effect)
    }

    /// Whether sessions end with the authority that let them in.
    pub(crate) fn revocation_ends_sessions(&self) -> bool {
        self.current().faults.policy_revoked.end_sessions
    }

    /// Whether anything may go wrong at all.
    pub(crate) fn is_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Waits for the next moment of the plan. Each comes once.
    pub(crate) async fn next_moment(&self) -> PlannedFault {
        loop {
            let plan = self.current();
            let due = async {
                match plan.upcoming() {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // The change first: what the old plan had in store is not to happen any more.
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = due => {
                    if let Some(moment) = plan.take() {
                        return moment;
                    }
                }
            }
        }
    }

    fn active(&self) -> Option<Arc<FaultPlan>> {
        self.any.load(Ordering::Acquire).then(|| self.current())
    }

    fn current(&self) -> Arc<FaultPlan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn happens(&self, plan: &FaultPlan, drawn: Drawn, probability: f64, now: Instant) -> bool {
        if probability <= 0.0 || !plan.is_in_window(drawn, now) {
            return false;
        }
        rng(self.seed, drawn.stream(), plan.occasion(drawn)).random_bool(probability)
    }
}

#[cfg(test)]
impl FaultInjector {
    /// One that injects nothing yet.
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self::new(1, TimeScale::REAL, Faults::default(), Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FleetTime;
    use crate::emulator::config::{Chance, Disconnect, HubOutage, Outage, Revocation};

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
        assert_eq!((none.handshake_delay(now), none.ca_outage(now), none.hub_outage(now)), (None, None, None));
        assert!(!none.is_any());
    }

    #[tokio::test(start_paused = true)]
    async fn whether_anything_may_go_wrong_follows_the_plan() {
        let (faults, now) = injector(|faults| faults.server_error.probability = 0.5);
        assert!(faults.is_any());
        faults.set(Faults::default(), now);
        assert!(!faults.is_any());
        faults.set(Faults { hub_disconnect: Disconnect { at_seconds: vec![1.0] }, ..Faults::default() }, now);
        assert!(faults.is_any());
    }

    #[tokio::test(start_paused = true)]
    async fn every_fault_has_dice_of_its_own() {
        type Change = fn(&mut Faults);
        type Occasion = fn(&FaultInjector, Instant) -> bool;
        let cases: [(Change, Occasion); 5] = [
            (|plan| plan.drop_before_puback.probability = 0.5, |faults, now| faults.publish(now).is_some()),
            (|plan| plan.drop_after_puback.probability = 0.5, |faults, now| faults.publish(now).is_some()),
            (|plan| plan.delayed_result.probability = 0.5, |faults, now| faults.result_delay(now).is_some()),
            (|plan| plan.server_error.probability = 0.5, |faults, now| faults.server_error(now).is_some()),
            (|plan| plan.slow_handshake.probability = 0.5, |faults, now| faults.handshake_delay(now).is_some()),
        ];
        let fates = cases.map(|(plan, happens)| {
            let (faults, now) = injector(plan);
            (0..64).map(|_| happens(&faults, now)).collect::<Vec<_>>()
        });
        for (i, one) in fates.iter().enumerate() {
            assert!(!fates[..i].contains(one), "{i}");
        }
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
    async fn moments_come_in_order_each_once_and_a_new_plan_counts_at_once() {
        let (faults, start) = injector(|faults| {
            faults.hub_disconnect = Disconnect { at_seconds: vec![0.0, 9.0] };
            faults.hub_outage = HubOutage { from_seconds: 5.0, for_seconds: 1.0, ..HubOutage::default() };
            faults.policy_revoked =
                Revocation { at_seconds: vec![3.0, 9.0], sync_after_seconds: 1.0, ..Revocation::default() };
        });
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push((faults.next_moment().await, (Instant::now() - start).as_secs()));
        }
        let expected = [
            (PlannedFault::EndHubSessions, 0),
            (PlannedFault::RevokePolicy, 3),
            (PlannedFault::SyncCredentials, 4),
            (PlannedFault::EndHubSessions, 5),
            (PlannedFault::RevokePolicy, 9),
            (PlannedFault::EndHubSessions, 9),
        ];
        assert_eq!(seen, expected);
        let change = async {
            let plan = Faults { hub_disconnect: Disconnect { at_seconds: vec![2.0] }, ..Faults::default() };
            faults.set(plan, Instant::now());
        };
        let (moment, ()) = tokio::join!(faults.next_moment(), change);
        assert_eq!((moment, Instant::now() - start), (PlannedFault::EndHubSessions, 11 * SECOND));
        faults.restart(Instant::now());
        assert_eq!((faults.next_moment().await, Instant::now() - start), (PlannedFault::EndHubSessions, 13 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn times_are_of_the_fleet_and_delays_are_not() {
        let minute = TimeScale::new(FleetTime::from_secs(60), SECOND).unwrap();
        let mut plan = Faults::default();
        plan.delayed_result.probability = 1.0;
        plan.delayed_result.from_seconds = 60.0;
        plan.delayed_result.delay_ms = 500;
        plan.slow_handshake = plan.delayed_result.clone();
        plan.hub_outage = HubOutage { from_seconds: 120.0, for_seconds: 60.0, effect: HubOutageEffect::Drop };
        let start = Instant::now();
        let faults = FaultInjector::new(1, minute, plan, start);
        let delay = Some(SECOND / 2);
        assert_eq!([0, 1].map(|s| faults.result_delay(start + s * SECOND)), [None, delay]);
        assert_eq!([0, 1].map(|s| faults.handshake_delay(start + s * SECOND)), [None, delay]);
        let away = Some(HubOutageEffect::Drop);
        assert_eq!([1, 2, 3].map(|s| faults.hub_outage(start + s * SECOND)), [None, away, None]);
    }
}
