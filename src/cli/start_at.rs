//! `--start-at`: the moment at which the measured part of a run begins, the same on several machines.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::{Timestamp, civil};

use crate::cli::{Exit, Explained};
use crate::report::units;

/// A moment as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// `2026-03-01T09:30:00Z`.
    Moment(SystemTime),
    /// `09:30` or `09:30:15`, in UTC: the one that is nearest, so that one that has just passed is told.
    TimeOfDay(civil::Time),
    /// `+30s`: so long after the start of the command.
    In(Duration),
}

/// A moment at which no run can begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum StartAtError {
    /// It has passed.
    #[error("--start-at: {moment} was {} ago", units::duration(*ago))]
    #[diagnostic(help("agree on a later moment; the machines' clocks must be set (NTP)"))]
    Past {
        /// The moment.
        moment: String,
        /// How long ago.
        ago: Duration,
    },
    /// What is prepared would be too old.
    #[error("--start-at: {moment} is in {}", units::duration(*wait))]
    #[diagnostic(help(
        "all is prepared before, and waits: begin the command at most {} before that moment, which is half of \
         fleet.token_life", units::duration(*most)
    ))]
    TooFar {
        /// The moment.
        moment: String,
        /// How far away.
        wait: Duration,
        /// How far it may be away.
        most: Duration,
    },
}

impl Explained for StartAtError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let read = match text.strip_prefix('+') {
            Some(wait) => humantime::parse_duration(wait).ok().filter(|wait| *wait <= DAY).map(Self::In),
            None if text.contains(['T', 't']) => moment_of(text).map(Self::Moment),
            None => time_of_day(text).map(Self::TimeOfDay),
        };
        read.ok_or_else(|| {
            "write 2026-03-01T09:30:00Z (RFC 3339), 09:30 or 09:30:15 (UTC), or +30s (at most a day from now)"
                .to_owned()
        })
    }
}

fn moment_of(text: &str) -> Option<SystemTime> {
    let moment: Timestamp = text.parse().ok()?;
    SystemTime::try_from(moment).ok().filter(|moment| *moment >= SystemTime::UNIX_EPOCH)
}

fn time_of_day(text: &str) -> Option<civil::Time> {
    let mut numbers = text
        .split(':')
        .map(|number| number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse::<i8>().ok()).flatten());
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    if numbers.next().is_some() { None } else { civil::Time::new(hour, minute, second, 0).ok() }
}

impl StartAt {
    /// The moment that is meant now. `longest`: how long what is prepared keeps.
    ///
    /// # Errors
    /// It has passed, or is too far away.
    pub fn moment(self, now: SystemTime, longest: Duration) -> Result<SystemTime, StartAtError> {
        let moment = match self {
            Self::Moment(moment) => moment,
            Self::In(wait) => now + wait,
            Self::TimeOfDay(time) => nearest(time, now),
        };
        let written = || units::rfc3339(moment);
        match moment.duration_since(now) {
            Ok(wait) if wait > longest => Err(StartAtError::TooFar { moment: written(), wait, most: longest }),
            Ok(_) => Ok(moment),
            Err(past) => Err(StartAtError::Past { moment: written(), ago: past.duration() }),
        }
    }
}

/// The day that makes it nearest.
fn nearest(time: civil::Time, now: SystemTime) -> SystemTime {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let into_day = Duration::from_secs(since_1970.as_secs() % DAY.as_secs());
    let midnight = SystemTime::UNIX_EPOCH + (Duration::from_secs(since_1970.as_secs()) - into_day);
    let seconds = [time.hour(), time.minute(), time.second()].map(|part| u64::try_from(part).unwrap_or_default());
    let today = midnight + Duration::from_secs(seconds[0] * 3_600 + seconds[1] * 60 + seconds[2]);
    let away = |moment: &SystemTime| match moment.duration_since(now) {
        Ok(ahead) => ahead,
        Err(past) => past.duration(),
    };
    [today - DAY, today, today + DAY].into_iter().min_by_key(away).unwrap_or(today)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        moment_of(text).unwrap()
    }

    #[test]
    fn moments_are_read_in_three_ways() {
        let now = at("2026-03-01T09:29:00Z");
        let moment = |text: &str| text.parse::<StartAt>().unwrap().moment(now, DAY);
        let wanted = Ok(at("2026-03-01T09:30:00Z"));
        for text in ["2026-03-01T09:30:00Z", "2026-03-01T10:30:00+01:00", "09:30", "9:30:00", "+1m", "+60s"] {
            assert_eq!(moment(text), wanted, "{text}");
        }
        for wrong in
            ["", "soon", "09", "09:60", "24:00", "09:30:15:1", "+", "+2d", "-5s", "2026-03-01", "+9:30", "-1:30"]
        {
            assert!(wrong.parse::<StartAt>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_time_of_day_that_is_nearest_is_meant() {
        let moment = |text: &str, now: &str| text.parse::<StartAt>().unwrap().moment(at(now), DAY);
        assert_eq!(moment("00:05", "2026-03-01T23:58:00Z"), Ok(at("2026-03-02T00:05:00Z")));
        let past = moment("23:58", "2026-03-02T00:01:00Z");
        assert!(matches!(past, Err(StartAtError::Past { ago, .. }) if ago == Duration::from_secs(180)), "{past:?}");
    }

    #[test]
    fn a_moment_must_be_to_come_and_not_too_far() {
        let now = at("2026-03-01T09:00:00Z");
        let moment = |text: &str| text.parse::<StartAt>().unwrap().moment(now, Duration::from_secs(1_800));
        assert!(moment("+30m").is_ok());
        assert!(matches!(moment("+31m"), Err(StartAtError::TooFar { .. })));
        assert!(matches!(moment("2026-03-01T08:59:59Z"), Err(StartAtError::Past { .. })));
    }
}
