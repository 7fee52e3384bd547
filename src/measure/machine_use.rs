//! How full a machine was while a stage went on.

use std::time::Duration;

use crate::measure::precision::rounded;
use crate::measure::resources::added;
use crate::measure::{QuotaUse, ResourceSample};

/// Share of all cores from which on both processes are said to use nearly all of them.
const BUSY: f64 = 0.9;
/// Threads that wait for a core at once, on average, below which nobody does: what wakes up is never the first in the same instant.
const NOBODY: f64 = 0.1;
/// Share of the time in which somebody waits from which on cores are scarce, where it is not known who waits.
const PRESSED: f64 = 0.5;
/// Share of a stage that the machine may be full without being told.
const TOLD: f64 = 0.1;
/// Share of the periods in which a quota may be used up: percentiles up to p99 do not show it.
const HARMLESS: f64 = 0.01;

/// How full a machine was while a stage went on, by the samples taken meanwhile. Times of several machines are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MachineUse {
    /// How much of the stage was looked at.
    pub looked_at: Duration,
    /// How much of that the machine was full.
    pub full: Duration,
    /// What its cores could have computed while it was full.
    pub core_time: Duration,
    /// What the processes of the run computed while it was full, together.
    pub cpu: Duration,
    /// How long their threads waited for a core while it was full, all of them together. Absent when that is not told.
    pub waited: Option<Duration>,
    /// What the CPU quota of a cgroup did over all of the stage. Absent when that is not known.
    pub quota: Option<QuotaUse>,
}

impl MachineUse {
    /// Of what went on between two moments of the measured part, on a machine with so many cores; `None` when nobody looked.
    ///
    /// A sample is full when both processes together used 90 % of all cores; or when their threads waited for a core for as long as they
    /// ran, and one in ten of the moments: whatever they computed took twice its time. Where waits are not told, it is full when some
    /// thread waited in half of the time.
    pub fn between(samples: &[ResourceSample], span: (Duration, Duration), cores: f64) -> Option<Self> {
        // In order, so that a run of many stages is not gone through for each.
        let first = samples.partition_point(|sample| sample.at.saturating_add(sample.length) <= span.0);
        let within = samples[first..].iter().take_while(|sample| sample.at < span.1);
        let mut sum: Option<Self> = None;
        for part in within.filter_map(|sample| part(sample, span)) {
            let cpu = added(part.generator.cpu, part.emulator.cpu);
            let Some(cpu) = cpu else { continue };
            let waited = added(part.generator.waited, part.emulator.waited);
            let mut one = Self { looked_at: part.length, quota: part.quota, ..Self::default() };
            if is_full(&part, cpu, waited, cores) {
                let core_time = part.length.mul_f64(cores.max(0.0));
                one = Self { full: part.length, core_time, cpu, waited, ..one };
            }
            match &mut sum {
                Some(sum) => sum.add(&one),
                None => sum = Some(one),
            }
        }
        sum
    }

    /// Adds what follows, or another machine.
    pub fn add(&mut self, other: &Self) {
        for (sum, other) in [
            (&mut self.looked_at, other.looked_at),
            (&mut self.full, other.full),
            (&mut self.core_time, other.core_time),
            (&mut self.cpu, other.cpu),
        ] {
            *sum = sum.saturating_add(other);
        }
        self.waited = added(self.waited, other.waited);
        match (&mut self.quota, &other.quota) {
            (Some(sum), Some(other)) => sum.add(other),
            (sum, other) => *sum = sum.or(*other),
        }
    }

    /// Share of the time in which it was full, when that is so much that figures of the stage are those of the machine.
    pub fn bound(&self) -> Option<f64> {
        let share = self.full.as_secs_f64() / self.looked_at.as_secs_f64().max(f64::MIN_POSITIVE);
        (share >= TOLD).then_some(share)
    }

    /// See [`RunRecord::at_rest`](crate::measure::RunRecord::at_rest).
    #[must_use]
    pub(super) fn at_rest(self) -> Self {
        let Self { looked_at, full, core_time, cpu, waited, quota } = self;
        Self {
            looked_at: rounded(looked_at),
            full: rounded(full),
            core_time: rounded(core_time),
            cpu: rounded(cpu),
            waited: waited.map(rounded),
            quota: quota.map(|quota| QuotaUse { stopped: rounded(quota.stopped), ..quota }),
        }
    }
}

impl QuotaUse {
    /// Whether it was used up so often that figures are those of the quota: in more than one of a hundred periods.
    pub fn spoils(&self) -> bool {
        self.used_up as f64 > self.periods as f64 * HARMLESS
    }
}

fn is_full(part: &ResourceSample, cpu: Duration, waited: Option<Duration>, cores: f64) -> bool {
    let of_length = |time: Duration| time.as_secs_f64() / part.length.as_secs_f64().max(f64::MIN_POSITIVE);
    let scarce = match (waited, part.pressure) {
        (Some(waited), _) => waited >= cpu && of_length(waited) >= NOBODY,
        (None, Some(pressure)) => of_length(pressure) >= PRESSED,
        (None, None) => false,
    };
    of_length(cpu) >= BUSY * cores || scarce
}

/// What of a sample falls between two moments, as if all in it had been even; `None` when nothing does.
fn part(sample: &ResourceSample, (from, to): (Duration, Duration)) -> Option<ResourceSample> {
    let begin = sample.at.max(from);
    let length = sample.at.saturating_add(sample.length).min(to).saturating_sub(begin);
    if length.is_zero() {
        return None;
    }
    let share = (length.as_secs_f64() / sample.length.as_secs_f64()).min(1.0);
    let of = |time: Duration| time.mul_f64(share);
    let count = |count: u64| (count as f64 * share).round() as u64;
    let mut part = ResourceSample { at: begin, length, ..*sample };
    for process in [&mut part.generator, &mut part.emulator] {
        (process.cpu, process.waited) = (process.cpu.map(of), process.waited.map(of));
    }
    part.pressure = part.pressure.map(of);
    part.quota = part.quota.map(|QuotaUse { periods, used_up, stopped }| QuotaUse {
        periods: count(periods),
        used_up: count(used_up),
        stopped: of(stopped),
    });
    Some(part)
}

/// What both processes used between two moments, as one sample; `None` when nobody looked.
pub fn used_between(samples: &[ResourceSample], span: (Duration, Duration)) -> Option<ResourceSample> {
    let parts: Vec<_> = samples.iter().filter_map(|sample| part(sample, span)).collect();
    crate::measure::joined(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::ProcessSample;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A second of two cores: CPU of both sides, their waits, and the pressure, in milliseconds.
    fn second(at: u64, cpu: [Option<u64>; 2], waited: [Option<u64>; 2], pressure: Option<u64>) -> ResourceSample {
        let process =
            |side: usize| ProcessSample { cpu: cpu[side].map(ms), waited: waited[side].map(ms), memory: None };
        ResourceSample {
            at: ms(1_000 * at),
            length: ms(1_000),
            generator: process(0),
            emulator: process(1),
            pressure: pressure.map(ms),
            quota: None,
        }
    }

    fn share(samples: &[ResourceSample]) -> Option<f64> {
        let end = ms(1_000 * samples.len() as u64);
        MachineUse::between(samples, (Duration::ZERO, end), 2.0).map(|seen| seen.full.as_secs_f64() / end.as_secs_f64())
    }

    #[test]
    fn a_machine_is_full_when_both_processes_use_nearly_all_cores() {
        let both = |generator, emulator| share(&[second(0, [Some(generator), emulator], [None; 2], None)]);
        assert_eq!([both(900, Some(890)), both(900, Some(900)), both(1_800, None)], [Some(0.0), Some(1.0), Some(1.0)]);
        // One process alone is far from all cores.
        assert_eq!(both(1_000, Some(0)), Some(0.0));
    }

    #[test]
    fn a_machine_is_full_when_threads_wait_for_as_long_as_they_run() {
        let waits = |cpu, waited| share(&[second(0, [Some(cpu), Some(cpu)], [Some(waited), Some(waited)], None)]);
        assert_eq!([waits(300, 299), waits(300, 300), waits(300, 3_000)], [Some(0.0), Some(1.0), Some(1.0)]);
        // Hardly anything runs, and what does waits for an instant.
        assert_eq!([waits(2, 49), waits(2, 50)], [Some(0.0), Some(1.0)]);
        // Of one side alone it is told.
        assert_eq!(share(&[second(0, [Some(300), Some(100)], [None, Some(400)], None)]), Some(1.0));
    }

    #[test]
    fn pressure_counts_only_where_it_is_not_known_who_waits() {
        let pressed = |waited, pressure| share(&[second(0, [Some(300), None], [waited, None], pressure)]);
        assert_eq!([pressed(None, Some(499)), pressed(None, Some(500))], [Some(0.0), Some(1.0)]);
        assert_eq!(pressed(Some(10), Some(1_000)), Some(0.0), "others wait, not they");
        assert_eq!(pressed(None, None), Some(0.0));
    }

    #[test]
    fn who_did_not_look_knows_nothing() {
        assert_eq!((share(&[]), share(&[second(0, [None; 2], [Some(1); 2], Some(1))])), (None, None));
        let seconds = [second(0, [Some(2_000), None], [None; 2], None), second(1, [None; 2], [None; 2], None)];
        let seen = MachineUse::between(&seconds, (Duration::ZERO, ms(2_000)), 2.0).unwrap();
        assert_eq!((seen.looked_at, seen.full), (ms(1_000), ms(1_000)), "what was not looked at is no part");
    }

    #[test]
    fn only_what_falls_into_the_stage_counts() {
        let quota = QuotaUse { periods: 10, used_up: 4, stopped: ms(400) };
        let mut seconds: Vec<_> = (0..10).map(|at| second(at, [Some(100), None], [Some(1), None], None)).collect();
        seconds[4] = ResourceSample { quota: Some(quota), ..second(4, [Some(2_000), None], [Some(500), None], None) };
        let seen = MachineUse::between(&seconds, (ms(4_500), ms(8_500)), 2.0).unwrap();
        assert_eq!((seen.looked_at, seen.full, seen.core_time), (ms(4_000), ms(500), ms(1_000)));
        assert_eq!((seen.cpu, seen.waited), (ms(1_000), Some(ms(250))));
        assert_eq!(seen.quota, Some(QuotaUse { periods: 5, used_up: 2, stopped: ms(200) }));
        assert_eq!(MachineUse::between(&seconds, (ms(20_000), ms(30_000)), 2.0), None);
        assert_eq!(used_between(&seconds, (ms(4_500), ms(6_000))).unwrap().generator.cpu, Some(ms(1_100)));
        assert_eq!(used_between(&seconds, (ms(20_000), ms(21_000))), None);
    }

    #[test]
    fn a_tenth_of_a_stage_is_told() {
        let seen = |full| MachineUse { looked_at: ms(10_000), full: ms(full), ..MachineUse::default() }.bound();
        assert_eq!([seen(0), seen(999), seen(1_000)], [None, None, Some(0.1)]);
        assert_eq!(MachineUse::default().bound(), None);
    }

    #[test]
    fn a_quota_spoils_what_it_stops_in_more_than_one_of_a_hundred_periods() {
        let spoils = |periods, used_up| QuotaUse { periods, used_up, ..QuotaUse::default() }.spoils();
        assert_eq!(
            [spoils(0, 0), spoils(10, 0), spoils(100, 1), spoils(100, 2), spoils(5, 1)],
            [false, false, false, true, true]
        );
    }

    #[test]
    fn machines_are_added() {
        let quota = QuotaUse { periods: 3, used_up: 2, stopped: ms(1) };
        let one = MachineUse {
            looked_at: ms(5),
            full: ms(4),
            core_time: ms(8),
            cpu: ms(7),
            waited: Some(ms(2)),
            quota: Some(quota),
        };
        let mut sum = one;
        sum.add(&MachineUse { waited: None, quota: None, ..one });
        assert_eq!((sum.looked_at, sum.full, sum.core_time, sum.cpu), (ms(10), ms(8), ms(16), ms(14)));
        assert_eq!((sum.waited, sum.quota), (Some(ms(2)), Some(quota)));
        sum.add(&one);
        assert_eq!(sum.quota, Some(QuotaUse { periods: 6, used_up: 4, stopped: ms(2) }));
    }
}
