use serde::Serialize;

use crate::measure::{ProcessSample, ResourceSample};
use crate::report::csv::duration_micros;

/// What both sides used in one interval. What is not known is `null`.
#[derive(Serialize)]
pub(super) struct Resource {
    start_us: u64,
    length_us: u64,
    generator_cpu_us: Option<u64>,
    generator_memory_bytes: Option<u64>,
    emulator_cpu_us: Option<u64>,
    emulator_memory_bytes: Option<u64>,
}

impl Resource {
    pub(super) fn of(sample: &ResourceSample) -> Self {
        let ResourceSample { at, length, generator, emulator } = *sample;
        let process = |ProcessSample { cpu, memory }| (cpu.map(duration_micros), memory);
        let (generator_cpu_us, generator_memory_bytes) = process(generator);
        let (emulator_cpu_us, emulator_memory_bytes) = process(emulator);
        Self {
            start_us: duration_micros(at),
            length_us: duration_micros(length),
            generator_cpu_us,
            generator_memory_bytes,
            emulator_cpu_us,
            emulator_memory_bytes,
        }
    }
}
