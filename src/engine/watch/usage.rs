use std::fs;
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
    let max_rss = || u64::try_from(usage.max_rss()).unwrap_or(0) * unit;
    CpuUse {
        user: time(usage.user_time()),
        system: time(usage.system_time()),
        peak_memory: high_water("self").unwrap_or_else(max_rss),
    }
}

/// The most that was resident of a process (its number, or `self`) since it began, in bytes: `VmHWM` of proc_pid_status(5).
/// `None` where the system does not tell. What getrusage(2) counts begins with what the program had that started this one.
pub(crate) fn high_water(process: &str) -> Option<u64> {
    in_status(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn in_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
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
    fn the_most_memory_is_read() {
        assert_eq!(in_status("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 5 kB\n"), Some(1_263_616));
        for nothing in ["", "VmRSS:\t 5 kB\n", "VmHWM:\t much\n", "VmHWM:\t 99999999999999999999 kB\n"] {
            assert_eq!(in_status(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_thread_that_ran_has_used_time() {
        assert!(of_this_thread() > Duration::ZERO);
    }
}
