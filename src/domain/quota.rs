use crate::domain::named;

/// What the services allow; `None` is no limit. Sources: Microsoft Learn, "Quotas and limits in the Azure IoT Hub Device
/// Provisioning Service", "Certificate management in Azure IoT Hub (preview)", "IoT Hub quotas and throttling".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaLimits {
    /// Registrations of the DPS instance per minute.
    pub registrations_per_minute: Option<u32>,
    /// Certificates issued during registration per minute.
    pub certificates_per_minute: Option<u32>,
    /// Questions for the state of an operation per 10 seconds and device.
    pub polls_per_10_seconds: Option<u32>,
    /// Certificate renewals per minute.
    pub renewals_per_minute: Option<u32>,
    /// New connections with the hub per second.
    pub hub_connections_per_second: Option<u32>,
    /// How many periods' worth of a quota may be used at once; `None` is one. The service's own way is not documented.
    pub burst_periods: Option<u32>,
}

named! {
    /// A named set of quotas.
    #[derive(Default)]
    pub enum QuotaProfile {
        /// No quotas.
        #[default]
        Unlimited = "unlimited",
        /// A DPS instance and an ADR namespace as they are made; the hub has no quota.
        DpsDefault = "dps-default",
        /// A DPS instance and an ADR namespace as they are made, with a hub of one S1 unit.
        HubS1 = "hub-s1",
        /// A DPS instance and an ADR namespace as they are made, with a hub of one S2 unit.
        HubS2 = "hub-s2",
        /// A DPS instance and an ADR namespace as they are made, with a hub of one S3 unit.
        HubS3 = "hub-s3",
    }
}

impl QuotaProfile {
    /// Its values.
    pub const fn limits(self) -> QuotaLimits {
        let hub = match self {
            Self::Unlimited => return QuotaLimits::NONE,
            Self::DpsDefault => None,
            Self::HubS1 => Some(100),
            Self::HubS2 => Some(120),
            Self::HubS3 => Some(6_000),
        };
        QuotaLimits {
            registrations_per_minute: Some(1_000),
            certificates_per_minute: Some(500),
            polls_per_10_seconds: Some(5),
            renewals_per_minute: Some(500),
            hub_connections_per_second: hub,
            burst_periods: None,
        }
    }
}

impl QuotaLimits {
    /// No limit at all.
    pub const NONE: Self = Self {
        registrations_per_minute: None,
        certificates_per_minute: None,
        polls_per_10_seconds: None,
        renewals_per_minute: None,
        hub_connections_per_second: None,
        burst_periods: None,
    };

    /// How many periods' worth of a quota may be used at once.
    pub fn burst(&self) -> u32 {
        self.burst_periods.unwrap_or(1).max(1)
    }

    /// These where they say something, else those of `others`.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            registrations_per_minute: self.registrations_per_minute.or(others.registrations_per_minute),
            certificates_per_minute: self.certificates_per_minute.or(others.certificates_per_minute),
            polls_per_10_seconds: self.polls_per_10_seconds.or(others.polls_per_10_seconds),
            renewals_per_minute: self.renewals_per_minute.or(others.renewals_per_minute),
            hub_connections_per_second: self.hub_connections_per_second.or(others.hub_connections_per_second),
            burst_periods: self.burst_periods.or(others.burst_periods),
        }
    }

    /// These with changes: `None` changes nothing, 0 lifts the limit.
    #[must_use]
    pub fn changed(self, by: &Self) -> Self {
        let change = |own: Option<u32>, of_profile| own.map_or(of_profile, |own| (own > 0).then_some(own));
        Self {
            registrations_per_minute: change(by.registrations_per_minute, self.registrations_per_minute),
            certificates_per_minute: change(by.certificates_per_minute, self.certificates_per_minute),
            polls_per_10_seconds: change(by.polls_per_10_seconds, self.polls_per_10_seconds),
            renewals_per_minute: change(by.renewals_per_minute, self.renewals_per_minute),
            hub_connections_per_second: change(by.hub_connections_per_second, self.hub_connections_per_second),
            burst_periods: by.burst_periods.or(self.burst_periods),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_changed_value_by_value() {
        let own =
            QuotaLimits { registrations_per_minute: Some(200), polls_per_10_seconds: Some(0), ..QuotaLimits::NONE };
        let limits = QuotaProfile::HubS1.limits().changed(&own);
        assert_eq!((limits.registrations_per_minute, limits.polls_per_10_seconds), (Some(200), None));
        assert_eq!((limits.certificates_per_minute, limits.hub_connections_per_second), (Some(500), Some(100)));
    }
}
