//! What was measured: attempts, histograms, intervals and the record of a run. Does not know who produced the numbers.

mod aside;
mod attempt;
mod buckets;
mod certificates;
mod compact;
mod compact_phases;
mod encoding;
mod histograms;
mod identity;
mod incidence;
mod machine_use;
mod merge;
mod precision;
mod record;
mod resources;
mod skips;

pub use crate::domain::PhaseTimes;
pub use aside::Aside;
pub use attempt::{Attempt, Outcome};
pub use buckets::{Buckets, PhaseBuckets};
pub use certificates::{Certificates, ExpiryBin};
pub use compact::CompactHistogram;
pub use compact_phases::CompactPhases;
pub use encoding::{EncodingError, MOST_VALUES};
pub use histograms::{Histogram, PhaseHistograms, Recorded};
pub use identity::{Fleet, FleetClass, Identity};
pub use incidence::Incidence;
pub use machine_use::{MachineUse, used_between};
pub use merge::{MergeError, Merging, merge};
pub use record::{
    Begin, Counts, CpuLimit, CpuUse, ErrorRow, GeneratorHealth, Interval, Machine, Origin, RunRecord, RunStatus,
    Setting, StageRecord, ThresholdResult,
};
pub use resources::{ProcessSample, QuotaUse, ResourceLog, ResourceSample, joined};
pub use skips::{Skip, SkipReason};
