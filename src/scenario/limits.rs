use std::time::Duration;

use crate::settings::Section;
use crate::settings::expect::{count, duration};

/// Bounds on the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most attempts in flight at once; `None` leaves it to the open file limit.
    pub max_in_flight: Option<u32>,
    /// Worker threads; `None` means one per available core.
    pub workers: Option<u32>,
    /// Most keys with CSR and SAS token made ahead of need.
    pub keys_ahead: u32,
    /// Longest time to make keys before the measured part begins.
    pub prepare: Duration,
    /// How long the run waits for attempts in flight after the last one could start.
    pub drain: Duration,
    /// How late one device in a hundred may start without the run being called saturated; a tenth of what an attempt takes is
    /// allowed in any case.
    pub harmless_lateness: Duration,
    /// How long attempts in flight may go on after the run was interrupted.
    pub grace: Duration,
}

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn read(mut section: Section<'_>) -> Option<Limits> {
    let max_in_flight = section.optional("max_in_flight", &count(1..=1_000_000));
    let workers = section.optional("workers", &count(1..=256));
    let keys_ahead = section.or("keys_ahead", "10000", &count(1..=1_000_000));
    let prepare = section.or("prepare", "30s", &duration(Duration::ZERO..=HOUR));
    let drain = section.or("drain", "2m", &duration(Duration::ZERO..=HOUR));
    let grace = section.or("grace", "2s", &duration(Duration::ZERO..=HOUR));
    let harmless_lateness = section.or("harmless_lateness", "50ms", &duration(Duration::ZERO..=HOUR));
    section.finish();
    Some(Limits {
        max_in_flight: max_in_flight?,
        workers: workers?,
        keys_ahead: keys_ahead?,
        prepare: prepare?,
        drain: drain?,
        grace: grace?,
        harmless_lateness: harmless_lateness?,
    })
}
