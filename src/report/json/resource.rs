use serde::{Deserialize, Serialize};

use crate::measure::{ProcessSample, QuotaUse, ResourceSample};
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
    /// How long threads of the generator could have run and waited for a core, all of them together.
    generator_wait_us: Option<Micros>,
    emulator_wait_us: Option<Micros>,
    /// How long some thread waited for a core, of the generator's cgroup where that is told, else of the machine.
    cpu_pressure_us: Option<Micros>,
    /// Periods of a cgroup's CPU quota in which anything ran; 0 when none is set.
    quota_periods: Option<u64>,
    /// Of these, periods in which the quota was used up.
    quota_used_up: Option<u64>,
    /// How long the cgroup stood still for that, on all its cores.
    quota_stopped_us: Option<Micros>,
}

impl Resource {
    pub(super) fn of(sample: &ResourceSample) -> Self {
        let ResourceSample { at, length, generator, emulator, pressure, quota } = *sample;
        Self {
            start_us: Micros(at),
            length_us: Micros(length),
            generator_cpu_us: generator.cpu.map(Micros),
            generator_memory_bytes: generator.memory,
            emulator_cpu_us: emulator.cpu.map(Micros),
            emulator_memory_bytes: emulator.memory,
            generator_wait_us: generator.waited.map(Micros),
            emulator_wait_us: emulator.waited.map(Micros),
            cpu_pressure_us: pressure.map(Micros),
            quota_periods: quota.map(|quota| quota.periods),
            quota_used_up: quota.map(|quota| quota.used_up),
            quota_stopped_us: quota.map(|quota| Micros(quota.stopped)),
        }
    }

    pub(super) fn into_sample(self) -> ResourceSample {
        let time = |time: Option<Micros>| time.map(|time| time.0);
        let process = |cpu, memory, waited| ProcessSample { cpu: time(cpu), memory, waited: time(waited) };
        let quota = self.quota_periods.zip(self.quota_used_up).zip(time(self.quota_stopped_us));
        ResourceSample {
            at: self.start_us.0,
            length: self.length_us.0,
            generator: process(self.generator_cpu_us, self.generator_memory_bytes, self.generator_wait_us),
            emulator: process(self.emulator_cpu_us, self.emulator_memory_bytes, self.emulator_wait_us),
            pressure: time(self.cpu_pressure_us),
            quota: quota.map(|((periods, used_up), stopped)| QuotaUse { periods, used_up, stopped }),
        }
    }
}
