use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::{FleetTime, TimeScale};
use crate::model::{FleetWall, Moment};

/// The emulator's wall clock: that of its fleet, moved by an offset, so that certificates and tokens can be made to expire.
#[derive(Debug)]
pub(crate) struct Clock {
    origin: Instant,
    wall: RwLock<FleetWall>,
    offset_ms: AtomicI64,
}

impl Clock {
    /// One that was moved by so many milliseconds before. `start` is where a clock in virtual time begins.
    pub(crate) fn new(scale: TimeScale, start: Option<SystemTime>, offset_ms: i64) -> Self {
        let wall = RwLock::new(FleetWall::new(scale, start));
        Self { origin: Instant::now(), wall, offset_ms: AtomicI64::new(offset_ms) }
    }

    /// How fast fleet time passes.
    pub(crate) fn scale(&self) -> TimeScale {
        self.wall().scale()
    }

    /// How far it is ahead of the system's clock by what moved it, in milliseconds: time travel and the time scale.
    pub(crate) fn lead_ms(&self) -> i64 {
        let (wall, now, offset) = (self.wall(), self.moment(), self.offset_ms.load(Ordering::Relaxed));
        if wall.scale().is_real() {
            return offset;
        }
        offset.saturating_add(millis(FleetTime::between(wall.unscaled(now), wall.shows(now))))
    }

    /// Now.
    pub(crate) fn now(&self) -> SystemTime {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        let (now, by) = (self.wall().shows(self.moment()), FleetTime::from_millis(offset.unsigned_abs()));
        // Outside what the system's time can express the offset has no meaning.
        if offset.is_negative() { by.before(now).unwrap_or(now) } else { by.after(now) }
    }

    /// Moves it forward.
    pub(crate) fn advance(&self, by: FleetTime) {
        self.offset_ms.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// From `anchor` on it runs at the speed of the time scale, however late this is called. It can begin again: what it showed before is
    /// forgotten, but for time travel. Whether it had begun before.
    pub(crate) fn begin(&self, anchor: SystemTime) -> bool {
        let mut wall = self.wall.write().unwrap_or_else(PoisonError::into_inner);
        let again = wall.has_begun();
        *wall = wall.begun(anchor, self.moment());
        again
    }

    /// When it will show `wall`, as far as can be told now: time travel and the beginning may come in between.
    pub(crate) fn when(&self, wall: SystemTime) -> Option<Instant> {
        let now = self.moment();
        let takes = self.wall().takes(FleetTime::between(self.now(), wall), now);
        self.origin.checked_add(now.monotonic)?.checked_add(takes)
    }

    /// Now in whole seconds since 1970-01-01T00:00:00Z, as SAS tokens count.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }

    /// Without time travel.
    fn wall(&self) -> FleetWall {
        *self.wall.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { monotonic: self.origin.elapsed(), system: SystemTime::now() }
    }
}

fn millis(time: FleetTime) -> i64 {
    i64::try_from(time.length().as_millis()).unwrap_or(i64::MAX)
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
    use std::time::Duration;

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
        assert_eq!(
            (clock.now(), clock.lead_ms()),
            (anchor + DAY * 9 / 4, millis(FleetTime::new(DAY * 9 / 4 - SECOND * 9 / 4)))
        );
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
