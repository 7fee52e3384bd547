use serde::{Deserialize, Serialize};

use crate::measure::{ProcessSample, ResourceSample};
use crate::report::json::values::Micros;

/// What both sides used in one interval. What is not known is `null`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Resource {
    start_us: Micros,
    length_us: Micros,
    generator_cpu_us: Option<Micros>,
    generator_memory_bytes: Option<u64>,
    emulator_cpu_us: Option<Micros>,
    emulator_memory_bytes: Option<u64>,
}

impl Resource {
    pub(super) fn of(sample: &ResourceSample) -> Self {
        let ResourceSample { at, length, generator, emulator } = *sample;
        Self {
            start_us: Micros(at),
            length_us: Micros(length),
            generator_cpu_us: generator.cpu.map(Micros),
            generator_memory_bytes: generator.memory,
            emulator_cpu_us: emulator.cpu.map(Micros),
            emulator_memory_bytes: emulator.memory,
        }
    }

    pub(super) fn into_sample(self) -> ResourceSample {
        let process = |cpu: Option<Micros>, memory| ProcessSample { cpu: cpu.map(|cpu| cpu.0), memory };
        ResourceSample {
            at: self.start_us.0,
            length: self.length_us.0,
            generator: process(self.generator_cpu_us, self.generator_memory_bytes),
            emulator: process(self.emulator_cpu_us, self.emulator_memory_bytes),
        }
    }
}
