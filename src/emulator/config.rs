mod enrollment;
mod fault;
mod listen;
mod model;
mod quota;
mod read;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::domain::{FleetTime, IdScope, InvalidId, QuotaProfile, RegistrationId, TimeScale};
pub use enrollment::{CaEntry, Group, GroupEntry, Individual};
pub(crate) use fault::duration;
pub use fault::{
    Chance, Delay, Disconnect, Faults, HubOutage, HubOutageEffect, Outage, OutageEffect, Pause, Revocation, ServerError,
};
pub use listen::Listen;
pub use model::{Latency, Model, StepModel, Unit};
pub use quota::{Excess, Quotas};
pub use read::{ConfigProblem, ConfigProblems};

/// How the emulator behaves. Every key has a default, so an empty file is a whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Id scope of the DPS instance.
    pub id_scope: String,
    /// Host name of DPS, as devices use it; goes into the server certificate.
    pub dps_host: String,
    /// Host name of the hub that devices are assigned to; goes into the server certificate.
    pub hub_host: String,
    /// Folder in which the state is kept; none, and nothing is written.
    pub state: Option<PathBuf>,
    /// Seed of everything that is drawn: latencies and faults.
    pub seed: u64,
    /// Fleet seconds that pass in one real second: how much faster validities, waits, quotas and fault times pass than
    /// latencies and time-outs.
    pub time_scale: f64,
    /// The wall clock shows this at the start and goes on by the runtime's clock, which tests can pause. The system's
    /// clock when absent.
    #[serde(skip)]
    pub virtual_time: Option<SystemTime>,
    /// Named set of quotas.
    #[serde(with = "quota::profile")]
    pub quota: QuotaProfile,
    /// Sockets, their limits and time-outs.
    pub listen: Listen,
    /// The provisioning service.
    pub dps: Dps,
    /// The hub.
    pub hub: Hub,
    /// The device registry: what it signs and how.
    pub adr: Adr,
    /// The symmetric-key enrollment group that is there from the start.
    pub group: Group,
    /// Further enrollment groups that are there from the start.
    pub groups: Vec<GroupEntry>,
    /// Individual enrollments that are there from the start.
    pub enrollments: Vec<Individual>,
    /// CA certificates that are there from the start.
    pub ca_certificates: Vec<CaEntry>,
    /// How long the service takes and how much it does at once.
    pub model: Model,
    /// Quotas that are not those of the named set.
    pub quotas: Quotas,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

/// The provisioning service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dps {
    /// `retry-after` of a 202, in seconds (the service says 3).
    pub retry_after_seconds: u32,
    /// Operations are forgotten so many seconds after they began (a poll is answered 404 then).
    pub operation_ttl_seconds: u64,
    /// Operations kept at once; more registrations are answered 429.
    pub max_operations: usize,
    /// Devices registered at most (the service allows 1,000,000); more registrations are answered 429.
    pub max_registrations: usize,
    /// Check credentials at CONNECT and refuse with CONNACK 5, instead of answering the registration with 401.
    pub reject_at_connect: bool,
    /// A device's certificates are good only when every authority of its chain is a verified CA certificate; otherwise
    /// the one that its enrollment group names is enough.
    pub every_ca_verified: bool,
    /// How a CSR that the authority refuses is reported.
    pub refused_csr: RefusedCsr,
}

/// How DPS reports a CSR that the authority refuses; the service's way is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedCsr {
    /// The operation ends `failed`.
    #[default]
    FailedOperation,
    /// The registration is answered 400 with code 400012 (checked while the device waits).
    BadRequest,
}

/// The hub.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hub {
    /// Topic filters that a device may hold at once (the hub allows 5).
    pub max_subscriptions: usize,
    /// Whether the hub knows the issuing CA from the start (`az iot adr ns credential sync`).
    pub synced: bool,
    /// Shape of the answers to renewals.
    pub renewal_body: RenewalBody,
    /// Error codes of renewals.
    pub renewal_codes: RenewalCodes,
}

/// Shape of the answers to certificate renewals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenewalBody {
    /// An object with `certificates`, as the live service was seen to send.
    #[default]
    Object,
    /// A bare array of certificates, and no `"info":null` in errors, as azure-sdk-for-c wants.
    Array,
}

/// Error codes of certificate renewals where the live service and the official SDKs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RenewalCodes {
    /// 409004 and 400037, as the live service was seen to send.
    #[default]
    Live,
    /// 409005 and 400040, as the SDKs document.
    Sdk,
}

/// The device registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adr {
    /// Name of the credential policy.
    pub policy: String,
    /// Credential policies at most (documentation of the service names 1, 2 and 3).
    pub max_policies: usize,
    /// Validity of device certificates in days (the service allows 1 to 90).
    pub leaf_validity_days: u32,
    /// Validity of device certificates in seconds, for tests; wins over the days.
    pub leaf_validity_seconds: Option<u64>,
    /// Keys that a CSR may have.
    pub key_types: KeyTypes,
    /// Threads that check CSRs and sign certificates; 0 takes one per core.
    pub issuance_threads: usize,
    /// CSRs waiting for those threads; more registrations are answered 429.
    pub issuance_queue: usize,
    /// Sign while the registration is answered, on its thread: for tests with paused time, in which threads of their own
    /// would finish at random.
    #[serde(skip)]
    pub issue_inline: bool,
}

/// Keys that a CSR may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyTypes {
    /// P-256, P-384 and RSA of at least 2048 bits, as the live service was seen to do.
    #[default]
    Any,
    /// P-384 only, as the documentation says.
    StrictP384,
}

/// A value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `id_scope`.
    #[error("`id_scope`: {0}")]
    IdScope(InvalidId),
    /// A registration id.
    #[error("`enrollments.registration_id` {0:?}: {1}")]
    RegistrationId(String, InvalidId),
    /// Out of its range.
    #[error("`{key}` must be from {min} to {max}")]
    Range {
        /// The key.
        key: &'static str,
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
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
    /// A host name that no certificate can carry.
    #[error("`{key}` must be a host name")]
    Host {
        /// The key.
        key: &'static str,
    },
}

impl ConfigError {
    pub(crate) fn entry(table: &'static str, entry: &str, problem: impl fmt::Display) -> Self {
        Self::Entry { table, entry: entry.to_owned(), problem: problem.to_string() }
    }
}

impl Config {
    /// The id scope, checked.
    pub(crate) fn checked_id_scope(&self) -> Result<IdScope, ConfigError> {
        IdScope::new(&self.id_scope).map_err(ConfigError::IdScope)
    }

    /// The time scale, checked.
    pub(crate) fn scale(&self) -> Result<TimeScale, ConfigError> {
        let fleet = FleetTime::try_from_secs_f64(self.time_scale);
        let scale = fleet.and_then(|fleet| TimeScale::new(fleet, Duration::from_secs(1)));
        scale.ok_or(ConfigError::Range { key: "time_scale", min: 1, max: TimeScale::MAX })
    }

    /// Checks what the types cannot express.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.checked_id_scope()?;
        self.scale()?;
        for (key, host) in [("dps_host", &self.dps_host), ("hub_host", &self.hub_host)] {
            if host.is_empty() || host.len() > 253 || host.contains(['/', '*', ' ', '?']) {
                return Err(ConfigError::Host { key });
            }
        }
        for individual in &self.enrollments {
            RegistrationId::new(&individual.registration_id)
                .map_err(|error| ConfigError::RegistrationId(individual.registration_id.clone(), error))?;
        }
        self.model.check()?;
        self.quotas.check()?;
        self.faults.check()?;
        let ranges = [
            ("listen.max_connections", self.listen.max_connections as u64, 1, 1_000_000),
            ("listen.unproven_patience_seconds", self.listen.unproven_patience_seconds, 1, 3600),
            ("listen.handshakes_at_once", self.listen.handshakes_at_once as u64, 1, 1_000_000),
            ("listen.handshake_timeout_seconds", self.listen.handshake_timeout_seconds, 1, 3600),
            ("listen.unauthenticated_timeout_seconds", self.listen.unauthenticated_timeout_seconds, 1, 3600),
            ("listen.write_timeout_seconds", self.listen.write_timeout_seconds, 1, 3600),
            ("dps.retry_after_seconds", u64::from(self.dps.retry_after_seconds), 0, 300),
            ("dps.operation_ttl_seconds", self.dps.operation_ttl_seconds, 1, 86_400),
            ("dps.max_operations", self.dps.max_operations as u64, 1, 10_000_000),
            ("dps.max_registrations", self.dps.max_registrations as u64, 1, 10_000_000),
            ("hub.max_subscriptions", self.hub.max_subscriptions as u64, 1, 50),
            ("adr.max_policies", self.adr.max_policies as u64, 1, 100),
            ("adr.leaf_validity_days", u64::from(self.adr.leaf_validity_days), 1, 90),
            ("adr.leaf_validity_seconds", self.adr.leaf_validity_seconds.unwrap_or(1), 1, 90 * 86_400),
            ("adr.issuance_threads", self.adr.issuance_threads as u64, 0, 256),
            ("adr.issuance_queue", self.adr.issuance_queue as u64, 1, 10_000_000),
        ];
        ranges
            .into_iter()
            .find(|(_, value, min, max)| value < min || value > max)
            .map_or(Ok(()), |(key, _, min, max)| Err(ConfigError::Range { key, min, max }))
    }

    /// Validity of device certificates.
    pub(crate) fn leaf_validity(&self) -> Duration {
        let days = u64::from(self.adr.leaf_validity_days) * 86_400;
        Duration::from_secs(self.adr.leaf_validity_seconds.unwrap_or(days))
    }
}

fn default_policy() -> String {
    "default".to_owned()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id_scope: "0ne00000001".to_owned(),
            dps_host: "localhost".to_owned(),
            hub_host: "localhost".to_owned(),
            state: None,
            seed: 1,
            time_scale: 1.0,
            virtual_time: None,
            quota: QuotaProfile::default(),
            listen: Listen::default(),
            dps: Dps::default(),
            hub: Hub::default(),
            adr: Adr::default(),
            group: Group::default(),
            groups: Vec::new(),
            enrollments: Vec::new(),
            ca_certificates: Vec::new(),
            model: Model::default(),
            quotas: Quotas::default(),
            faults: Faults::default(),
        }
    }
}

impl Default for Dps {
    fn default() -> Self {
        Self {
            retry_after_seconds: 3,
            operation_ttl_seconds: 300,
            max_operations: 200_000,
            max_registrations: 1_000_000,
            reject_at_connect: false,
            every_ca_verified: false,
            refused_csr: RefusedCsr::default(),
        }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            max_subscriptions: 5,
            synced: true,
            renewal_body: RenewalBody::default(),
            renewal_codes: RenewalCodes::default(),
        }
    }
}

impl Default for Adr {
    fn default() -> Self {
        Self {
            policy: default_policy(),
            max_policies: 3,
            leaf_validity_days: 30,
            leaf_validity_seconds: None,
            key_types: KeyTypes::default(),
            issuance_threads: 0,
            issuance_queue: 100_000,
            issue_inline: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_an_empty_file_means_them() {
        Config::default().check().unwrap();
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config.id_scope, Config::default().id_scope);
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_valid_keys() {
        let error = toml::from_str::<Config>("[dps]\nretry_after = 3\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("retry_after_seconds"), "{error}");
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        let mut config = Config::default();
        config.adr.leaf_validity_days = 91;
        assert_eq!(config.check(), Err(ConfigError::Range { key: "adr.leaf_validity_days", min: 1, max: 90 }));
        config = Config { id_scope: String::new(), ..Config::default() };
        assert_eq!(config.check(), Err(ConfigError::IdScope(InvalidId::Empty)));
        config = Config { time_scale: 0.5, ..Config::default() };
        assert_eq!(config.check(), Err(ConfigError::Range { key: "time_scale", min: 1, max: 1_000_000 }));
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
            let check = |value: u64| toml::from_str::<Config>(&format!("{key} = {value}")).unwrap().check();
            let refused = Err(ConfigError::Range { key, min, max });
            assert_eq!((check(min), check(max), check(max + 1)), (Ok(()), Ok(()), refused.clone()), "{key}");
            if let Some(below) = min.checked_sub(1) {
                assert_eq!(check(below), refused, "{key}");
            }
        }
    }

    #[test]
    fn hosts_are_names_that_may_be_in_dns() {
        let check = |key: &'static str, host: &str| {
            let config = toml::from_str::<Config>(&format!("{key} = \"{host}\"")).unwrap();
            (config.check(), Err(ConfigError::Host { key }))
        };
        for key in ["dps_host", "hub_host"] {
            for good in ["localhost", &"h".repeat(253)] {
                assert_eq!(check(key, good).0, Ok(()), "{good}");
            }
            for bad in ["", "a/b", "*.b", "a b", "a?b", &"h".repeat(254)] {
                let (checked, refused) = check(key, bad);
                assert_eq!(checked, refused, "{bad}");
            }
        }
    }

    #[test]
    fn what_is_entered_counts_as_verified_and_has_its_files() {
        let config: Config = toml::from_str("[[ca_certificates]]\nname = \"ca\"\nfile = \"ca.pem\"").unwrap();
        let ca = &config.ca_certificates[0];
        assert_eq!((ca.file.as_path(), ca.verified), ("ca.pem".as_ref(), true));
        let group = GroupEntry::by_signing_certificate("g", "ca.pem".into());
        assert_eq!((group.id.as_str(), group.signing_certificate_files), ("g", vec!["ca.pem".into()]));
    }
}
