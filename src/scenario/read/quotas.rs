//! The table `[quotas]`: a profile by its name, and what is different from it.

use crate::domain::{QuotaLimits, QuotaProfile};
use crate::settings::Section;
use crate::settings::expect::{choice, count};

/// The limits that a scenario may set on their own; the emulator calls them the same.
pub(super) const LIMITS: [&str; 5] = [
    "registrations_per_minute",
    "certificates_per_minute",
    "polls_per_10_seconds",
    "renewals_per_minute",
    "hub_connections_per_second",
];

pub(super) fn read(mut section: Section<'_>) -> Option<QuotaLimits> {
    let profile = section.or("profile", QuotaProfile::default().name(), &choice(&QuotaProfile::NAMED));
    let [registrations, certificates, polls, renewals, connections] =
        LIMITS.map(|limit| section.optional(limit, &count(0..=u32::MAX)));
    let burst_periods = section.optional("burst_periods", &count(1..=100_000));
    section.finish();
    let own = QuotaLimits {
        registrations_per_minute: registrations?,
        certificates_per_minute: certificates?,
        polls_per_10_seconds: polls?,
        renewals_per_minute: renewals?,
        hub_connections_per_second: connections?,
        burst_periods: burst_periods?,
    };
    Some(profile?.limits().changed(&own))
}
