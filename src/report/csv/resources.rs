use std::io::{self, Write};
use std::time::Duration;

use crate::measure::{ProcessSample, ResourceSample, RunRecord};
use crate::report::Exporter;
use crate::report::csv::{moment, seconds, table, us};

/// `resources.csv`: one row per second, of both sides.
pub(in crate::report) struct ResourcesCsv;

const COLUMNS: [&str; 13] = [
    "started_at",
    "start_s",
    "length_us",
    "generator_cpu_us",
    "generator_memory_bytes",
    "emulator_cpu_us",
    "emulator_memory_bytes",
    "generator_wait_us",
    "emulator_wait_us",
    "cpu_pressure_us",
    "quota_periods",
    "quota_used_up",
    "quota_stopped_us",
];

impl Exporter for ResourcesCsv {
    fn file_name(&self) -> &'static str {
        "resources.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        table(to, COLUMNS, record.resources.iter().map(|sample| row(record, sample)))
    }
}

fn row(record: &RunRecord, sample: &ResourceSample) -> [String; COLUMNS.len()] {
    let ResourceSample { at, length, generator, emulator, pressure, quota } = *sample;
    let time = |time: Option<Duration>| time.map(us).unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let process = |ProcessSample { cpu, memory, waited }| [time(cpu), number(memory), time(waited)];
    let [generator_cpu, generator_memory, generator_wait] = process(generator);
    let [emulator_cpu, emulator_memory, emulator_wait] = process(emulator);
    [
        moment(record.started_at, at),
        seconds(at),
        us(length),
        generator_cpu,
        generator_memory,
        emulator_cpu,
        emulator_memory,
        generator_wait,
        emulator_wait,
        time(pressure),
        number(quota.map(|quota| quota.periods)),
        number(quota.map(|quota| quota.used_up)),
        time(quota.map(|quota| quota.stopped)),
    ]
}
