//! What this machine is and gives: its description for the record, its clock, the limit on open files, what processes use, how scarce
//! cores are.

mod cgroup;
pub mod clock;
mod open_files;
pub mod process;
mod scarcity;

use std::fs;

use crate::measure::Machine;

pub use open_files::{OpenFiles, OpenFilesError};
pub use scarcity::Scarcity;
pub(super) use scarcity::{Told, Waits};

/// Reads the machine's description; what the system does not tell becomes `unknown` or 0, or is absent.
pub fn machine(open_files: OpenFiles, scarcity: &Scarcity) -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = format!("{} {}", read("/proc/sys/kernel/ostype").trim(), read("/proc/sys/kernel/osrelease").trim());
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown CPU".to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|total| total.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()))
            .map_or(0, |kib| kib * 1024),
        os: if kernel.trim().is_empty() { std::env::consts::OS.to_owned() } else { kernel },
        open_files: open_files.limit,
        cpu_limit: scarcity.limit(),
    }
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: Example CPU\nmodel name\t: Other\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Example CPU"));
        assert_eq!(field(text, "MemTotal"), None);
    }

    #[test]
    fn this_machine_has_cores_and_memory() {
        let machine = machine(OpenFiles { limit: 7, wanted: 7 }, &Scarcity::default());
        assert!(machine.cores > 0 && machine.memory > 0);
        assert_eq!(machine.open_files, 7);
    }
}
