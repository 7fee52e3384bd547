use std::time::{Duration, SystemTime};

use crate::domain::{FleetTime, TimeScale};

/// What the clocks of a machine show at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic clock, since whoever looks at it began to.
    pub monotonic: Duration,
    /// The system's clock.
    pub system: SystemTime,
}

/// The wall clock of a fleet. It runs at real speed until the measured part of a run begins, then as many times faster as the time scale
/// says: `anchor + (now - anchor) * scale`. From there it follows the monotonic clock, so that a system clock that is set meanwhile is
/// not magnified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetWall {
    scale: TimeScale,
    /// What it shows at zero of the monotonic clock, which it follows then from the first on, so that tests can pause it; otherwise it begins
    /// as the system's.
    start: Option<SystemTime>,
    begun: Option<Begun>,
}

/// It shows `wall` at `at` of the monotonic clock, and runs faster from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Begun {
    wall: SystemTime,
    at: Duration,
}

impl FleetWall {
    /// One at real speed: that of the system, or one that shows `start` at zero of the monotonic clock.
    pub const fn new(scale: TimeScale, start: Option<SystemTime>) -> Self {
        Self { scale, start, begun: None }
    }

    /// It begins at `anchor`, which may be over or still to come, by what it shows without a scale. What had begun before is forgotten.
    #[must_use]
    pub fn begun(self, anchor: SystemTime, now: Moment) -> Self {
        let begun = match self.unscaled(now).duration_since(anchor) {
            Ok(late) => Begun { wall: self.scale.to_fleet(late).after(anchor), at: now.monotonic },
            Err(early) => Begun { wall: anchor, at: now.monotonic.saturating_add(early.duration()) },
        };
        Self { begun: Some(begun), ..self }
    }

    /// Whether it was told when it begins.
    pub const fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// How fast it runs from its beginning on.
    pub const fn scale(&self) -> TimeScale {
        self.scale
    }

    /// What it shows.
    pub fn shows(&self, now: Moment) -> SystemTime {
        let Some(Begun { wall, at }) = self.begun else { return self.unscaled(now) };
        match now.monotonic.checked_sub(at) {
            Some(passed) => self.scale.to_fleet(passed).after(wall),
            None => wall.checked_sub(at - now.monotonic).unwrap_or(wall),
        }
    }

    /// What it would show if it had never begun.
    pub fn unscaled(&self, now: Moment) -> SystemTime {
        self.start.map_or(now.system, |start| later(start, now.monotonic))
    }

    /// How long it really takes to go on by so much, as far as can be told now: it may yet be told to begin.
    pub fn takes(&self, ahead: FleetTime, now: Moment) -> Duration {
        let begins_in = self.begun.map_or(Duration::MAX, |begun| begun.at.saturating_sub(now.monotonic));
        // Before it begins, its time is real time.
        let unscaled = ahead.length().min(begins_in);
        unscaled.saturating_add(self.scale.to_real(ahead.saturating_sub(FleetTime::new(unscaled))))
    }
}

/// So much later. Beyond what the system's time can express, time stands still.
pub fn later(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);
    /// How long it takes at a day in a second.
    const DAY_WITHOUT_A_SECOND: Duration = Duration::from_nanos(999_988_425);
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn it_counts_from_its_anchor_whenever_that_is_told() {
        let scale = TimeScale::new(FleetTime::new(DAY), SECOND).unwrap();
        // Told 4 s after the start, when the monotonic clock shows 100 s.
        let at = |monotonic: u32| Moment { monotonic: monotonic * SECOND, system: START + (monotonic - 96) * SECOND };
        let day = FleetTime::new(DAY);
        for start in [None, START.checked_sub(96 * SECOND)] {
            let fresh = FleetWall::new(scale, start);
            assert_eq!((fresh.has_begun(), fresh.shows(at(100))), (false, START + 4 * SECOND));
            assert_eq!(fresh.takes(day, at(100)), DAY, "as far as it knows");
            let [late, early] = [3, 5].map(|after| fresh.begun(START + after * SECOND, at(100)));
            assert_eq!(late.shows(at(100)), START + 3 * SECOND + DAY);
            assert_eq!((early.shows(at(100)), early.unscaled(at(100))), (START + 4 * SECOND, START + 4 * SECOND));
            assert_eq!((early.takes(day, at(100)), late.takes(day, at(100))), (SECOND + DAY_WITHOUT_A_SECOND, SECOND));
            assert_eq!(late.shows(at(102)), START + 3 * SECOND + 3 * DAY);
            assert_eq!((early.shows(at(102)), early.takes(day, at(102))), (START + 5 * SECOND + DAY, SECOND));
            assert_eq!(early.unscaled(at(102)), START + 6 * SECOND);
            let again = late.begun(START + 6 * SECOND, at(102));
            assert!(again.has_begun() && again.shows(at(102)) == START + 6 * SECOND);
        }
    }

    #[test]
    fn once_it_has_begun_it_does_not_follow_a_system_clock_that_is_set() {
        let scale = TimeScale::new(FleetTime::new(DAY), SECOND).unwrap();
        let at = |monotonic: u32, system| Moment { monotonic: monotonic * SECOND, system: START + system };
        let fresh = FleetWall::new(scale, None);
        assert_eq!(fresh.shows(at(1, DAY)), START + DAY);
        assert_eq!(fresh.begun(START, at(0, Duration::ZERO)).shows(at(1, 77 * DAY)), START + DAY);
    }

    #[test]
    fn beyond_what_the_systems_time_can_express_it_stands_still() {
        assert_eq!((later(START, SECOND), later(START, Duration::MAX)), (START + SECOND, START));
    }
}
