//! Plots of what both sides used over the measured part.

use std::borrow::Cow;
use std::time::Duration;

use crate::measure::{ProcessSample, ResourceSample, RunRecord, joined};
use crate::report::html::plots::{AxisUnit, Lines, Plot, PlotKind, Shape};
use crate::report::html::series::{Columns, Number, per_point};
use crate::report::units;

const CPU: PlotKind = PlotKind {
    name: "cpu",
    title: "CPU of generator and emulator",
    words: "Cores that each process kept busy: 1.5 is one core and half of another.",
    unit: AxisUnit::Cores,
    shape: Shape::Lines,
    lines: Lines::Of(&[
        ("generator_cpu", "generator"),
        ("emulator_cpu", "emulator"),
        ("cores", "all cores of the machine"),
    ]),
    needs: &["generator_cpu", "emulator_cpu"],
};

const MEMORY: PlotKind = PlotKind {
    name: "memory",
    title: "Resident memory",
    words: "Memory that each process had resident at the end of each interval.",
    unit: AxisUnit::Bytes,
    shape: Shape::Lines,
    lines: Lines::Of(&[("generator_memory", "generator"), ("emulator_memory", "emulator")]),
    needs: &[],
};

/// Shorter than this, a point says more about the clock than about the process.
const SHORTEST: Duration = Duration::from_millis(500);

/// So many times the busy cores, and the line of all cores would press the others to the ground.
const TOO_HIGH: f64 = 4.0;

/// The columns over time: busy cores and bytes. Empty when nobody looked.
pub(super) fn columns(record: &RunRecord) -> Columns {
    let mut columns = Columns::new();
    let points = points(&record.resources);
    let all_cores = record.machine.cores as f64;
    let with_all = !record.is_merged() && points.iter().filter_map(busiest).fold(0.0, f64::max) * TOO_HIGH >= all_cores;
    for point in &points {
        let mut push =
            |name: &'static str, value: Option<f64>| columns.entry(name.into()).or_default().push(Number(value));
        push("start_s", Some(units::rounded(point.at.as_secs_f64())));
        push("generator_cpu", busy(point, point.generator).map(units::rounded));
        push("emulator_cpu", busy(point, point.emulator).map(units::rounded));
        push("generator_memory", point.generator.memory.map(|bytes| bytes as f64));
        push("emulator_memory", point.emulator.memory.map(|bytes| bytes as f64));
        push("cores", with_all.then_some(all_cores));
    }
    columns.retain(|_, values| values.iter().any(|value| value.0.is_some()));
    columns
}

/// The plots for which there is data.
pub(super) fn plots(record: &RunRecord, columns: &Columns) -> Vec<Plot> {
    let per_point = per_point(record.resources.len(), 1);
    let thinned = if per_point > 1 {
        format!(" Each point stands for {per_point} intervals; resources.csv has every one of them.")
    } else {
        String::new()
    };
    let [of_cpu, of_memory] = if record.is_merged() {
        [
            " That of the merged runs is added, second by second.".to_owned(),
            " Of the merged runs it is that of the largest process.".to_owned(),
        ]
    } else {
        [shared(record, columns), String::new()]
    };
    let plot = |kind: &PlotKind, more: &str| {
        let mut plot = kind.plot(None, columns, "time")?;
        plot.words = Cow::Owned(format!("{}{more}{thinned}", kind.words));
        Some(plot)
    };
    [plot(&CPU, &of_cpu), plot(&MEMORY, &of_memory)].into_iter().flatten().collect()
}

/// Who competes for the cores.
fn shared(record: &RunRecord, columns: &Columns) -> String {
    let cores = match record.machine.cores {
        1 => "the one core".to_owned(),
        cores => format!("the {cores} cores"),
    };
    if columns.contains_key("emulator_cpu") {
        format!(
            " Both share {cores} of the machine with everything else on it: where they need all of them, latencies are those of \
             this machine and not of a service."
        )
    } else {
        format!(
            " It shares {cores} of the machine with everything else on it. What the target used is not seen from here."
        )
    }
}

fn points(samples: &[ResourceSample]) -> Vec<ResourceSample> {
    let mut points: Vec<_> = samples.chunks(per_point(samples.len(), 1)).filter_map(joined).collect();
    if let [.., before, last] = &mut *points
        && last.length < SHORTEST
        && let Some(both) = joined(&[*before, *last])
    {
        *before = both;
        points.pop();
    }
    points
}

fn busy(point: &ResourceSample, process: ProcessSample) -> Option<f64> {
    Some(process.cpu?.as_secs_f64() / point.length.max(SHORTEST).as_secs_f64())
}

fn busiest(point: &ResourceSample) -> Option<f64> {
    busy(point, point.generator).into_iter().chain(busy(point, point.emulator)).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn of(process: ProcessSample, count: u64) -> RunRecord {
        let mut record = fixture::record();
        let length = Duration::from_secs(1);
        let sample = |at| ResourceSample { at: length * at as u32, length, generator: process, ..Default::default() };
        record.resources = (0..count).map(sample).collect();
        record
    }

    const HALF: ProcessSample =
        ProcessSample { cpu: Some(Duration::from_millis(500)), memory: Some(1_000_000), waited: None };

    #[test]
    fn nobody_looked_nothing_is_drawn() {
        let record = of(HALF, 0);
        assert!(columns(&record).is_empty());
        assert!(plots(&record, &columns(&record)).is_empty());
        assert!(plots(&record, &columns(&of(ProcessSample::default(), 3))).is_empty());
    }

    #[test]
    fn all_cores_are_a_line_unless_they_would_hide_the_others() {
        let mut record = of(HALF, 3);
        assert_eq!(columns(&record)["cores"], [Number(Some(2.0)); 3]);
        record.machine.cores = 64;
        let of_64 = columns(&record);
        assert!(!of_64.contains_key("cores") && !of_64.contains_key("emulator_cpu"));
        assert!(plots(&record, &of_64)[0].words.contains("shares the 64 cores"));
    }

    #[test]
    fn a_short_rest_is_part_of_the_point_before() {
        let mut record = of(HALF, 3);
        let last = record.resources.last_mut().unwrap();
        (last.length, last.generator.cpu) = (Duration::from_millis(100), Some(Duration::from_millis(50)));
        assert_eq!(columns(&record)["generator_cpu"], [Number(Some(0.5)); 2]);
    }

    #[test]
    fn a_run_of_days_is_drawn_with_as_many_points() {
        let record = of(HALF, 86_400);
        let columns = columns(&record);
        assert!((900..=1_000).contains(&columns["start_s"].len()));
        assert!(columns["generator_cpu"].iter().all(|value| *value == Number(Some(0.5))));
        assert!(plots(&record, &columns)[1].words.contains("Each point stands for 87 intervals"));
    }
}
