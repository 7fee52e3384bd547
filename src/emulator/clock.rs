use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::{FleetTime, TimeScale};
use crate::model::{FleetWall, later};

/// The emulator's wall clock: the system's, moved by an offset, so that certificates and tokens can be made to expire; and
/// from the beginning of the measured part on as many times faster as the time scale says.
#[derive(Debug)]
pub(crate) struct Clock {
    scale: TimeScale,
    /// What it shows at `origin`, following the runtime's clock from there; otherwise it follows the system's.
    start: Option<SystemTime>,
    origin: Instant,
    /// Set when the measured part of a run begins.
    fleet: RwLock<Option<FleetWall>>,
    offset_ms: AtomicI64,
}

impl Clock {
    /// One that was moved by so many milliseconds before. `start` is where a clock in virtual time begins.
    pub(crate) fn new(scale: TimeScale, start: Option<SystemTime>, offset_ms: i64) -> Self {
        Self { scale, start, origin: Instant::now(), fleet: RwLock::default(), offset_ms: AtomicI64::new(offset_ms) }
    }

    /// How fast fleet time passes.
    pub(crate) const fn scale(&self) -> TimeScale {
        self.scale
    }

    /// How far it is ahead of the system's clock by what moved it, in milliseconds: time travel and the time scale.
    pub(crate) fn lead_ms(&self) -> i64 {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        if self.scale.is_real() {
            return offset;
        }
        let scaled = self.unmoved().duration_since(self.real(self.origin.elapsed())).unwrap_or_default();
        offset.saturating_add(millis(scaled))
    }

    /// Now.
    pub(crate) fn now(&self) -> SystemTime {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        let (now, by) = (self.unmoved(), Duration::from_millis(offset.unsigned_abs()));
        // Outside what the system's time can express the offset has no meaning.
        if offset.is_negative() { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
    }

    /// Moves it forward.
    pub(crate) fn advance(&self, by: FleetTime) {
        self.offset_ms.fetch_add(millis(by.length()), Ordering::Relaxed);
    }

    /// From `anchor` on it runs at the speed of the time scale, however late this is called. It can begin again: what it showed before is
    /// forgotten, but for time travel. Whether it had begun before.
    pub(crate) fn begin(&self, anchor: SystemTime) -> bool {
        let now = self.origin.elapsed();
        let fleet = FleetWall::anchored(self.scale, anchor, self.real(now), now);
        self.fleet.write().unwrap_or_else(PoisonError::into_inner).replace(fleet).is_some()
    }

    /// When it will show `wall`, as far as can be told now: time travel and the beginning may come in between.
    pub(crate) fn when(&self, wall: SystemTime) -> Option<Instant> {
        let (left, now) = (wall.duration_since(self.now()).unwrap_or_default(), Instant::now());
        let begins_in = |fleet: &FleetWall| fleet.begins_in(now.duration_since(self.origin));
        let unscaled = left.min(self.fleet().as_ref().map_or(Duration::MAX, begins_in));
        now.checked_add(unscaled + self.scale.to_real(FleetTime::new(left - unscaled)))
    }

    /// Now in whole seconds since 1970-01-01T00:00:00Z, as SAS tokens count.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }

    /// Now, without time travel.
    fn unmoved(&self) -> SystemTime {
        let now = self.origin.elapsed();
        self.fleet().map_or_else(|| self.real(now), |fleet| fleet.shows(now))
    }

    fn fleet(&self) -> Option<FleetWall> {
        *self.fleet.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without time travel and time scale.
    fn real(&self, now: Duration) -> SystemTime {
        self.start.map_or_else(SystemTime::now, |start| later(start, now))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A moment as DPS writes it: `2020-04-10T03:11:13.0276997Z`.
pub(crate) fn dps_time(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string())
}

/// A moment as the hub writes it: `2026-01-31T00:49:39.467401528Z`.
pub(crate) fn hub_time(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| String::new(), |t| t.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + 20_000 * DAY
    }

    fn days_in_seconds() -> Clock {
        Clock::new(TimeScale::new(FleetTime::new(DAY), SECOND).unwrap(), Some(start()), 0)
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_at_real_speed_until_the_measured_part_begins_and_then_a_day_passes_in_a_second() {
        let clock = days_in_seconds();
        tokio::time::advance(5 * SECOND).await;
        assert_eq!(clock.now(), start() + 5 * SECOND);
        let anchor = clock.now();
        tokio::time::advance(SECOND / 4).await;
        assert!(!clock.begin(anchor));
        assert_eq!(clock.now(), anchor + DAY / 4, "as if it had been told in time");
        tokio::time::advance(2 * SECOND).await;
        assert_eq!((clock.now(), clock.lead_ms()), (anchor + DAY * 9 / 4, millis(DAY * 9 / 4 - SECOND * 9 / 4)));
        clock.advance(FleetTime::new(30 * DAY));
        assert_eq!(clock.now(), anchor + DAY * 129 / 4);
        let again = start() + 8 * SECOND;
        assert!(clock.begin(again), "another run");
        assert_eq!(clock.now(), again + 30 * DAY - SECOND * 3 / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_anchor_to_come_changes_nothing_before() {
        let clock = days_in_seconds();
        assert!(!clock.begin(start() + 3 * SECOND));
        let when = clock.when(start() + 3 * SECOND + DAY).unwrap();
        assert_eq!(when - Instant::now(), 4 * SECOND);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(clock.now(), start() + 2 * SECOND);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(clock.now(), start() + 3 * SECOND + DAY);
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_when_it_will_show_a_time() {
        let clock = days_in_seconds();
        assert_eq!(clock.when(start() + DAY).unwrap() - Instant::now(), DAY);
        clock.begin(start());
        assert_eq!(clock.when(start() + DAY).unwrap() - Instant::now(), SECOND);
        clock.advance(FleetTime::new(DAY / 2));
        assert_eq!(clock.when(start() + DAY).unwrap() - Instant::now(), SECOND / 2);
        assert_eq!(clock.when(start()), Some(Instant::now()), "it has");
    }

    #[test]
    fn without_a_scale_an_anchor_changes_nothing() {
        let clock = Clock::new(TimeScale::REAL, None, 0);
        let before = SystemTime::now();
        assert!(!clock.begin(before - DAY));
        let shown = clock.now();
        assert!(before <= shown && shown <= SystemTime::now() + SECOND && clock.lead_ms() == 0);
    }

    proptest! {
        #[test]
        fn it_never_goes_back(steps in proptest::collection::vec((0_u64..5000, any::<bool>()), 1..40), begin in 0_usize..40, late in -3000_i64..3000) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let clock = days_in_seconds();
                let mut last = clock.now();
                for (i, (step, travel)) in steps.into_iter().enumerate() {
                    tokio::time::advance(Duration::from_millis(step)).await;
                    if i == begin {
                        let by = Duration::from_millis(late.unsigned_abs());
                        clock.begin(if late < 0 { last + by } else { last - by });
                    }
                    if travel {
                        clock.advance(FleetTime::from_millis(step));
                    }
                    let now = clock.now();
                    prop_assert!(now >= last);
                    last = now;
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn times_have_seven_digits_of_a_second_at_dps_and_nine_at_the_hub() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_586_488_273, 27_699_700);
        assert_eq!(dps_time(at), "2020-04-10T03:11:13.0276997Z");
        assert_eq!(hub_time(at), "2020-04-10T03:11:13.027699700Z");
    }

    #[tokio::test(start_paused = true)]
    async fn what_moved_it_before_moves_it_still_in_either_direction() {
        for (offset, shown) in [(-5000, start() - 5 * SECOND), (0, start()), (5000, start() + 5 * SECOND)] {
            let clock = Clock::new(TimeScale::new(FleetTime::new(DAY), SECOND).unwrap(), Some(start()), offset);
            assert_eq!((clock.now(), clock.lead_ms()), (shown, offset));
            clock.begin(start());
            assert_eq!((clock.now(), clock.lead_ms()), (shown, offset));
        }
    }
}
