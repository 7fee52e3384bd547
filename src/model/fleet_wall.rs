use std::time::{Duration, SystemTime};

use crate::domain::TimeScale;

/// The wall clock of a fleet: what it showed at one moment of a monotonic clock, from which on it runs as many times faster as the
/// time scale says: `anchor + (now - anchor) * scale`. It follows the monotonic clock, so that a system clock that is set meanwhile is
/// not magnified. Before the anchor it runs at real speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetWall {
    scale: TimeScale,
    wall: SystemTime,
    at: Duration,
}

impl FleetWall {
    /// One that is anchored at `anchor`, which may be over or still to come. `wall` is what the clock shows that it follows until
    /// then, `now` the same moment on the monotonic clock.
    pub fn anchored(scale: TimeScale, anchor: SystemTime, wall: SystemTime, now: Duration) -> Self {
        match wall.duration_since(anchor) {
            Ok(late) => Self { scale, wall: scale.to_fleet(late).after(anchor), at: now },
            Err(early) => Self { scale, wall: anchor, at: now.saturating_add(early.duration()) },
        }
    }

    /// What it shows.
    pub fn shows(&self, now: Duration) -> SystemTime {
        match now.checked_sub(self.at) {
            Some(passed) => self.scale.to_fleet(passed).after(self.wall),
            None => self.wall.checked_sub(self.at - now).unwrap_or(self.wall),
        }
    }

    /// How long until it runs faster.
    pub const fn begins_in(&self, now: Duration) -> Duration {
        self.at.saturating_sub(now)
    }
}

/// So much later. Beyond what the system's time can express, time stands still.
pub fn later(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FleetTime;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn it_counts_from_its_anchor_whenever_that_is_told() {
        let scale = TimeScale::new(FleetTime::new(DAY), SECOND).unwrap();
        // Told 4 s after the start, when the monotonic clock shows 100 s.
        let anchored =
            |after: u32| FleetWall::anchored(scale, START + after * SECOND, START + 4 * SECOND, 100 * SECOND);
        let (late, early) = (anchored(3), anchored(5));
        assert_eq!(late.shows(100 * SECOND), START + 3 * SECOND + DAY);
        assert_eq!((early.shows(100 * SECOND), early.begins_in(100 * SECOND)), (START + 4 * SECOND, SECOND));
        assert_eq!(late.shows(102 * SECOND), START + 3 * SECOND + 3 * DAY);
        assert_eq!(
            (early.shows(102 * SECOND), early.begins_in(102 * SECOND)),
            (START + 5 * SECOND + DAY, Duration::ZERO)
        );
    }

    #[test]
    fn beyond_what_the_systems_time_can_express_it_stands_still() {
        assert_eq!((later(START, SECOND), later(START, Duration::MAX)), (START + SECOND, START));
    }
}
