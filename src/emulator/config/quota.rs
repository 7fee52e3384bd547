use crate::domain::{QuotaLimits, QuotaProfile};
use crate::settings::declare::settings;
use crate::settings::expect::{Expect, choice, whole};

settings! {
    /// What is different from the profile (`[quotas]`). 0 is no limit.
    #[derive(PartialEq, Eq)]
    pub struct Quotas {
        /// Registrations of the DPS instance per minute.
        pub registrations_per_minute: Option<u32> = optional(limit());
        /// Certificates issued during registration per minute.
        pub certificates_per_minute: Option<u32> = optional(limit());
        /// Questions for the state of an operation per 10 seconds and device.
        pub polls_per_10_seconds: Option<u32> = optional(limit());
        /// Certificate renewals per minute.
        pub renewals_per_minute: Option<u32> = optional(limit());
        /// New connections with the hub per second.
        pub hub_connections_per_second: Option<u32> = optional(limit());
        /// How many periods' worth of a quota may be used at once; one when absent.
        pub burst_periods: Option<u32> = optional(whole(1..=100_000));
        /// `retry-after` of a 429 for registrations, certificates and renewals, in seconds. For polls it is the time until the
        /// next one is allowed. Device SDKs for C take a wait of more than 300 s for one of 1 s.
        pub retry_after_seconds: u32 = value(30, whole(1..=300));
        /// What happens to new connections with the hub over the quota.
        pub hub_connections_over: Excess = value(Excess::default(), choice(&Excess::NAMED));
    }
}

settings! {
    /// What happens to what is over a quota.
    pub enum Excess {
        /// It is refused: CONNACK 3.
        Refuse = "refuse",
        /// It waits until the quota allows it, up to a minute, and is refused when that would not be enough.
        Delay = "delay",
    }
}

fn limit() -> Expect<u32> {
    whole(0..=u32::MAX.into())
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
}

#[cfg(test)]
mod tests {
    use crate::domain::QuotaProfile;
    use crate::emulator::Config;

    #[test]
    fn profiles_have_their_names_in_files() {
        for (name, profile) in QuotaProfile::NAMED {
            assert_eq!(Config::read("x", &format!("quota = \"{name}\"")).unwrap().quota, profile);
        }
        let problems = Config::read("x", "quota = \"s1\"").unwrap_err();
        let remedy = problems.iter().next().and_then(|problem| problem.remedy()).unwrap_or_default();
        assert!(remedy.contains("one of \"unlimited\", \"dps-default\", \"hub-s1\""), "{remedy}");
    }

    #[test]
    fn a_key_changes_its_value_of_the_profile() {
        let config = Config::read("x", "[quotas]\nregistrations_per_minute = 0\nrenewals_per_minute = 7").unwrap();
        let limits = config.quotas.limits(QuotaProfile::DpsDefault);
        assert_eq!((limits.registrations_per_minute, limits.renewals_per_minute), (None, Some(7)));
    }
}
