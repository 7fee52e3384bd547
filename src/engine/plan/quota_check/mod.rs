//! What a plan asks of the service's quotas: the arrivals of all stages in order of time, as far as they may run beside each
//! other, against a token bucket for each quota. Reckoned from arrivals alone: first attempts only, as if each were done at its
//! due time. Devices that are refused come again and make it worse.

mod demand;
mod loose;
mod meter;
mod pass;
mod polls;

use crate::domain::{FleetTime, QuotaLimits, named};
use crate::engine::plan::Plan;
use crate::scenario::Scenario;
pub use polls::Polls;

/// What a service limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Registrations of the DPS instance.
    Registrations,
    /// Certificates issued during registration.
    Certificates,
    /// Questions for the state of an operation, per device.
    Polls,
    /// Certificate renewals.
    Renewals,
    /// New connections with the hub.
    HubConnections,
}

/// What is asked of one quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaCheck {
    /// Which one.
    pub quota: Quota,
    /// What it allows per `period`.
    pub limit: u32,
    /// Its period.
    pub period: FleetTime,
    /// Most that is allowed within one period: more than `limit` where several periods' worth may be used at once.
    pub most: u64,
    /// What is asked for altogether; per device where the quota is.
    pub needed: u64,
    /// What it comes to.
    pub verdict: QuotaVerdict,
    /// Most that is asked for within one period by devices whose time is known; `None` when the target decides when all come.
    pub peak: Option<u64>,
    /// When the last arrival of that period comes; `None` too where every device has a quota of its own.
    pub peak_at: Option<FleetTime>,
    /// What stages have to do with the peak.
    pub peak_of: Vec<StageCount>,
    /// What is asked for by stages whose devices come when the target is ready for them.
    pub untimed: Vec<StageCount>,
    /// Arrivals of devices that a token bucket refuses, as the emulator has one: after a pause a whole period's worth is allowed
    /// at once. It may be none although the quota is exceeded.
    pub over: u64,
    /// Whose they are.
    pub over_of: Vec<StageCount>,
    /// When the quota is first exceeded.
    pub first_over: Option<FleetTime>,
    /// Arrivals altogether of the stages that have to do with the peak, or come when the target is ready.
    pub together: u64,
    /// Shortest window over which those can come evenly without any being refused; zero when all may come at
    /// once, `None` when no window is long enough.
    pub shortest_spread: Option<FleetTime>,
    /// How more is asked for when a stage begins later than it could.
    pub later: Option<Later>,
}

named! {
    /// What a check comes to.
    pub enum QuotaVerdict {
        /// No more is asked for than is allowed, within any period.
        Kept = "kept",
        /// More is asked for within some period, or devices are refused.
        Exceeded = "exceeded",
        /// It depends on when the target is ready for the devices of a closed workload.
        Unknown = "unknown",
    }
}

/// A count that is a stage's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageCount {
    /// Index of the stage.
    pub stage: usize,
    /// How many.
    pub count: u64,
}

/// A quota that is kept as long as stages begin as early as they can, and not when one is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// Index of the stage: it waits for another one to end.
    pub stage: usize,
    /// By how much later it begins.
    pub by: FleetTime,
    /// Most that is asked for within one period then.
    pub peak: u64,
    /// Arrivals that are refused at first then.
    pub over: u64,
}

/// Everything that a plan asks of quotas; those that nobody asks for are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaChecks {
    /// All stages together: whether quotas are kept. Times count from the start of the run.
    pub together: Vec<QuotaCheck>,
    /// Every stage as if it were alone. Times count from its begin.
    pub stages: Vec<Vec<QuotaCheck>>,
}

impl Quota {
    /// Those that devices share, all of them.
    const SHARED: [Self; 4] = [Self::Registrations, Self::Certificates, Self::Renewals, Self::HubConnections];

    /// The key that declares it in scenarios and files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Registrations => "registrations_per_minute",
            Self::Certificates => "certificates_per_minute",
            Self::Polls => "polls_per_10_seconds",
            Self::Renewals => "renewals_per_minute",
            Self::HubConnections => "hub_connections_per_second",
        }
    }

    /// What it counts, for a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registrations => "registrations",
            Self::Certificates => "certificates",
            Self::Polls => "polls of a device",
            Self::Renewals => "renewals",
            Self::HubConnections => "hub connections",
        }
    }

    const fn period(self) -> FleetTime {
        FleetTime::from_secs(match self {
            Self::Registrations | Self::Certificates | Self::Renewals => 60,
            Self::Polls => 10,
            Self::HubConnections => 1,
        })
    }

    const fn limit(self, limits: &QuotaLimits) -> Option<u32> {
        match self {
            Self::Registrations => limits.registrations_per_minute,
            Self::Certificates => limits.certificates_per_minute,
            Self::Polls => limits.polls_per_10_seconds,
            Self::Renewals => limits.renewals_per_minute,
            Self::HubConnections => limits.hub_connections_per_second,
        }
    }
}

/// Checks a plan against every quota that is declared and asked for. The plan should be that of the whole fleet: the service
/// counts what all shards ask for. `polls`: how devices of each class ask for the state of their registration.
///
/// Stages begin as early as they can: one that waits for others when the last device of theirs is due. Where the begin of a
/// stage could be later, and others go on meanwhile, it is also tried whether the worst moment of both together would be too
/// much.
pub fn check(scenario: &Scenario, plan: &Plan, limits: &QuotaLimits, polls: &[Polls]) -> QuotaChecks {
    pass::Reckoning { scenario, plan, limits, polls }.check()
}

#[cfg(test)]
mod tests;
