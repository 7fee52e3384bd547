use std::io::{self, Write};

use crate::measure::{ProcessSample, ResourceSample, RunRecord};
use crate::report::Exporter;
use crate::report::csv::{moment, seconds, table, us};

/// `resources.csv`: one row per second, of both sides.
pub(in crate::report) struct ResourcesCsv;

const COLUMNS: [&str; 7] = [
    "started_at",
    "start_s",
    "length_us",
    "generator_cpu_us",
    "generator_memory_bytes",
    "emulator_cpu_us",
    "emulator_memory_bytes",
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
    let ResourceSample { at, length, generator, emulator } = *sample;
    let process = |ProcessSample { cpu, memory }: ProcessSample| {
        [cpu.map(us).unwrap_or_default(), memory.map(|bytes| bytes.to_string()).unwrap_or_default()]
    };
    let [generator_cpu, generator_memory] = process(generator);
    let [emulator_cpu, emulator_memory] = process(emulator);
    [
        moment(record.started_at, at),
        seconds(at),
        us(length),
        generator_cpu,
        generator_memory,
        emulator_cpu,
        emulator_memory,
    ]
}
