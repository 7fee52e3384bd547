mod enrollment;
mod fault;
mod listen;
mod model;
mod quota;
mod read;

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::domain::{FleetTime, IdScope, InvalidId, QuotaProfile, TimeScale};
use crate::settings::declare::settings;
use crate::settings::expect::{Expect, any_text, boolean, choice, integer, path, text, whole};
use crate::settings::{Problem, Problems, time_scale};
pub use enrollment::{CaEntry, Group, GroupEntry, Individual};
pub(crate) use fault::fleet_time;
pub use fault::{
    Chance, Delay, Disconnect, Faults, HubOutage, HubOutageEffect, Outage, OutageEffect, Pause, Revocation, ServerError,
};
pub use listen::Listen;
pub use model::{HistogramUnit, LatencySettings, Model, StepModel};
pub use quota::{Excess, Quotas};
pub use read::{keys, read_within};

settings! {
    /// How the emulator behaves. Every key has a default, so an empty file is a whole configuration.
    pub struct Config {
        /// Id scope of the DPS instance.
        pub id_scope: String = value("0ne00000001".to_owned(), id_scope());
        /// Host name of DPS, as devices use it; goes into the server certificate.
        pub dps_host: String = value("localhost".to_owned(), host());
        /// Host name of the hub that devices are assigned to; goes into the server certificate.
        pub hub_host: String = value("localhost".to_owned(), host());
        /// Folder in which the state is kept; none, and nothing is written.
        pub state: Option<PathBuf> = optional(path("a folder in which the state is kept"));
        /// Seed of everything that is drawn: latencies and faults.
        pub seed: u64 = value(1, integer(0..=u64::MAX >> 1));
        /// How much faster validities, waits, quotas and fault times pass than latencies and time-outs.
        pub time_scale: TimeScale = value(TimeScale::REAL, time_scale());
        /// The wall clock shows this at the start and goes on by the runtime's clock, which tests can pause. The system's
        /// clock when absent.
        pub virtual_time: Option<SystemTime> = unread;
        /// Named set of quotas.
        pub quota: QuotaProfile = value(QuotaProfile::default(), choice(&QuotaProfile::NAMED));
        /// Sockets, their limits and time-outs.
        pub listen: Listen = table;
        /// The provisioning service.
        pub dps: Dps = table;
        /// The hub.
        pub hub: Hub = table;
        /// The device registry: what it signs and how.
        pub adr: Adr = table;
        /// The symmetric-key enrollment group that is there from the start.
        pub group: Group = table;
        /// Further enrollment groups that are there from the start.
        pub groups: Vec<GroupEntry> = tables("write `[[groups]]` with `id`");
        /// Individual enrollments that are there from the start.
        pub enrollments: Vec<Individual> = tables("write `[[enrollments]]` with `registration_id`");
        /// CA certificates that are there from the start.
        pub ca_certificates: Vec<CaEntry> = tables("write `[[ca_certificates]]` with `name` and `file`");
        /// How long the service takes and how much it does at once.
        pub model: Model = table;
        /// Quotas that are not those of the named set.
        pub quotas: Quotas = table;
        /// What goes wrong on purpose.
        pub faults: Faults = table;
    }
}

settings! {
    /// The provisioning service.
    pub struct Dps {
        /// `retry-after` of a 202, in seconds (the service says 3).
        pub retry_after_seconds: u32 = value(3, whole(0..=300));
        /// Operations are forgotten so many seconds after they began (a poll is answered 404 then).
        pub operation_ttl_seconds: u64 = value(300, whole(1..=86_400));
        /// Operations kept at once; more registrations are answered 429.
        pub max_operations: usize = value(200_000, whole(1..=10_000_000));
        /// Devices registered at most (the service allows 1,000,000); more registrations are answered 429.
        pub max_registrations: usize = value(1_000_000, whole(1..=10_000_000));
        /// Check credentials at CONNECT and refuse with CONNACK 5, instead of answering the registration with 401.
        pub reject_at_connect: bool = value(false, boolean());
        /// A device's certificates are good only when every authority of its chain is a verified CA certificate; otherwise
        /// the one that its enrollment group names is enough.
        pub every_ca_verified: bool = value(false, boolean());
        /// How a CSR that the authority refuses is reported.
        pub refused_csr: RefusedCsr = value(RefusedCsr::default(), choice(&RefusedCsr::NAMED));
    }
}

settings! {
    /// How DPS reports a CSR that the authority refuses; the service's way is not documented.
    pub enum RefusedCsr {
        /// The operation ends `failed`.
        FailedOperation = "failed-operation",
        /// The registration is answered 400 with code 400012 (checked while the device waits).
        BadRequest = "bad-request",
    }
}

settings! {
    /// The hub.
    pub struct Hub {
        /// Topic filters that a device may hold at once (the hub allows 5).
        pub max_subscriptions: usize = value(5, whole(1..=50));
        /// Whether the hub knows the issuing CA from the start (`az iot adr ns credential sync`).
        pub synced: bool = value(true, boolean());
        /// Shape of the answers to renewals.
        pub renewal_body: RenewalBody = value(RenewalBody::default(), choice(&RenewalBody::NAMED));
        /// Error codes of renewals.
        pub renewal_codes: RenewalCodes = value(RenewalCodes::default(), choice(&RenewalCodes::NAMED));
    }
}

settings! {
    /// Shape of the answers to certificate renewals.
    pub enum RenewalBody {
        /// An object with `certificates`, as the live service was seen to send.
        Object = "object",
        /// A bare array of certificates, and no `"info":null` in errors, as azure-sdk-for-c wants.
        Array = "array",
    }
}

settings! {
    /// Error codes of certificate renewals where the live service and the official SDKs differ.
    pub enum RenewalCodes {
        /// 409004 and 400037, as the live service was seen to send.
        Live = "live",
        /// 409005 and 400040, as the SDKs document.
        Sdk = "sdk",
    }
}

settings! {
    /// The device registry.
    pub struct Adr {
        /// Name of the credential policy.
        pub policy: String = value(DEFAULT_POLICY.to_owned(), text("the name of the credential policy"));
        /// Credential policies at most (documentation of the service names 1, 2 and 3).
        pub max_policies: usize = value(3, whole(1..=100));
        /// Validity of device certificates in days (the service allows 1 to 90).
        pub leaf_validity_days: u32 = value(30, whole(1..=90));
        /// Validity of device certificates in seconds, for tests; wins over the days.
        pub leaf_validity_seconds: Option<u64> = optional(whole(1..=90 * 86_400));
        /// Keys that a CSR may have.
        pub key_types: KeyTypes = value(KeyTypes::default(), choice(&KeyTypes::NAMED));
        /// Threads that check CSRs and sign certificates; 0 takes one per core.
        pub issuance_threads: usize = value(0, whole(0..=256));
        /// CSRs waiting for those threads; more registrations are answered 429.
        pub issuance_queue: usize = value(100_000, whole(1..=10_000_000));
        /// Sign while the registration is answered, on its thread: for tests with paused time, in which threads of their own
        /// would finish at random.
        pub issue_inline: bool = unread;
    }
}

settings! {
    /// Keys that a CSR may have.
    pub enum KeyTypes {
        /// P-256, P-384 and RSA of at least 2048 bits, as the live service was seen to do.
        Any = "any",
        /// P-384 only, as the documentation says.
        StrictP384 = "strict-p384",
    }
}

/// Name of the credential policy, where nothing else is said.
const DEFAULT_POLICY: &str = "default";

/// Settings that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `id_scope`.
    #[error("`id_scope`: {0}")]
    IdScope(#[from] InvalidId),
    /// Keys and values that cannot be.
    #[error("{}", told(.0))]
    Settings(#[from] Problems),
    /// An enrollment or a CA certificate that cannot be.
    #[error("`{table}` {entry:?}: {problem}")]
    Entry {
        /// The table.
        table: &'static str,
        /// The entry's id or name.
        entry: String,
        /// Why not.
        problem: String,
    },
    /// Not one or two certificates.
    #[error("`{key}` of {entry:?} must name one or two files with an X.509 certificate")]
    Certificate {
        /// The key.
        key: &'static str,
        /// The entry's id.
        entry: String,
    },
    /// Several kinds of attestation.
    #[error(
        "`{table}` {entry:?} must have one kind of attestation: a key, certificates or CA references (at most two)"
    )]
    OneAttestation {
        /// The table.
        table: &'static str,
        /// The entry's id.
        entry: String,
    },
}

/// Each problem in a line.
pub(crate) fn told(problems: &Problems) -> String {
    let line = |problem: &Problem| match problem.remedy() {
        Some(remedy) => format!("{problem}: {remedy}"),
        None => problem.to_string(),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl ConfigError {
    pub(crate) fn entry(table: &'static str, entry: &str, problem: impl fmt::Display) -> Self {
        Self::Entry { table, entry: entry.to_owned(), problem: problem.to_string() }
    }
}

impl Config {
    /// Validity of device certificates.
    pub(crate) fn leaf_validity(&self) -> FleetTime {
        let days = u64::from(self.adr.leaf_validity_days) * 86_400;
        FleetTime::from_secs(self.adr.leaf_validity_seconds.unwrap_or(days))
    }
}

fn id_scope() -> Expect<String> {
    text("the id scope of the DPS instance, such as \"0ne00000001\"")
        .then(|id| IdScope::new(&id).map(|_| id).map_err(|error| error.to_string()))
}

/// A name that a certificate can carry.
fn host() -> Expect<String> {
    text("a host name").then(|host| match host.len() > 253 || host.contains(['/', '*', ' ', '?']) {
        true => Err("no certificate can carry it".to_owned()),
        false => Ok(host),
    })
}

fn credential_policy() -> Expect<String> {
    any_text("the name of a credential policy, or \"\" for none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::declare::Written as _;

    /// What is wrong with a file, in a line each.
    fn wrong(text: &str) -> String {
        Config::read("x", text).err().as_ref().map(told).unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_valid_and_an_empty_file_means_them() {
        Config::default().check().unwrap();
        assert_eq!(Config::read("x", "").unwrap().written(), Config::default().written());
    }

    #[test]
    fn what_was_not_read_from_a_file_is_judged_as_if_it_was() {
        let mut config = Config::default();
        config.adr.leaf_validity_days = 91;
        config.id_scope = String::new();
        config.faults.pause.from_seconds = f64::NAN;
        config.model.poll.latency = LatencySettings::Fixed { ms: -1.0 };
        let told = told(&config.check().unwrap_err());
        for key in
            ["`id_scope`", "`adr.leaf_validity_days`", "`faults.pause.from_seconds`", "`model.poll.latency.fixed.ms`"]
        {
            assert!(told.contains(key), "{key}: {told}");
        }
        assert_eq!(told.lines().count(), 4, "{told}");
    }

    #[test]
    fn settings_are_taken_up_to_both_ends_of_their_range() {
        for (key, min, max) in [
            ("time_scale", 1, 1_000_000),
            ("listen.max_connections", 1, 1_000_000),
            ("listen.unproven_patience_seconds", 1, 3600),
            ("listen.handshakes_at_once", 1, 1_000_000),
            ("listen.handshake_timeout_seconds", 1, 3600),
            ("listen.unauthenticated_timeout_seconds", 1, 3600),
            ("listen.write_timeout_seconds", 1, 3600),
            ("dps.retry_after_seconds", 0, 300),
            ("dps.operation_ttl_seconds", 1, 86_400),
            ("dps.max_operations", 1, 10_000_000),
            ("dps.max_registrations", 1, 10_000_000),
            ("hub.max_subscriptions", 1, 50),
            ("adr.max_policies", 1, 100),
            ("adr.leaf_validity_days", 1, 90),
            ("adr.leaf_validity_seconds", 1, 7_776_000),
            ("adr.issuance_threads", 0, 256),
            ("adr.issuance_queue", 1, 10_000_000),
            ("quotas.burst_periods", 1, 100_000),
            ("quotas.retry_after_seconds", 1, 300),
        ] {
            let wrong = |value: i64| wrong(&format!("{key} = {value}"));
            assert_eq!((wrong(min), wrong(max)), (String::new(), String::new()), "{key}");
            for beyond in [min - 1, max + 1] {
                let told = wrong(beyond);
                assert!(told.starts_with(&format!("`{key}` cannot be {beyond}")) && told.contains(" to "), "{told}");
            }
        }
    }

    #[test]
    fn hosts_are_names_that_may_be_in_dns() {
        for key in ["dps_host", "hub_host"] {
            let wrong = |host: &str| wrong(&format!("{key} = \"{host}\""));
            for good in ["localhost", &"h".repeat(253)] {
                assert_eq!(wrong(good), "", "{good}");
            }
            for bad in ["", "a/b", "*.b", "a b", "a?b", &"h".repeat(254)] {
                let told = wrong(bad);
                assert!(told.starts_with(&format!("`{key}` cannot be")) && told.contains("a host name"), "{told}");
            }
        }
    }

    #[test]
    fn what_is_entered_counts_as_verified_and_has_its_files() {
        let config = Config::read("x", "[[ca_certificates]]\nname = \"ca\"\nfile = \"ca.pem\"").unwrap();
        let ca = &config.ca_certificates[0];
        assert_eq!((ca.file.as_path(), ca.verified), ("ca.pem".as_ref(), true));
        let group = GroupEntry::by_signing_certificate("g", "ca.pem".into());
        assert_eq!((group.id.as_str(), group.signing_certificate_files), ("g", vec!["ca.pem".into()]));
    }
}
