use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::measure::CpuUse;

/// What this process used so far; zero when the system does not tell.
pub(crate) fn own() -> CpuUse {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return CpuUse::default() };
    let time = |t: nix::sys::time::TimeVal| Duration::from_micros(u64::try_from(t.num_microseconds()).unwrap_or(0));
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    CpuUse {
        user: time(usage.user_time()),
        system: time(usage.system_time()),
        peak_memory: u64::try_from(usage.max_rss()).unwrap_or(0) * unit,
    }
}

/// CPU time since `before`, with the peak memory of now.
pub(crate) fn since(before: &CpuUse) -> CpuUse {
    let now = own();
    CpuUse {
        user: now.user.saturating_sub(before.user),
        system: now.system.saturating_sub(before.system),
        peak_memory: now.peak_memory,
    }
}

/// CPU time of the calling thread; zero when the system does not tell.
pub(crate) fn of_this_thread() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes_and_time_since_a_moment() {
        // No process with a runtime of Rust and a thousand tests takes less than a megabyte.
        assert!(own().peak_memory > 1 << 20, "{:?}", own());
        let used = since(&CpuUse::default());
        assert!(used.peak_memory > 1 << 20 && used.peak_memory <= own().peak_memory, "{used:?}");
        let later = CpuUse { user: own().user + Duration::from_secs(3_600), ..own() };
        assert_eq!(since(&later).user, Duration::ZERO, "never less than nothing");
    }

    #[test]
    fn a_thread_that_ran_has_used_time() {
        assert!(of_this_thread() > Duration::ZERO);
    }
}
