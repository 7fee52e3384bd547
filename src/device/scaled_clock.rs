use std::sync::OnceLock;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::device::WallClock;
use crate::domain::TimeScale;
use crate::model::{FleetWall, Moment};

/// The fleet's wall clock in compressed time. It runs at real speed until the measured part of a run begins, then as many
/// times faster as the time scale says. All devices of a run share one.
#[derive(Debug)]
pub struct ScaledClock {
    origin: Instant,
    before: FleetWall,
    /// Once the measured part begins.
    begun: OnceLock<FleetWall>,
}

impl ScaledClock {
    /// One that follows the machine's clock until [`Self::begin`].
    pub fn new(scale: TimeScale) -> Self {
        Self::of(FleetWall::new(scale, None))
    }

    /// One that shows `start` now and follows the runtime's clock, which tests can pause.
    pub fn starting_at(scale: TimeScale, start: SystemTime) -> Self {
        Self::of(FleetWall::new(scale, Some(start)))
    }

    fn of(before: FleetWall) -> Self {
        Self { origin: Instant::now(), before, begun: OnceLock::new() }
    }

    /// The measured part begins at `anchor`, on this clock; from then on it runs at the speed of the scale, however late
    /// this is called. The first call counts; false for any other.
    pub fn begin(&self, anchor: SystemTime) -> bool {
        self.begun.set(self.before.begun(anchor, self.moment())).is_ok()
    }

    fn moment(&self) -> Moment {
        Moment { monotonic: self.origin.elapsed(), system: SystemTime::now() }
    }
}

impl WallClock for ScaledClock {
    fn now(&self) -> SystemTime {
        self.begun.get().unwrap_or(&self.before).shows(self.moment())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::domain::FleetTime;

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
