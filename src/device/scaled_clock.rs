use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::device::WallClock;
use crate::domain::TimeScale;

/// The fleet's wall clock in compressed time. It runs at real speed until the measured part of a run begins, then as many
/// times faster as the time scale says: `anchor + (now - anchor) * scale`. All devices of a run share one.
#[derive(Debug)]
pub struct ScaledClock {
    scale: TimeScale,
    source: Source,
    anchor: OnceLock<Anchor>,
}

/// Where the time comes from until the measured part begins.
#[derive(Debug)]
enum Source {
    System,
    /// This moment, and what has passed on the runtime's clock since.
    Virtual(SystemTime, Instant),
}

/// Both clocks at one moment: from it on the wall clock follows the monotonic one, so that a system clock that is set
/// meanwhile is not magnified.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: SystemTime,
    at: Instant,
}

impl ScaledClock {
    /// One that follows the machine's clock until [`Self::begin`].
    pub const fn new(scale: TimeScale) -> Self {
        Self { scale, source: Source::System, anchor: OnceLock::new() }
    }

    /// One that shows `start` now and follows the runtime's clock, which tests can pause.
    pub fn starting_at(scale: TimeScale, start: SystemTime) -> Self {
        Self { source: Source::Virtual(start, Instant::now()), ..Self::new(scale) }
    }

    /// The measured part begins at `anchor`, on this clock; from then on it runs at the speed of the scale, however late
    /// this is called. The first call counts; false for any other.
    pub fn begin(&self, anchor: SystemTime) -> bool {
        let (now, at) = (self.source.now(), Instant::now());
        let anchor = match now.duration_since(anchor) {
            Ok(late) => Anchor { wall: later(anchor, self.scale.to_fleet(late)), at },
            Err(early) => Anchor { wall: anchor, at: at.checked_add(early.duration()).unwrap_or(at) },
        };
        self.anchor.set(anchor).is_ok()
    }
}

impl WallClock for ScaledClock {
    fn now(&self) -> SystemTime {
        let Some(Anchor { wall, at }) = self.anchor.get().copied() else { return self.source.now() };
        let now = Instant::now();
        match now.checked_duration_since(at) {
            Some(passed) => later(wall, self.scale.to_fleet(passed)),
            None => wall.checked_sub(at.duration_since(now)).unwrap_or(wall),
        }
    }
}

impl Source {
    fn now(&self) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            Self::Virtual(start, since) => later(*start, since.elapsed()),
        }
    }
}

/// Beyond what the system's time can express the clock stands still.
fn later(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn clock() -> ScaledClock {
        ScaledClock::starting_at(TimeScale::new(DAY, SECOND).unwrap(), START)
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
