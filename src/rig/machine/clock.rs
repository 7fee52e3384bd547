//! The clock of the machine: certificates, tokens and folders of results are dated by it.

use std::time::{Duration, SystemTime};

use crate::report::units;

/// Seconds from 1970 to the year 9000. Certificates end in 9999 at the latest, and the fleet may live long in compressed time.
const LATEST: Duration = Duration::from_secs(221_845_392_000);

/// The clock says something by which nothing can be dated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the clock of this machine says {told}, by which no certificate, token or result can be dated")]
#[diagnostic(help(
    "set it (`date --set`, `timedatectl`), or wait until the network has: it must be from 1970 to 8999"
))]
pub struct WrongClock {
    told: String,
}

/// Whether the machine's clock is one to work by, before anything is done by it: libraries take moments before 1970 or beyond 9999
/// for broken structure.
///
/// # Errors
/// It is not.
pub fn check(now: SystemTime) -> Result<(), WrongClock> {
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since < LATEST => Ok(()),
        _ => Err(WrongClock { told: units::rfc3339(now) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_dates_something_is_worked_by() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(units::rfc3339(at(LATEST.as_secs())), "9000-01-01T00:00:00.000Z");
        for good in [at(0), at(1_700_000_000), at(LATEST.as_secs() - 1)] {
            assert_eq!(check(good), Ok(()));
        }
        let before = check(SystemTime::UNIX_EPOCH - Duration::from_secs(86_400)).unwrap_err().to_string();
        assert!(before.starts_with("the clock of this machine says 1969-12-31T00:00:00.000Z"), "{before}");
        for late in [LATEST.as_secs(), 253_402_300_800, 1 << 60] {
            assert!(check(at(late)).is_err());
        }
    }
}
