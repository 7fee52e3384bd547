//! What the run needed of the machine, and whether it was enough.

use std::io;

use serde::{Deserialize, Serialize};

use crate::measure::{self, CompactHistogram, CpuUse, GeneratorHealth};
use crate::report::json::encoding::{aside, encoded, histogram, quantile};
use crate::report::json::values::Micros;
use crate::report::units::rounded;

/// CPU and memory of one process.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Process {
    #[serde(skip_deserializing)]
    cpu_us: Micros,
    cpu_user_us: Micros,
    cpu_system_us: Micros,
    /// Absent when nothing succeeded.
    #[serde(skip_deserializing)]
    cpu_per_success_us: Option<f64>,
    peak_memory_bytes: u64,
}

/// Whether the generator was the bottleneck.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Health {
    /// Why it was; empty when it was not.
    saturated: Vec<String>,
    peak_in_flight: u64,
    #[serde(default)]
    peak_connected: u64,
    in_flight_limit: u64,
    #[serde(skip_deserializing)]
    lateness_p50_us: Option<Micros>,
    #[serde(skip_deserializing)]
    lateness_p99_us: Option<Micros>,
    lateness_max_us: Option<Micros>,
    lateness_min_us: Option<Micros>,
    /// Values above the range of the histogram (one hour), counted at its end.
    #[serde(default)]
    lateness_above_range: u64,
    /// How late attempts started, in nanoseconds: HdrHistogram V2, deflated, base64.
    lateness_histogram: String,
}

/// The machine of the generator.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    os: String,
    open_files: u64,
}

impl Process {
    pub(super) fn of(cpu: &CpuUse, succeeded: u64) -> Self {
        let CpuUse { user, system, peak_memory } = *cpu;
        Self {
            cpu_us: Micros(cpu.total()),
            cpu_user_us: Micros(user),
            cpu_system_us: Micros(system),
            cpu_per_success_us: (succeeded > 0).then(|| rounded(cpu.total().as_secs_f64() * 1e6 / succeeded as f64)),
            peak_memory_bytes: peak_memory,
        }
    }

    pub(super) fn into_cpu_use(self) -> CpuUse {
        CpuUse { user: self.cpu_user_us.0, system: self.cpu_system_us.0, peak_memory: self.peak_memory_bytes }
    }
}

impl Health {
    pub(super) fn of(health: &GeneratorHealth) -> io::Result<Self> {
        let GeneratorHealth { lateness, saturated, peak_in_flight, peak_connected, in_flight_limit } = health;
        let lateness = lateness.decode();
        Ok(Self {
            saturated: saturated.clone(),
            peak_in_flight: *peak_in_flight,
            peak_connected: *peak_connected,
            in_flight_limit: *in_flight_limit,
            lateness_p50_us: quantile(&lateness, 0.50),
            lateness_p99_us: quantile(&lateness, 0.99),
            lateness_max_us: quantile(&lateness, 1.0),
            lateness_min_us: quantile(&lateness, 0.0),
            lateness_above_range: lateness.saturated(),
            lateness_histogram: encoded(&lateness)?,
        })
    }

    pub(super) fn into_health(self) -> Result<GeneratorHealth, String> {
        let Self { saturated, peak_in_flight, peak_connected, in_flight_limit, .. } = self;
        let aside = aside(self.lateness_above_range, self.lateness_min_us, self.lateness_max_us);
        let lateness = histogram(&self.lateness_histogram, aside)
            .map_err(|reason| format!("health: lateness_histogram: {reason}"))?;
        let lateness = CompactHistogram::new(&lateness);
        Ok(GeneratorHealth { lateness, saturated, peak_in_flight, peak_connected, in_flight_limit })
    }
}

impl Machine {
    pub(super) fn of(machine: &measure::Machine) -> Self {
        let measure::Machine { cpu, cores, memory, os, open_files } = machine.clone();
        Self { cpu, cores, memory_bytes: memory, os, open_files }
    }

    pub(super) fn into_machine(self) -> measure::Machine {
        let Self { cpu, cores, memory_bytes, os, open_files } = self;
        measure::Machine { cpu, cores, memory: memory_bytes, os, open_files }
    }
}
