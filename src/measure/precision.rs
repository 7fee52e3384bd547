use std::time::{Duration, SystemTime};

use crate::domain::{Quantity, Threshold};
use crate::measure::{
    Begin, CpuUse, ErrorRow, Interval, MachineUse, QuotaUse, ResourceSample, RunRecord, StageRecord, ThresholdResult,
};

impl RunRecord {
    /// As precise as files are: durations in microseconds, the start in milliseconds, shares and ratios to nine digits. A
    /// report made of the stored record is then the same to the byte as the one that the run wrote.
    #[must_use]
    pub fn at_rest(mut self) -> Self {
        let since_epoch = self.started_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.started_at = SystemTime::UNIX_EPOCH + whole(since_epoch, MILLISECOND);
        for time in [&mut self.prepare, &mut self.elapsed] {
            *time = rounded(*time);
        }
        for CpuUse { user, system, peak_memory: _ } in std::iter::once(&mut self.generator).chain(&mut self.emulator) {
            (*user, *system) = (rounded(*user), rounded(*system));
        }
        for ThresholdResult { text: _, observed, met: _, stopped_at } in &mut self.thresholds {
            *observed = observed.map(|observed| observed.map(Quantity::at_rest));
            *stopped_at = stopped_at.map(rounded);
        }
        for Threshold { abort_after, .. } in &mut self.conditions {
            *abort_after = abort_after.map(rounded);
        }
        self.health.lateness.round();
        for StageRecord { begin, start, elapsed, phases, intervals, machine, .. } in &mut self.stages {
            *begin = begin.map(|Begin { due, late }| Begin { due: rounded(due), late: rounded(late) });
            (*start, *elapsed) = (rounded(*start), rounded(*elapsed));
            phases.round();
            *machine = machine.map(MachineUse::at_rest);
            for Interval { start, length, total, .. } in intervals {
                (*start, *length) = (rounded(*start), rounded(*length));
                total.round();
            }
        }
        for ErrorRow { first, last, .. } in &mut self.errors {
            (*first, *last) = (rounded(*first), rounded(*last));
        }
        for ResourceSample { at, length, generator, emulator, pressure, quota } in &mut self.resources {
            (*at, *length) = (rounded(*at), rounded(*length));
            for process in [generator, emulator] {
                process.cpu = process.cpu.map(rounded);
                process.waited = process.waited.map(rounded);
            }
            *pressure = pressure.map(rounded);
            if let Some(QuotaUse { stopped, .. }) = quota {
                *stopped = rounded(*stopped);
            }
        }
        self
    }
}

impl Quantity {
    /// See [`RunRecord::at_rest`].
    #[must_use]
    pub fn at_rest(self) -> Self {
        let digits = |value: f64, digits: f64| (value * digits).round() / digits;
        match self {
            Self::Time(time) => Self::Time(rounded(time)),
            Self::Share(share) => Self::Share(digits(share, 1e9)),
            Self::PerSecond(rate) => Self::PerSecond(digits(rate, 1e3)),
            Self::Number(number) => Self::Number(digits(number, 1e9)),
        }
    }
}

const MILLISECOND: u128 = 1_000_000;

/// To the nearest microsecond.
pub(super) fn rounded(time: Duration) -> Duration {
    whole(time.saturating_add(Duration::from_nanos(500)), 1_000)
}

/// To the unit below, in nanoseconds.
fn whole(time: Duration, unit: u128) -> Duration {
    let nanos = time.as_nanos() / unit * unit;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 1_000 * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_the_nearest_microsecond() {
        for (nanos, kept) in [(0, 0), (499, 0), (500, 1_000), (1_499, 1_000), (7_001_500, 7_002_000)] {
            assert_eq!(rounded(Duration::from_nanos(nanos)), Duration::from_nanos(kept), "{nanos}");
        }
        assert_eq!(rounded(Duration::MAX), Duration::from_nanos(u64::MAX / 1_000 * 1_000));
    }
}
