use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// The emulator's wall clock: the system's, moved by an offset, so that certificates and tokens can be made to expire.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// One that was moved by so many milliseconds before.
    pub(crate) const fn moved(offset_ms: i64) -> Self {
        Self { offset_ms: AtomicI64::new(offset_ms) }
    }

    /// How far it was moved, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Now.
    pub(crate) fn now(&self) -> SystemTime {
        let offset = self.offset_ms.load(Ordering::Relaxed);
        let (now, by) = (SystemTime::now(), Duration::from_millis(offset.unsigned_abs()));
        // Outside what the system's time can express the offset has no meaning.
        if offset < 0 { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
    }

    /// Moves it forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Now in whole seconds since 1970-01-01T00:00:00Z, as SAS tokens count.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }
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
    use super::*;

    #[test]
    fn times_have_seven_digits_of_a_second_at_dps_and_nine_at_the_hub() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_586_488_273, 27_699_700);
        assert_eq!(dps_time(at), "2020-04-10T03:11:13.0276997Z");
        assert_eq!(hub_time(at), "2020-04-10T03:11:13.027699700Z");
    }
}
