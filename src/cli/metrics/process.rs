use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// What this process uses. What the system does not tell is absent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    /// User time, system time.
    pub(super) cpu: Option<[Duration; 2]>,
    /// In bytes.
    pub(super) resident_memory: Option<u64>,
    pub(super) open_files: Option<u64>,
}

impl Process {
    pub(super) fn now() -> Self {
        let time = |time: nix::sys::time::TimeVal| {
            Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or_default())
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        Self {
            cpu: usage.map(|usage| [time(usage.user_time()), time(usage.system_time())]),
            resident_memory: fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status)),
            // The one that lists them is among them.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)),
        }
    }
}

/// `VmRSS` of proc_pid_status(5) in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\n"), Some(1_263_616));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_computes_and_has_memory_and_files() {
        let process = Process::now();
        assert!(process.cpu.is_some() && process.resident_memory > Some(1_000_000) && process.open_files > Some(2));
    }
}
