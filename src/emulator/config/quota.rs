use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;
use crate::domain::{QuotaLimits, QuotaProfile};

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
    /// How many periods' worth of a quota may be used at once; one when absent.
    pub burst_periods: Option<u32>,
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
            burst_periods: None,
            retry_after_seconds: 30,
            hub_connections_over: Excess::default(),
        }
    }
}

impl Quotas {
    /// The quotas of `profile` with these changes.
    pub(crate) fn limits(&self, profile: QuotaProfile) -> QuotaLimits {
        profile.limits().changed(&QuotaLimits {
            registrations_per_minute: self.registrations_per_minute,
            certificates_per_minute: self.certificates_per_minute,
            polls_per_10_seconds: self.polls_per_10_seconds,
            renewals_per_minute: self.renewals_per_minute,
            hub_connections_per_second: self.hub_connections_per_second,
            burst_periods: self.burst_periods,
        })
    }

    pub(super) const fn check(&self) -> Result<(), ConfigError> {
        if matches!(self.burst_periods, Some(0 | 100_001..)) {
            return Err(ConfigError::Range { key: "quotas.burst_periods", min: 1, max: 100_000 });
        }
        // Device SDKs for C take a wait of more than 300 s for one of 1 s.
        match self.retry_after_seconds {
            1..=300 => Ok(()),
            _ => Err(ConfigError::Range { key: "quotas.retry_after_seconds", min: 1, max: 300 }),
        }
    }
}

/// The name of a profile, as files have it.
pub(super) mod profile {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(profile: &QuotaProfile, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(profile.name())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<QuotaProfile, D::Error> {
        let name = String::deserialize(from)?;
        QuotaProfile::named(&name).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&name), &Names))
    }

    struct Names;

    impl serde::de::Expected for Names {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one of ")?;
            f.write_str(&QuotaProfile::ALL.map(|(name, _)| name).join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::QuotaProfile;
    use crate::emulator::Config;

    #[test]
    fn profiles_have_their_names_in_files() {
        for (name, profile) in QuotaProfile::ALL {
            let config: Config = toml::from_str(&format!("quota = \"{name}\"")).unwrap();
            assert_eq!(config.quota, profile);
            assert_eq!(serde_json::to_value(&config).unwrap()["quota"], name);
        }
        let error = toml::from_str::<Config>("quota = \"s1\"").unwrap_err().to_string();
        assert!(error.contains("one of unlimited, dps-default, hub-s1"), "{error}");
    }

    #[test]
    fn a_key_changes_its_value_of_the_profile() {
        let config: Config = toml::from_str("[quotas]\nregistrations_per_minute = 0\nrenewals_per_minute = 7").unwrap();
        let limits = config.quotas.limits(QuotaProfile::DpsDefault);
        assert_eq!((limits.registrations_per_minute, limits.renewals_per_minute), (None, Some(7)));
    }
}
