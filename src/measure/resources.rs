//! CPU and memory of both sides over time.

use std::collections::BTreeMap;
use std::time::Duration;

/// What both sides of a run used in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceSample {
    /// Start, from the start of the measured part.
    pub at: Duration,
    /// Length: about a second, more in a run of more than a day.
    pub length: Duration,
    /// Of the generator's own process.
    pub generator: ProcessSample,
    /// Of the embedded emulator. Empty when there was none, or when it had ended.
    pub emulator: ProcessSample,
    /// Time in which some thread waited for a core, of the generator's cgroup where that is told, else of the whole machine.
    /// Absent when neither is.
    pub pressure: Option<Duration>,
    /// What the CPU quota of a cgroup did to the generator. Absent when that is not known; zero when no quota is set.
    pub quota: Option<QuotaUse>,
}

/// What one process used in one interval. What is not known is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessSample {
    /// User and system time of all threads together. Per `length` it is the number of busy cores.
    pub cpu: Option<Duration>,
    /// Resident memory at the end of the interval in bytes; the largest where intervals or runs were put together.
    pub memory: Option<u64>,
    /// How long its threads could have run and waited for a core, all of them together.
    pub waited: Option<Duration>,
}

/// How far a cgroup used up the CPU time that it is allowed in each period: once it has, all that is in it stands still until the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaUse {
    /// Periods in which anything of it ran.
    pub periods: u64,
    /// Of these, periods in which the quota was used up.
    pub used_up: u64,
    /// How long it stood still for that; counted for every core on which it would have run.
    pub stopped: Duration,
}

impl QuotaUse {
    /// Adds another time or another machine.
    pub fn add(&mut self, other: &Self) {
        self.periods = self.periods.saturating_add(other.periods);
        self.used_up = self.used_up.saturating_add(other.used_up);
        self.stopped = self.stopped.saturating_add(other.stopped);
    }
}

/// The samples of a run in bounded memory: a day of seconds as they come. When there are too many, neighbours are put
/// together, and each stands for twice the time.
#[derive(Debug, Clone, Default)]
pub struct ResourceLog {
    samples: Vec<ResourceSample>,
    /// Samples that become one, less one.
    more_each: u32,
    /// How many more go into the last one.
    more: u32,
}

/// Seconds of a day. Even, so that neighbours come in pairs.
const MOST_SAMPLES: usize = 86_400;

impl ResourceLog {
    /// Adds the sample that follows the last one.
    pub fn push(&mut self, sample: ResourceSample) {
        if self.more > 0
            && let Some(last) = self.samples.last_mut()
        {
            last.join_next(&sample);
            self.more -= 1;
            return;
        }
        if self.samples.len() >= MOST_SAMPLES {
            self.samples = self.samples.chunks(2).filter_map(joined).collect();
            self.more_each = self.more_each.saturating_mul(2).saturating_add(1);
        }
        self.samples.push(sample);
        self.more = self.more_each;
    }

    /// All so far, in order.
    pub fn samples(&self) -> &[ResourceSample] {
        &self.samples
    }
}

impl ResourceSample {
    /// Goes on through the interval after this one.
    fn join_next(&mut self, next: &Self) {
        self.length = self.length.saturating_add(next.length);
        self.add(next);
    }

    /// CPU and waits are added. Of memory the larger stays: samples of the same process follow each other, and runs beside each other
    /// are of machines or processes that each need the memory of the largest, as in `peak_memory` of the merged run.
    fn add(&mut self, other: &Self) {
        for (sum, other) in [(&mut self.generator, other.generator), (&mut self.emulator, other.emulator)] {
            sum.cpu = added(sum.cpu, other.cpu);
            sum.waited = added(sum.waited, other.waited);
            sum.memory = sum.memory.max(other.memory);
        }
        self.pressure = added(self.pressure, other.pressure);
        match (&mut self.quota, &other.quota) {
            (Some(sum), Some(other)) => sum.add(other),
            (sum, other) => *sum = sum.or(*other),
        }
    }
}

/// What is not known adds nothing.
pub(super) fn added(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}

/// Samples that follow each other as one; `None` of none. As many neighbours become one point of a plot.
pub fn joined(samples: &[ResourceSample]) -> Option<ResourceSample> {
    let (first, others) = samples.split_first()?;
    let mut joined = *first;
    others.iter().for_each(|other| joined.join_next(other));
    Some(joined)
}

/// Those of two runs, as if they had begun together: on the coarser grid of both, CPU added, the larger memory.
pub(super) fn beside(one: &[ResourceSample], other: &[ResourceSample]) -> Vec<ResourceSample> {
    let grid = grid(one).max(grid(other));
    let mut sum = on_grid(one, grid);
    for (place, sample) in on_grid(other, grid) {
        sum.entry(place)
            .and_modify(|sum| {
                sum.at = sum.at.min(sample.at);
                sum.length = sum.length.max(sample.length);
                sum.add(&sample);
            })
            .or_insert(sample);
    }
    sum.into_values().collect()
}

fn on_grid(samples: &[ResourceSample], grid: Duration) -> BTreeMap<u128, ResourceSample> {
    let mut places = BTreeMap::<_, ResourceSample>::new();
    for sample in samples {
        // Begin and end are read a moment late; the middle lies in the right place all the same.
        let middle = sample.at.saturating_add(sample.length / 2);
        let place = middle.as_nanos() / grid.as_nanos().max(1);
        places.entry(place).and_modify(|first| first.join_next(sample)).or_insert(*sample);
    }
    places
}

/// How long most samples are, in whole seconds: single ones may be longer, as the machine was busy, and the last one shorter.
fn grid(samples: &[ResourceSample]) -> Duration {
    let mut lengths: Vec<_> = samples.iter().map(|sample| sample.length).collect();
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or_default();
    Duration::from_secs(median.saturating_add(Duration::from_millis(500)).as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(at: u64, cpu: u64, memory: u64) -> ResourceSample {
        let cpu = Some(Duration::from_micros(cpu));
        ResourceSample {
            at: Duration::from_secs(at),
            length: Duration::from_secs(1),
            generator: ProcessSample { cpu, memory: Some(memory), waited: cpu },
            emulator: ProcessSample::default(),
            pressure: cpu,
            quota: None,
        }
    }

    fn cpu(samples: &[ResourceSample]) -> Duration {
        samples.iter().filter_map(|sample| sample.generator.cpu).sum()
    }

    #[test]
    fn a_day_is_kept_by_the_second_and_more_in_as_much_memory() {
        let mut log = ResourceLog::default();
        let (day, days) = (86_400, 3 * 86_400 + 7);
        for at in 0..day {
            log.push(second(at, 1_000, at));
        }
        assert_eq!(log.samples().len(), MOST_SAMPLES);
        assert!(log.samples().iter().all(|sample| sample.length == Duration::from_secs(1)));
        for at in day..days {
            log.push(second(at, 1_000, at));
            assert!(log.samples().len() <= MOST_SAMPLES);
        }
        let samples = log.samples();
        assert_eq!(cpu(samples), Duration::from_millis(days));
        assert!(samples.windows(2).all(|pair| pair[0].at + pair[0].length == pair[1].at));
        let last = samples.last().unwrap();
        assert_eq!((last.at + last.length, last.generator.memory), (Duration::from_secs(days), Some(days - 1)));
        assert!(samples[..samples.len() - 1].iter().all(|sample| sample.length == Duration::from_secs(4)));
    }

    #[test]
    fn what_is_not_known_stays_absent_and_adds_nothing() {
        let mut gone = second(1, 0, 0);
        gone.generator = ProcessSample::default();
        let joined = joined(&[second(0, 5, 7), gone]).unwrap();
        assert_eq!(joined.generator, second(0, 5, 7).generator);
        assert_eq!(joined.emulator, ProcessSample::default());
        assert_eq!(joined.length, Duration::from_secs(2));
    }

    #[test]
    fn runs_are_added_second_by_second() {
        let sum = beside(&[second(0, 10, 50), second(1, 20, 60)], &[second(0, 1, 70)]);
        assert_eq!(sum, [second(0, 11, 70), second(1, 20, 60)]);
        assert_eq!(beside(&[], &[second(3, 1, 1)]), [second(3, 1, 1)]);
        assert_eq!(beside(&[], &[]), []);
    }

    #[test]
    fn a_run_of_days_and_a_short_one_meet_on_the_coarser_grid() {
        let two = |at, cpu| ResourceSample { length: Duration::from_secs(2), ..second(at, cpu, 1) };
        let sum = beside(&[two(0, 10), two(2, 10)], &[second(0, 1, 1), second(1, 1, 1), second(2, 1, 1)]);
        assert_eq!(sum, [two(0, 12), two(2, 11)]);
    }

    #[test]
    fn the_grid_is_the_length_of_most_samples_in_whole_seconds() {
        let of = |millis: &[u64]| {
            let samples: Vec<_> = millis
                .iter()
                .map(|millis| ResourceSample { length: Duration::from_millis(*millis), ..second(0, 1, 1) })
                .collect();
            grid(&samples).as_secs()
        };
        assert_eq!([of(&[]), of(&[10]), of(&[1_000, 9_000, 1_040]), of(&[4_490]), of(&[4_500])], [1, 1, 1, 4, 5]);
        assert_eq!(of(&[2_000, 2_000, 2_000, 400]), 2);
    }

    proptest! {
        #[test]
        fn no_cpu_is_lost_and_the_order_does_not_matter(
            runs in prop::collection::vec(prop::collection::vec((0u64..400, 0u64..4_000_000, 0u64..1_000), 0..20), 3),
        ) {
            let runs: Vec<Vec<ResourceSample>> = runs.iter().map(|run| {
                // Every reading is late by up to 400 ms.
                let mut at = Duration::ZERO;
                run.iter().zip(1..).map(|((late, micros, memory), end)| {
                    let end = Duration::from_secs(end) + Duration::from_millis(*late);
                    let sample = ResourceSample { at, length: end - at, ..second(0, *micros, *memory) };
                    at = end;
                    sample
                }).collect()
            }).collect();
            let all = |order: [usize; 3]| order.into_iter().fold(Vec::new(), |sum, run| beside(&sum, &runs[run]));
            let sum = all([0, 1, 2]);
            prop_assert_eq!(cpu(&sum), runs.iter().map(|run| cpu(run)).sum::<Duration>());
            prop_assert!(sum.windows(2).all(|pair| pair[0].at < pair[1].at));
            prop_assert_eq!(cpu(&all([2, 1, 0])), cpu(&sum));
            prop_assert_eq!(beside(&runs[0], &runs[1]), beside(&runs[1], &runs[0]));
        }
    }
}
