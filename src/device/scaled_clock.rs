use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::device::WallClock;
use crate::domain::TimeScale;
use crate::model::{FleetWall, later};

/// The fleet's wall clock in compressed time. It runs at real speed until the measured part of a run begins, then as many
/// times faster as the time scale says. All devices of a run share one.
#[derive(Debug)]
pub struct ScaledClock {
    scale: TimeScale,
    /// What it shows at `origin`, following the runtime's clock from there; otherwise it follows the machine's.
    start: Option<SystemTime>,
    origin: Instant,
    fleet: OnceLock<FleetWall>,
}

impl ScaledClock {
    /// One that follows the machine's clock until [`Self::begin`].
    pub fn new(scale: TimeScale) -> Self {
        Self { scale, start: None, origin: Instant::now(), fleet: OnceLock::new() }
    }

    /// One that shows `start` now and follows the runtime's clock, which tests can pause.
    pub fn starting_at(scale: TimeScale, start: SystemTime) -> Self {
        Self { start: Some(start), ..Self::new(scale) }
    }

    /// The measured part begins at `anchor`, on this clock; from then on it runs at the speed of the scale, however late
    /// this is called. The first call counts; false for any other.
    pub fn begin(&self, anchor: SystemTime) -> bool {
        let now = self.origin.elapsed();
        self.fleet.set(FleetWall::anchored(self.scale, anchor, self.real(now), now)).is_ok()
    }

    /// Without compression.
    fn real(&self, now: Duration) -> SystemTime {
        self.start.map_or_else(SystemTime::now, |start| later(start, now))
    }
}

impl WallClock for ScaledClock {
    fn now(&self) -> SystemTime {
        let now = self.origin.elapsed();
        self.fleet.get().map_or_else(|| self.real(now), |fleet| fleet.shows(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FleetTime;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn clock() -> ScaledClock {
        ScaledClock::starting_at(TimeScale::new(FleetTime::new(DAY), SECOND).unwrap(), START)
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_faster_from_the_beginning_on() {
        let clock = clock();
        advance(5 * SECOND).await;
        assert_eq!(clock.now(), START + 5 * SECOND);
        assert!(clock.begin(START + 5 * SECOND));
        advance(3 * SECOND).await;
        assert_eq!(clock.now(), START + 5 * SECOND + 3 * DAY);
        assert!(!clock.begin(START), "the first beginning counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_beginning_counts_from_when_it_was_whenever_it_is_told() {
        let (late, early) = (clock(), clock());
        advance(4 * SECOND).await;
        late.begin(START + 3 * SECOND);
        early.begin(START + 5 * SECOND);
        assert_eq!((late.now(), early.now()), (START + 3 * SECOND + DAY, START + 4 * SECOND));
        advance(2 * SECOND).await;
        assert_eq!(late.now(), START + 3 * SECOND + 3 * DAY);
        assert_eq!(early.now(), START + 5 * SECOND + DAY);
    }

    #[tokio::test(start_paused = true)]
    async fn without_compression_it_is_the_clock_that_it_follows() {
        let clock = ScaledClock::starting_at(TimeScale::REAL, START);
        advance(SECOND).await;
        clock.begin(START);
        advance(SECOND).await;
        assert_eq!(clock.now(), START + 2 * SECOND);
    }
}
