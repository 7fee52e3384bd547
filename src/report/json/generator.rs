//! What the run needed of the machine, and whether it was enough.

use std::io;

use serde::{Deserialize, Serialize};

use crate::measure::{self, CompactHistogram, CpuUse, GeneratorHealth, QuotaUse};
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
    /// What a cgroup allows of the cores. Absent when nothing limits them, or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cpu_limit: Option<CpuLimit>,
}

/// CPU time that may be used in each period.
#[derive(Serialize, Deserialize, Clone, Copy)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct CpuLimit {
    quota_us: Micros,
    period_us: Micros,
}

/// How full the machine was while a stage went on. Times of merged runs are added.
#[derive(Serialize, Deserialize, Clone, Copy)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct MachineUse {
    /// How much of the stage was looked at.
    looked_at_us: Micros,
    /// How much of that the machine was full.
    full_us: Micros,
    /// What its cores could have computed while it was full.
    full_core_us: Micros,
    /// What generator and embedded emulator computed while it was full.
    full_cpu_us: Micros,
    /// How long their threads waited for a core while it was full. Absent when that is not told.
    full_wait_us: Option<Micros>,
    /// Periods of a cgroup's CPU quota over all of the stage; 0 when none is set, absent when that is not known.
    quota_periods: Option<u64>,
    /// Of these, periods in which the quota was used up.
    quota_used_up: Option<u64>,
    quota_stopped_us: Option<Micros>,
}

impl MachineUse {
    pub(super) fn of(seen: &measure::MachineUse) -> Self {
        let measure::MachineUse { looked_at, full, core_time, cpu, waited, quota } = *seen;
        Self {
            looked_at_us: Micros(looked_at),
            full_us: Micros(full),
            full_core_us: Micros(core_time),
            full_cpu_us: Micros(cpu),
            full_wait_us: waited.map(Micros),
            quota_periods: quota.map(|quota| quota.periods),
            quota_used_up: quota.map(|quota| quota.used_up),
            quota_stopped_us: quota.map(|quota| Micros(quota.stopped)),
        }
    }

    pub(super) fn into_machine_use(self) -> measure::MachineUse {
        let quota = self.quota_periods.zip(self.quota_used_up).zip(self.quota_stopped_us);
        measure::MachineUse {
            looked_at: self.looked_at_us.0,
            full: self.full_us.0,
            core_time: self.full_core_us.0,
            cpu: self.full_cpu_us.0,
            waited: self.full_wait_us.map(|waited| waited.0),
            quota: quota.map(|((periods, used_up), stopped)| QuotaUse { periods, used_up, stopped: stopped.0 }),
        }
    }
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
        let measure::Machine { cpu, cores, memory, os, open_files, cpu_limit } = machine.clone();
        let limit =
            |limit: measure::CpuLimit| CpuLimit { quota_us: Micros(limit.quota), period_us: Micros(limit.period) };
        Self { cpu, cores, memory_bytes: memory, os, open_files, cpu_limit: cpu_limit.map(limit) }
    }

    pub(super) fn into_machine(self) -> measure::Machine {
        let Self { cpu, cores, memory_bytes, os, open_files, cpu_limit } = self;
        let limit = |limit: CpuLimit| measure::CpuLimit { quota: limit.quota_us.0, period: limit.period_us.0 };
        measure::Machine { cpu, cores, memory: memory_bytes, os, open_files, cpu_limit: cpu_limit.map(limit) }
    }
}
