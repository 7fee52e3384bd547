use std::time::Duration;

use crate::scenario::Network;
use crate::settings::Section;
use crate::settings::expect::{duration, number};

/// The longest delay that a network adds: with more, nothing is a conversation any more.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A table `network`; what it does not say is inherited, or perfect.
pub(super) fn read(mut section: Section<'_>, inherited: Option<&Network>) -> Option<Network> {
    let base = inherited.copied().unwrap_or_default();
    let latency = section.inherit("latency", base.latency, &duration(Duration::ZERO..=LONGEST_DELAY));
    let jitter = section.inherit("jitter", base.jitter, &duration(Duration::ZERO..=LONGEST_DELAY));
    let reset = section.inherit("reset", base.reset, &number(0.0..=1.0));
    section.finish();
    Some(Network { latency: latency?, jitter: jitter?, reset: reset? })
}
