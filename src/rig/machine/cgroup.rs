//! What a cgroup allows a process of the CPU, and how often that was used up: version 2 (cgroup-v2.rst: cpu.max, cpu.stat) and version 1
//! (sched-bwc.rst: cpu.cfs_quota_us, cpu.stat).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::measure::{CpuLimit, QuotaUse};

/// The cgroup of this process and all above it that are seen, as each may limit it.
#[derive(Debug, Clone, Default)]
pub(super) struct CpuCgroups {
    levels: Vec<Level>,
    /// Where the pressure of the innermost is told.
    pub(super) pressure: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Level {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl CpuCgroups {
    /// Those of this process, of the system below `root`; none when the system does not tell.
    pub(super) fn of_this_process(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
        let levels = |version| folders(&groups, &mounts, version, root);
        let second = levels(Version::Two);
        let pressure = second.first().map(|folder| folder.join("cpu.pressure")).filter(|path| path.exists());
        // Where both are there, the controller of the CPU is in one of them.
        let (version, folders) = match levels(Version::One) {
            none if none.is_empty() => (Version::Two, second),
            first => (Version::One, first),
        };
        Self { levels: folders.into_iter().map(|folder| Level { folder, version }).collect(), pressure }
    }

    /// The tightest limit; `None` when there is none, or it is not known.
    pub(super) fn limit(&self) -> Option<CpuLimit> {
        self.levels.iter().filter_map(Level::limit).min_by(|one, other| one.cores().total_cmp(&other.cores()))
    }

    /// What quotas did so far, level by level.
    pub(super) fn quotas(&self) -> Vec<Option<QuotaUse>> {
        self.levels.iter().map(Level::used).collect()
    }
}

impl Level {
    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    fn limit(&self) -> Option<CpuLimit> {
        match self.version {
            Version::Two => limit(&self.read("cpu.max")?),
            Version::One => limit(&format!("{} {}", self.read("cpu.cfs_quota_us")?, self.read("cpu.cfs_period_us")?)),
        }
    }

    fn used(&self) -> Option<QuotaUse> {
        used(&self.read("cpu.stat")?)
    }
}

/// What the quotas did between two readings: that of the level which used its own up most often. `None` when no level tells.
pub(super) fn between(before: &[Option<QuotaUse>], after: &[Option<QuotaUse>]) -> Option<QuotaUse> {
    let level = |(before, after): (&Option<QuotaUse>, &Option<QuotaUse>)| {
        let (before, after) = (before.as_ref()?, after.as_ref()?);
        Some(QuotaUse {
            periods: after.periods.saturating_sub(before.periods),
            used_up: after.used_up.saturating_sub(before.used_up),
            stopped: after.stopped.saturating_sub(before.stopped),
        })
    };
    before.iter().zip(after).filter_map(level).max_by_key(|used| (used.used_up, used.periods))
}

/// The folders of a process' cgroup, the innermost first: proc_pid_cgroup says which it is, proc_pid_mountinfo where it is.
fn folders(groups: &str, mounts: &str, version: Version, root: &Path) -> Vec<PathBuf> {
    let has_cpu = |list: &str| list.split(',').any(|controller| controller == "cpu");
    let group = groups.lines().find_map(|line| {
        let (id, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = match version {
            Version::One => has_cpu(controllers),
            Version::Two => id == "0" && controllers.is_empty(),
        };
        is_it.then_some(path)
    });
    let mount = mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (shown, place) = (mount.next()?, mount.next()?);
        let mut system = system.split(' ');
        let is_it = match (version, system.next()?) {
            (Version::One, "cgroup") => has_cpu(system.next_back()?),
            (Version::Two, "cgroup2") => true,
            _ => false,
        };
        is_it.then_some((shown, place))
    });
    let (Some(group), Some((shown, place))) = (group, mount) else { return Vec::new() };
    let top = root.join(place.trim_start_matches('/'));
    // A mount may show a part of the tree only; what is outside of it is seen by nobody here.
    let inside = Path::new(group).strip_prefix(shown).unwrap_or(Path::new(""));
    let is_below = inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let inside = if is_below { inside } else { Path::new("") };
    inside.ancestors().map(|part| top.join(part)).filter(|folder| folder.is_dir()).collect()
}

/// `10000 100000` or `max 100000`, in microseconds; version 1 has `-1` for none.
fn limit(text: &str) -> Option<CpuLimit> {
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().ok());
    let (quota, period) = (numbers.next()??, numbers.next()??);
    (period > 0).then(|| CpuLimit { quota: Duration::from_micros(quota), period: Duration::from_micros(period) })
}

/// What cpu.stat tells. One without periods is of a group that cannot be limited.
fn used(text: &str) -> Option<QuotaUse> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::trim);
    let number = |key: &str| value(key)?.parse::<u64>().ok();
    if value("nr_periods").is_none() {
        return number("usage_usec").map(|_| QuotaUse::default());
    }
    let stopped = match number("throttled_usec") {
        Some(micros) => Duration::from_micros(micros),
        None => Duration::from_nanos(number("throttled_time")?),
    };
    Some(QuotaUse { periods: number("nr_periods")?, used_up: number("nr_throttled")?, stopped })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str =
        "usage_usec 5\nuser_usec 4\nsystem_usec 1\nnr_periods 50\nnr_throttled 7\nthrottled_usec 650000\n";
    const ONE: &str = "nr_periods 50\nnr_throttled 7\nthrottled_time 650000000\n";
    const USED: QuotaUse = QuotaUse { periods: 50, used_up: 7, stopped: Duration::from_millis(650) };

    #[test]
    fn limits_are_read_in_the_form_of_either_version() {
        let cores = |text| limit(text).map(CpuLimit::cores);
        assert_eq!([cores("10000 100000\n"), cores("150000\n 100000\n")], [Some(0.1), Some(1.5)]);
        for none in ["max 100000\n", "-1\n 100000\n", "", "10000", "10000 0", "ten 100000"] {
            assert_eq!(limit(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_a_quota_did_is_read_in_the_form_of_either_version() {
        assert_eq!([used(TWO), used(ONE)], [Some(USED); 2]);
        assert_eq!(used("usage_usec 5\nuser_usec 4\n"), Some(QuotaUse::default()), "a root is never limited");
        let damaged = [String::new(), "garbage".to_owned(), TWO.replace(" 7", " -7"), ONE[..40].to_owned()];
        for unknown in damaged {
            assert_eq!(used(&unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn the_level_that_was_stopped_most_is_told() {
        let level = |periods, used_up| Some(QuotaUse { periods, used_up, stopped: Duration::from_millis(used_up) });
        let before = [level(10, 1), level(100, 0), None];
        let after = [level(20, 5), level(130, 2), level(9, 9)];
        assert_eq!(between(&before, &after), level(10, 4));
        assert_eq!(between(&after, &before), level(0, 0), "whoever counts anew has counted nothing");
        assert_eq!((between(&[], &[]), between(&[None], &[level(1, 1)])), (None, None));
    }

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn a_cgroup_and_those_above_it_are_found() {
        let two = system(&[
            ("proc/self/cgroup", "0::/pods/one\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"),
            ("sys/fs/cgroup/pods/one/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/pods/one/cpu.stat", &TWO.replace(" 7", " 0")),
            ("sys/fs/cgroup/pods/one/cpu.pressure", ""),
            ("sys/fs/cgroup/pods/cpu.max", "50000 100000\n"),
            ("sys/fs/cgroup/pods/cpu.stat", TWO),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 7\n"),
        ]);
        let found = CpuCgroups::of_this_process(two.path());
        assert_eq!(found.limit().map(CpuLimit::cores), Some(0.5), "that of the group above");
        assert_eq!(found.quotas(), [Some(QuotaUse { used_up: 0, ..USED }), Some(USED), Some(QuotaUse::default())]);
        assert!(found.pressure.is_some());

        let one = system(&[
            ("proc/self/cgroup", "4:cpuset:/\n3:cpu,cpuacct:/docker/abc\n0::/\n"),
            (
                "proc/self/mountinfo",
                "31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                 33 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                 34 30 0:30 /docker/abc /sys/fs/cgroup/cpu ro master:3 - cgroup cgroup rw,cpu,cpuacct\n",
            ),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/cpu.stat", ONE),
        ]);
        let found = CpuCgroups::of_this_process(one.path());
        assert_eq!((found.limit().map(CpuLimit::cores), found.quotas()), (Some(1.5), vec![Some(USED)]));
        assert!(found.pressure.is_none());
    }

    #[test]
    fn what_the_system_does_not_tell_is_not_known() {
        const MOUNT: (&str, &str) = ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        for files in [
            vec![],
            vec![("proc/self/cgroup", "0::/a\n")],
            vec![MOUNT],
            vec![("proc/self/cgroup", "garbage"), MOUNT],
            vec![("proc/self/cgroup", "0::/a\n"), ("proc/self/mountinfo", "30 - \n - cgroup2\n")],
            vec![("proc/self/cgroup", "0::/a\n"), MOUNT],
        ] {
            let found = CpuCgroups::of_this_process(system(&files).path());
            assert_eq!((found.limit(), found.quotas()), (None, Vec::new()), "{files:?}");
        }
        // Outside of what is mounted, the mount itself is all that is seen.
        let outside = system(&[("proc/self/cgroup", "0::/../other\n"), MOUNT, ("sys/fs/cgroup/cpu.stat", TWO)]);
        assert_eq!(CpuCgroups::of_this_process(outside.path()).quotas(), [Some(USED)]);
    }
}
