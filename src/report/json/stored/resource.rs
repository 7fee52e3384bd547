use serde::Deserialize;

use crate::measure::{ProcessSample, ResourceSample};
use crate::report::json::stored::values::Micros;

/// What both sides used in one interval.
#[derive(Deserialize)]
pub(super) struct Resource {
    start_us: Micros,
    length_us: Micros,
    generator_cpu_us: Option<Micros>,
    generator_memory_bytes: Option<u64>,
    emulator_cpu_us: Option<Micros>,
    emulator_memory_bytes: Option<u64>,
}

impl From<Resource> for ResourceSample {
    fn from(resource: Resource) -> Self {
        let Resource { start_us, length_us, generator_cpu_us, generator_memory_bytes, .. } = resource;
        let Resource { emulator_cpu_us, emulator_memory_bytes, .. } = resource;
        let process = |cpu: Option<Micros>, memory| ProcessSample { cpu: cpu.map(|cpu| cpu.0), memory };
        Self {
            at: start_us.0,
            length: length_us.0,
            generator: process(generator_cpu_us, generator_memory_bytes),
            emulator: process(emulator_cpu_us, emulator_memory_bytes),
        }
    }
}
