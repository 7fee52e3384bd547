//! What processes use: the only place that asks the system.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::time::clock_getcpuclockid;
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::engine::high_water;
use crate::measure::CpuUse;

/// What a process uses at a moment. What the system does not tell is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Process {
    /// User time, system time, since it began. To the microsecond together; of another process they are told apart in steps of 10 ms.
    pub cpu: Option<[Duration; 2]>,
    /// In bytes.
    pub resident_memory: Option<u64>,
}

impl Process {
    /// This process.
    pub fn own() -> Self {
        Self {
            // To the microsecond, which /proc does not tell.
            cpu: getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| cpu(&usage)),
            resident_memory: stat("self").and_then(|stat| stat.resident_memory()),
        }
    }

    /// User and system time together.
    pub fn cpu_total(&self) -> Option<Duration> {
        self.cpu.map(|[user, system]| user.saturating_add(system))
    }
}

/// How many files this process has open.
pub fn open_files() -> Option<u64> {
    // The one that lists them is among them.
    fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1))
}

fn cpu(usage: &Usage) -> [Duration; 2] {
    let time = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or_default());
    [time(usage.user_time()), time(usage.system_time())]
}

/// What all ended and awaited children used, from getrusage(2). `None` when the system does not tell.
fn ended_children() -> Option<CpuUse> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let [user, system] = cpu(&usage);
    // Linux counts ru_maxrss in KiB.
    Some(CpuUse { user, system, peak_memory: u64::try_from(usage.max_rss()).unwrap_or_default() * 1024 })
}

/// A child of this process, which is started later than somebody wants to look at it, and looked at after its end. No other
/// child may end in between.
#[derive(Debug, Clone, Default)]
pub struct ChildProcess(Arc<OnceLock<Started>>);

#[derive(Debug)]
struct Started {
    process: Option<Other>,
    /// What children used that ended before it: those of earlier runs.
    earlier: CpuUse,
    /// CPU that was seen, user and system.
    seen: Mutex<[Duration; 2]>,
    /// What of it was told.
    told: Mutex<[Duration; 2]>,
    /// The most resident memory in bytes when it was last looked at; 0 when that was never, or is not told.
    peak: AtomicU64,
}

impl ChildProcess {
    /// It was started; once. Without `process`, only what it used in all can be told.
    pub fn started(&self, process: Option<Other>) {
        let earlier = ended_children().unwrap_or_default();
        // A second time nothing changes.
        let _ = self.0.set(Started {
            process,
            earlier,
            seen: Mutex::default(),
            told: Mutex::default(),
            peak: AtomicU64::new(0),
        });
    }

    /// Its number, once it was started.
    pub fn id(&self) -> Option<u32> {
        Some(self.0.get()?.process?.pid)
    }

    /// What it uses now; after its end, the CPU that it used. Neither user nor system time ever becomes less.
    pub fn now(&self) -> Process {
        let Some(Started { process: Some(process), seen, peak, .. }) = self.0.get() else { return Process::default() };
        if let Some(most) = process.peak_memory() {
            peak.fetch_max(most, Ordering::Relaxed);
        }
        let Process { cpu, resident_memory } = match process.now() {
            Process { cpu: None, resident_memory: None } => {
                let whole = self.whole();
                Process { cpu: whole.map(|whole| [whole.user, whole.system]), resident_memory: None }
            }
            now => now,
        };
        let onwards = |cpu| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = onwards(*seen, cpu);
            *seen
        };
        Process { cpu: cpu.map(onwards), resident_memory }
    }

    /// What it used since this was asked last, or it was started; the peak of its memory is that of all its life until now. `None` when
    /// it was not started, or the system does not tell.
    pub fn used_since_last(&self) -> Option<CpuUse> {
        let [user, system] = self.now().cpu?;
        let Started { told, peak, .. } = self.0.get()?;
        let before = std::mem::replace(&mut *told.lock().unwrap_or_else(PoisonError::into_inner), [user, system]);
        let peak_memory = match peak.load(Ordering::Relaxed) {
            0 => self.whole()?.peak_memory,
            own => own,
        };
        let (user, system) = (user.saturating_sub(before[0]), system.saturating_sub(before[1]));
        Some(CpuUse { user, system, peak_memory })
    }

    /// What it used, once it has ended and was awaited; `None` when it was not started, or the system does not tell. The peak of
    /// its memory is that until [`Self::now`] was asked last.
    pub fn whole(&self) -> Option<CpuUse> {
        let Started { earlier, peak, .. } = self.0.get()?;
        let CpuUse { user, system, peak_memory } = ended_children()?;
        // getrusage(2) takes the largest of all children, and counts what a child still shares with its parent when it begins.
        let peak_memory = match peak.load(Ordering::Relaxed) {
            0 => peak_memory,
            own => own,
        };
        let (user, system) = (user.saturating_sub(earlier.user), system.saturating_sub(earlier.system));
        Some(CpuUse { user, system, peak_memory })
    }
}

/// User and system time now, when they were `before`: the sum of both is kept, and neither becomes less, as it might where system time comes in
/// steps and user time is the rest.
fn onwards(before: [Duration; 2], [user, system]: [Duration; 2]) -> [Duration; 2] {
    let more = (user + system).saturating_sub(before[0] + before[1]);
    let of_system = system.saturating_sub(before[1]).min(more);
    [before[0] + (more - of_system), before[1] + of_system]
}

/// Another process, which may end at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    pid: u32,
    /// Ticks since the machine began: another process with the same number began at another time.
    began: u64,
}

impl Other {
    /// A running process; `None` when there is no such, or the system does not tell.
    pub fn running(pid: u32) -> Option<Self> {
        Some(Self { pid, began: stat(&pid.to_string())?.began })
    }

    /// What it uses; nothing once it has ended, but for its CPU until its parent asks how.
    pub fn now(&self) -> Process {
        // Asked before: who is there afterwards had its number then, too.
        let cpu = self.cpu_total();
        match stat(&self.pid.to_string()) {
            Some(stat) if stat.began == self.began => {
                let exactly = |[user, system]: [Duration; 2]| match cpu {
                    Some(cpu) => [cpu.saturating_sub(system), system.min(cpu)],
                    None => [user, system],
                };
                Process { cpu: stat.cpu().map(exactly), resident_memory: stat.resident_memory().filter(|_| stat.runs) }
            }
            _ => Process::default(),
        }
    }

    /// User and system time together by the clock of whoever has its number, which does not go in steps as /proc does.
    fn cpu_total(&self) -> Option<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.pid.try_into().ok()?)).ok()?;
        let micros = Duration::from(clock.now().ok()?).as_micros();
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// The most that was resident since it began, in bytes; `None` once it has ended.
    fn peak_memory(&self) -> Option<u64> {
        let most = high_water(&self.pid.to_string())?;
        // Asked afterwards: while it is there, nobody else has its number.
        stat(&self.pid.to_string()).filter(|stat| stat.began == self.began).map(|_| most)
    }
}

/// What proc_pid_stat(5) tells, in its own units.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Neither dead nor waiting to be reaped.
    runs: bool,
    user_ticks: u64,
    system_ticks: u64,
    began: u64,
    pages: u64,
}

fn stat(process: &str) -> Option<Stat> {
    Stat::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name in brackets may hold brackets and spaces itself. Behind it comes field 3.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse().ok();
        Some(Self {
            runs: !matches!(*fields.first()?, "Z" | "X" | "x"),
            user_ticks: number(14)?,
            system_ticks: number(15)?,
            began: number(22)?,
            pages: number(24)?,
        })
    }

    fn cpu(&self) -> Option<[Duration; 2]> {
        let ticks_per_second = system_value(SysconfVar::CLK_TCK)?;
        let time = |ticks: u64| Duration::from_micros(ticks.saturating_mul(1_000_000) / ticks_per_second);
        Some([time(self.user_ticks), time(self.system_ticks)])
    }

    fn resident_memory(&self) -> Option<u64> {
        Some(self.pages.saturating_mul(system_value(SysconfVar::PAGE_SIZE)?))
    }
}

/// A value of sysconf(3) that is not zero.
fn system_value(variable: SysconfVar) -> Option<u64> {
    let value = sysconf(variable).ok()??;
    u64::try_from(value).ok().filter(|value| *value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4242 (a) b (c)) S 1 4242 4242 0 -1 4194560 1000 0 0 0 123 45 0 0 20 0 3 0 987654 12345678 2500 \
                        18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = Stat::parse(LINE).unwrap();
        assert_eq!(stat, Stat { runs: true, user_ticks: 123, system_ticks: 45, began: 987_654, pages: 2_500 });
        assert!(!Stat::parse(&LINE.replace(") S 1", ") Z 1")).unwrap().runs);
        for cut in ["", "4242", "4242 (a", "4242 (a)", "4242 (a) S 1 2", &LINE[..90]] {
            assert_eq!(Stat::parse(cut), None, "{cut}");
        }
    }

    #[test]
    fn this_process_computes_and_has_memory_and_files() {
        let process = Process::own();
        assert!(process.cpu.is_some() && process.resident_memory > Some(1_000_000) && open_files() > Some(2));
        let seen = Other::running(std::process::id()).unwrap().now();
        assert!(seen.cpu_total().is_some() && seen.resident_memory > Some(1_000_000), "{seen:?}");
    }

    #[test]
    fn another_process_is_looked_at_as_closely_as_this_one() {
        let me = Other::running(std::process::id()).unwrap();
        let total = |process: Process| process.cpu_total().unwrap();
        // It is this process, so what is seen from outside lies between what it says of itself before and after.
        let (before, seen, after) = (total(Process::own()), total(me.now()), total(Process::own()));
        assert!(before <= seen && seen <= after, "{before:?}, {seen:?}, {after:?}");
    }

    #[test]
    fn user_and_system_time_only_grow_and_their_sum_is_kept() {
        let ms = |[user, system]: [u64; 2]| [Duration::from_millis(user), Duration::from_millis(system)];
        for (before, now, then) in [
            ([0, 0], [7, 0], [7, 0]),
            // A step of system time, most of which had been counted as the user's.
            ([19, 0], [10, 10], [19, 1]),
            ([19, 1], [21, 10], [21, 10]),
            ([5, 5], [12, 3], [10, 5]),
            ([5, 5], [4, 4], [5, 5]),
        ] {
            assert_eq!(onwards(ms(before), ms(now)), ms(then), "{before:?} {now:?}");
        }
    }

    #[test]
    fn a_process_that_ended_uses_nothing() {
        use std::io::{Read as _, Write as _};
        use std::process::Stdio;
        let mut child = std::process::Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Once it answers it has memory of its own: at the very beginning it is counted as none.
        child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let process = Other::running(child.id()).unwrap();
        assert!(process.now().resident_memory > Some(0));
        let other = Other { began: process.began + 1, ..process };
        assert_eq!(other.now(), Process::default(), "another one with its number");
        let (watched, never) = (ChildProcess::default(), ChildProcess::default());
        watched.started(Some(process));
        assert!(watched.now().resident_memory > Some(0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((process.now(), Other::running(0)), (Process::default(), None));
        assert!(watched.now().cpu.is_some() && watched.now().resident_memory.is_none(), "its CPU stays known");
        let peak = watched.whole().unwrap().peak_memory;
        assert!(peak > 0 && peak < 100_000_000, "its own, not that of this process: {peak}");
        assert_eq!((never.now(), never.whole()), (Process::default(), None));
    }
}
