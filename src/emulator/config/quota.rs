use serde::{Deserialize, Serialize};

use super::ConfigError;

/// A named set of quotas (`quota`, `--profile`). Each value can be changed on its own in `[quotas]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// No quotas.
    #[default]
    Unlimited,
    /// A DPS instance and an ADR namespace as they are made; the hub has no quota.
    DpsDefault,
    /// The same, with a hub of one S1 unit.
    HubS1,
    /// The same, with a hub of one S2 unit.
    HubS2,
    /// The same, with a hub of one S3 unit.
    HubS3,
}

impl Profile {
    /// Every profile, with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("unlimited", Self::Unlimited),
        ("dps-default", Self::DpsDefault),
        ("hub-s1", Self::HubS1),
        ("hub-s2", Self::HubS2),
        ("hub-s3", Self::HubS3),
    ];

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, profile)| (known == name).then_some(profile))
    }

    /// Its values. Sources: Microsoft Learn, "Quotas and limits in the Azure IoT Hub Device Provisioning Service",
    /// "Certificate management in Azure IoT Hub (preview)", "IoT Hub quotas and throttling".
    const fn limits(self) -> Limits {
        let hub = match self {
            Self::Unlimited => return Limits::NONE,
            Self::DpsDefault => None,
            Self::HubS1 => Some(100),
            Self::HubS2 => Some(120),
            Self::HubS3 => Some(6000),
        };
        Limits {
            registrations_per_minute: Some(1000),
            certificates_per_minute: Some(500),
            polls_per_10_seconds: Some(5),
            renewals_per_minute: Some(500),
            hub_connections_per_second: hub,
        }
    }
}

/// What is different from the profile (`[quotas]`). 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
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
    /// `retry-after` of a 429 for registrations, certificates and renewals, in seconds. For polls it is the time until the
    /// next one is allowed.
    pub retry_after_seconds: u32,
    /// What happens to new connections with the hub over the quota.
    pub hub_connections_over: Excess,
}

/// What happens to what is over a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excess {
    /// It is refused: CONNACK 3.
    #[default]
    Refuse,
    /// It waits until the quota allows it, up to a minute, and is refused when that would not be enough.
    Delay,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            registrations_per_minute: None,
            certificates_per_minute: None,
            polls_per_10_seconds: None,
            renewals_per_minute: None,
            hub_connections_per_second: None,
            retry_after_seconds: 30,
            hub_connections_over: Excess::default(),
        }
    }
}

/// The quotas that hold; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) registrations_per_minute: Option<u32>,
    pub(crate) certificates_per_minute: Option<u32>,
    pub(crate) polls_per_10_seconds: Option<u32>,
    pub(crate) renewals_per_minute: Option<u32>,
    pub(crate) hub_connections_per_second: Option<u32>,
}

impl Limits {
    const NONE: Self = Self {
        registrations_per_minute: None,
        certificates_per_minute: None,
        polls_per_10_seconds: None,
        renewals_per_minute: None,
        hub_connections_per_second: None,
    };
}

impl Quotas {
    /// The quotas of `profile` with these changes.
    pub(crate) fn limits(&self, profile: Profile) -> Limits {
        let of_profile = profile.limits();
        let changed = |own: Option<u32>, default| own.map_or(default, |own| (own > 0).then_some(own));
        Limits {
            registrations_per_minute: changed(self.registrations_per_minute, of_profile.registrations_per_minute),
            certificates_per_minute: changed(self.certificates_per_minute, of_profile.certificates_per_minute),
            polls_per_10_seconds: changed(self.polls_per_10_seconds, of_profile.polls_per_10_seconds),
            renewals_per_minute: changed(self.renewals_per_minute, of_profile.renewals_per_minute),
            hub_connections_per_second: changed(self.hub_connections_per_second, of_profile.hub_connections_per_second),
        }
    }

    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        // Device SDKs for C take a wait of more than 300 s for one of 1 s.
        match self.retry_after_seconds {
            1..=300 => Ok(()),
            _ => Err(ConfigError::Range { key: "quotas.retry_after_seconds", min: 1, max: 300 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_changed_value_by_value() {
        let own = Quotas { registrations_per_minute: Some(200), polls_per_10_seconds: Some(0), ..Quotas::default() };
        let limits = own.limits(Profile::HubS1);
        assert_eq!((limits.registrations_per_minute, limits.polls_per_10_seconds), (Some(200), None));
        assert_eq!((limits.certificates_per_minute, limits.hub_connections_per_second), (Some(500), Some(100)));
        assert_eq!(Quotas::default().limits(Profile::Unlimited), Limits::NONE);
    }

    #[test]
    fn profiles_are_found_by_the_names_that_files_use() {
        for (name, profile) in Profile::ALL {
            assert_eq!(serde_json::to_value(profile).unwrap(), name);
            assert_eq!(Profile::named(name), Some(profile));
        }
        assert_eq!(Profile::named("s1"), None);
    }
}
