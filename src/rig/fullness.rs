//! Whether the machine had cores to spare: what of that goes into a record, and what is not known.

use std::time::Duration;

use crate::measure::{MachineUse, QuotaUse, ResourceSample, RunRecord};
use crate::report::units;

/// Looks at every stage by the samples of the record: how full the machine was, and whether a quota held it back.
pub(super) fn look(record: &mut RunRecord) {
    let RunRecord { stages, resources, machine, health, notes, emulator, .. } = record;
    if resources.is_empty() {
        return;
    }
    for stage in stages {
        stage.machine = MachineUse::between(resources, stage.span(), machine.cores_to_use());
        let Some(quota) = stage.machine.and_then(|seen| seen.quota) else { continue };
        let of = machine.cpu_limit.map(|limit| format!(" ({} cores)", units::cores(limit.cores()))).unwrap_or_default();
        let used_up = words(&stage.name, &of, quota);
        if quota.spoils() {
            health.saturated.push(format!(
                "{used_up}, and all that runs in it stood still until the next ({} in all, core by core): raise the limit or lower the load",
                units::duration(quota.stopped)
            ));
        } else if quota.used_up > 0 {
            notes.push(format!("{used_up}: too few to be seen in percentiles up to p99"));
        }
    }
    notes.extend(unknown(resources, emulator.is_some()));
}

fn words(stage: &str, of: &str, quota: QuotaUse) -> String {
    let [used_up, periods] = [quota.used_up, quota.periods].map(units::count);
    format!("{stage}: the CPU quota of the cgroup{of} was used up in {used_up} of {periods} periods")
}

/// What the system did not tell in all that time: that nothing is said of it does not mean that all was well.
fn unknown(samples: &[ResourceSample], embedded: bool) -> Option<String> {
    let never = |told: fn(&ResourceSample) -> bool| !samples.iter().any(told);
    let time = |time: Option<Duration>| time.is_some();
    let waits = never(|sample| sample.generator.waited.is_some());
    let unknown: Vec<_> = [
        (never(|sample| sample.generator.cpu.is_some()), "how much CPU the generator used"),
        (embedded && never(|sample| sample.emulator.cpu.is_some()), "how much CPU the embedded emulator used"),
        (
            waits && never(|sample| sample.pressure.is_some()),
            "how long threads waited for a core (neither schedstat nor pressure stall information)",
        ),
        (
            waits && samples.iter().any(|sample| time(sample.pressure)),
            "how long threads of this run waited for a core (no schedstat; pressure stall information stands in for it)",
        ),
        (never(|sample| sample.quota.is_some()), "whether a CPU quota was used up (no cgroup tells)"),
    ]
    .into_iter()
    .filter_map(|(is_unknown, what)| is_unknown.then_some(what))
    .collect();
    (!unknown.is_empty()).then(|| format!("not known of this machine: {}", unknown.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::ProcessSample;

    const SECOND: Duration = Duration::from_secs(1);

    fn sample() -> ResourceSample {
        let process = ProcessSample { cpu: Some(SECOND), memory: Some(1), waited: Some(SECOND) };
        ResourceSample {
            at: Duration::ZERO,
            length: SECOND,
            generator: process,
            emulator: process,
            pressure: Some(SECOND),
            quota: Some(QuotaUse::default()),
        }
    }

    #[test]
    fn what_is_not_told_is_called_unknown_and_each_thing_by_its_name() {
        assert_eq!(unknown(&[sample()], true), None);
        let known = ProcessSample { cpu: Some(SECOND), memory: None, waited: None };
        for (sample, told) in [
            (
                ResourceSample { generator: ProcessSample { cpu: None, ..sample().generator }, ..sample() },
                "the generator used",
            ),
            (ResourceSample { emulator: ProcessSample::default(), ..sample() }, "the embedded emulator used"),
            (ResourceSample { generator: known, ..sample() }, "stands in for it"),
            (ResourceSample { generator: known, pressure: None, ..sample() }, "neither schedstat nor pressure"),
            (ResourceSample { quota: None, ..sample() }, "whether a CPU quota was used up"),
        ] {
            let words = unknown(&[sample], true).unwrap();
            assert!(words.starts_with("not known of this machine: ") && words.contains(told), "{words}");
            assert!(!words.contains("; h") && !words.contains("; w"), "that alone: {words}");
        }
        // Where there is none, nothing of it is missing; and once is enough.
        let none = ResourceSample { emulator: ProcessSample::default(), ..sample() };
        assert_eq!((unknown(&[none], false), unknown(&[none, sample()], true)), (None, None));
    }
}
