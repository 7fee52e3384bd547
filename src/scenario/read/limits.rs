use std::time::Duration;

use crate::scenario::Limits;
use crate::settings::Section;
use crate::settings::expect::{count, duration};

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
