//! How scarce cores are: who waits for one, and what a quota leaves of them. Everything may be absent, in containers and with old kernels.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::measure::{CpuLimit, QuotaUse};
use crate::rig::machine::cgroup::{self, CpuCgroups};

/// Where the system tells it.
#[derive(Debug, Clone)]
pub struct Scarcity {
    root: PathBuf,
    cgroups: CpuCgroups,
}

impl Default for Scarcity {
    fn default() -> Self {
        Self::below("/")
    }
}

/// What is told at a moment, counted from long before.
#[derive(Debug, Clone, Default)]
pub(in crate::rig) struct Told {
    pressure: Option<Duration>,
    quotas: Vec<Option<QuotaUse>>,
}

/// How long each thread of a process has waited for a core.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rig) struct Waits(BTreeMap<u32, Duration>);

impl Scarcity {
    /// By the files of a system below a folder: `/`, or one that was made up.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { cgroups: CpuCgroups::of_this_process(&root), root }
    }

    /// What cgroups allow this process; `None` when nothing limits it, or that is not known.
    pub fn limit(&self) -> Option<CpuLimit> {
        self.cgroups.limit()
    }

    pub(in crate::rig) fn told(&self) -> Told {
        let machine = self.root.join("proc/pressure/cpu");
        let of_group = self.cgroups.pressure.as_deref().and_then(pressure);
        Told { pressure: of_group.or_else(|| pressure(&machine)), quotas: self.cgroups.quotas() }
    }

    /// How long the threads of a process have waited, this one without a number; `None` when it is gone, or the system does not tell.
    pub(in crate::rig) fn waits(&self, process: Option<u32>) -> Option<Waits> {
        let process = process.map_or_else(|| "self".to_owned(), |process| process.to_string());
        let threads = fs::read_dir(self.root.join("proc").join(process).join("task")).ok()?;
        let mut ran_at_all = false;
        let waits = threads.filter_map(|thread| {
            let thread = thread.ok()?;
            // One that ends meanwhile is left out.
            let (ran, waited) = schedstat(&fs::read_to_string(thread.path().join("schedstat")).ok()?)?;
            ran_at_all |= !ran.is_zero();
            Some((thread.file_name().to_str()?.parse().ok()?, waited))
        });
        let waits = Waits(waits.collect());
        // A kernel that does not count tells zeros.
        ran_at_all.then_some(waits)
    }
}

impl Told {
    /// Time in which some thread waited, from this moment to a later one.
    pub(in crate::rig) fn pressure_until(&self, next: &Self) -> Option<Duration> {
        Some(next.pressure?.saturating_sub(self.pressure?))
    }

    /// What quotas did meanwhile.
    pub(in crate::rig) fn quota_until(&self, next: &Self) -> Option<QuotaUse> {
        cgroup::between(&self.quotas, &next.quotas)
    }
}

impl Waits {
    /// How long those that are there later waited meanwhile; what others did before they ended is not told any more.
    pub(in crate::rig) fn until(&self, next: &Self) -> Duration {
        let before = |thread| self.0.get(thread).copied().unwrap_or_default();
        next.0.iter().map(|(thread, waited)| waited.saturating_sub(before(thread))).sum()
    }
}

fn pressure(path: &Path) -> Option<Duration> {
    some_total(&fs::read_to_string(path).ok()?)
}

/// The sum of the line `some` of pressure stall information (psi.rst), in microseconds.
fn some_total(text: &str) -> Option<Duration> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    Some(Duration::from_micros(total.parse().ok()?))
}

/// Time on a core and time of waiting for one, in nanoseconds (sched-stats.rst).
fn schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut numbers = text.split_whitespace().map(|number| number.parse().map(Duration::from_nanos).ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn pressure_is_the_sum_of_some() {
        let told = "some avg10=94.19 avg60=82.64 avg300=77.45 total=2493\nfull avg10=0.00 avg60=0.00 total=7\n";
        assert_eq!(some_total(told), Some(micros(2_493)));
        for unknown in ["", "full avg10=0.00 total=7", "some avg10=1.00", "some total=many", "some total=-1"] {
            assert_eq!(some_total(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_thread_tells_how_long_it_ran_and_waited() {
        assert_eq!(schedstat("433825 2946000 1\n"), Some((Duration::from_nanos(433_825), micros(2_946))));
        for unknown in ["", "5", "five 6 7", "5 -6 7"] {
            assert_eq!(schedstat(unknown), None, "{unknown:?}");
        }
    }

    /// A system whose threads of process 7 tell this.
    fn system(threads: &[(&str, &str)]) -> (tempfile::TempDir, Scarcity) {
        let root = tempfile::tempdir().unwrap();
        for (thread, told) in threads {
            let folder = root.path().join("proc/7/task").join(thread);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("schedstat"), told).unwrap();
        }
        let scarcity = Scarcity::below(root.path());
        (root, scarcity)
    }

    #[test]
    fn threads_wait_together_and_ended_ones_are_not_asked() {
        let (root, scarcity) = system(&[("7", "1000 2000 1"), ("8", "1000 5000 1"), ("9", "broken"), ("x", "1 1 1")]);
        let before = scarcity.waits(Some(7)).unwrap();
        let task = root.path().join("proc/7/task");
        fs::write(task.join("7/schedstat"), "1000 12000 1").unwrap();
        fs::remove_dir_all(task.join("8")).unwrap();
        fs::create_dir(task.join("10")).unwrap();
        fs::write(task.join("10/schedstat"), "0 3000 1").unwrap();
        let after = scarcity.waits(Some(7)).unwrap();
        assert_eq!(before.until(&after), micros(13));
        assert_eq!(after.until(&before), micros(5), "a number that began anew");
    }

    #[test]
    fn what_is_absent_or_does_not_count_is_not_known() {
        for threads in [&[][..], &[("7", "broken")], &[("7", "0 0 0"), ("8", "0 0 0")]] {
            assert_eq!(system(threads).1.waits(Some(7)), None, "{threads:?}");
        }
        let (_root, scarcity) = system(&[("7", "1 1 1")]);
        assert_eq!((scarcity.waits(None), scarcity.waits(Some(8)), scarcity.limit()), (None, None, None));
        let told = scarcity.told();
        assert_eq!((told.pressure_until(&told), told.quota_until(&told)), (None, None));
    }

    #[test]
    fn pressure_is_that_between_two_moments() {
        let at = |pressure| Told { pressure, quotas: Vec::new() };
        let between = |before, after| at(before).pressure_until(&at(after));
        assert_eq!(between(Some(micros(5)), Some(micros(8))), Some(micros(3)));
        assert_eq!((between(None, Some(micros(8))), between(Some(micros(8)), None)), (None, None));
    }

    #[test]
    fn what_this_system_tells_is_understood() {
        let scarcity = Scarcity::default();
        let (before, waits) = (scarcity.told(), scarcity.waits(None));
        let after = scarcity.told();
        let told = fs::read_to_string("/proc/pressure/cpu").is_ok();
        assert_eq!(before.pressure_until(&after).is_some(), told);
        let counts = fs::read_to_string("/proc/self/schedstat").is_ok_and(|told| !told.starts_with("0 0 "));
        assert_eq!(waits.is_some(), counts);
    }
}
