//! Settings of the embedded emulator: the file of `--emulator-config`, over it what the scenario says, written to one file
//! that the child process reads.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;
use toml::{Table, Value};

use crate::domain::{FleetTime, Origin, QuotaProfile, Setting, without_byte_order_mark};
use crate::emulator::{Config, Latency};
use crate::pki::bootstrap::Folder;
use crate::scenario::{Attestation, Scenario};

/// What the embedded emulator is started with.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    table: Table,
    /// The table as the emulator reads it.
    checked: Config,
    /// What is in force of the file.
    of_file: Vec<Setting>,
    /// Authorities of the devices' bootstrap certificates.
    authorities: Vec<PathBuf>,
}

/// The settings cannot be.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum EmulatorConfigError {
    /// Those of the scenario.
    #[error("the scenario's [emulator] is not a configuration of the emulator: {problem}")]
    #[diagnostic(help("[emulator] takes what the file of `fleetstorm emulator --config` takes: see docs/emulator.md"))]
    Scenario {
        /// What is wrong, with the key.
        problem: String,
    },
    /// The file cannot be read.
    #[error("cannot read {} (--emulator-config): {source}", file.display())]
    #[diagnostic(help("name a file that you may read"))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is in the file.
    #[error("{} (--emulator-config) is not a configuration of the emulator: {problem}", file.display())]
    #[diagnostic(help("it takes what `fleetstorm emulator --config` takes: see docs/emulator.md"))]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong, with the key.
        problem: String,
    },
    /// The scenario's devices attest with certificates that nobody made yet.
    #[error("cannot read {}, the authority of the devices' bootstrap certificates: {source}", file.display())]
    #[diagnostic(help(
        "make them first, in the folder of `fleet.bootstrap_dir`, which all of these take with --dir:\n  fleetstorm pki root && \
         fleetstorm pki intermediate && fleetstorm pki devices --scenario FILE\n\
         (without an intermediate: fleetstorm pki root && fleetstorm pki devices --by root --scenario FILE)"
    ))]
    NoAuthority {
        /// Its certificate.
        file: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The file for the child process cannot be written.
    #[error("cannot write the embedded emulator's settings to a temporary file: {0}")]
    #[diagnostic(help("set TMPDIR to a folder that you may write to"))]
    Write(#[source] std::io::Error),
}

impl EmulatorConfig {
    /// What a scenario asks for, over the settings of a file. `seed` is that of the run.
    ///
    /// # Errors
    /// The file or the scenario's `[emulator]` is no configuration; the key is named.
    pub fn new(scenario: &Scenario, file: Option<&Path>, seed: u64) -> Result<Self, EmulatorConfigError> {
        let mut config =
            Self { table: Table::new(), checked: Config::default(), of_file: Vec::new(), authorities: Vec::new() };
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .map(without_byte_order_mark)
                .map_err(|source| EmulatorConfigError::Read { file: file.to_owned(), source })?;
            let unusable = |problem| EmulatorConfigError::File { file: file.to_owned(), problem };
            // From its text, so that a problem has a line.
            let parsed = Config::read(&text).map_err(|problems| unusable(problems.to_string()))?;
            parsed.check().map_err(|error| unusable(error.to_string()))?;
            let table = toml::from_str(&text).map_err(|error: toml::de::Error| unusable(error.to_string()))?;
            let mut values = Vec::new();
            leaves("emulator", &table, &mut values);
            let setting = |(key, value)| Setting { key, value, origin: Origin::CommandLine };
            config = Self { table, of_file: values.into_iter().map(setting).collect(), ..config };
        }
        config.lay(scenario.emulator.clone());
        config.lay(stated(scenario));
        if !config.table.contains_key("seed") {
            // Scenarios and the command line take no larger one.
            config.set("seed", Value::Integer(i64::try_from(seed).unwrap_or(i64::MAX)));
        }
        config.let_bootstrap_authorities_in(scenario);
        let refused = |problem| EmulatorConfigError::Scenario { problem };
        config.checked = Config::read(&config.table.to_string()).map_err(|problems| {
            // Its lines would be those of no file.
            refused(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        config.checked.check().map_err(|error| refused(error.to_string()))?;
        Ok(config)
    }

    /// Whether a scenario's `[emulator]` is a configuration.
    ///
    /// # Errors
    /// It is none; the key is named.
    pub fn check(scenario: &Scenario) -> Result<(), EmulatorConfigError> {
        Self::new(scenario, None, 0).map(|_| ())
    }

    /// What is in force of the file, with dotted keys below `emulator`: the rest is among the scenario's own settings.
    pub fn of_file(&self) -> &[Setting] {
        &self.of_file
    }

    /// What DPS tells devices to wait until they ask for the state of their registration .
    pub fn retry_after(&self) -> FleetTime {
        FleetTime::from_secs(self.checked.dps.retry_after_seconds.into())
    }

    /// How long DPS typically works at a registration, as far as the model says; of a measured distribution
    /// nothing is known without its file.
    pub fn typical_assignment(&self) -> Duration {
        let ms = match &self.checked.model.assign.latency {
            Latency::Fixed { ms } => *ms,
            Latency::Uniform { min_ms, max_ms } => f64::midpoint(*min_ms, *max_ms),
            Latency::LogNormal { median_ms, .. } => *median_ms,
            Latency::Histogram { .. } => 0.0,
        };
        Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
    }

    /// Whether the authorities of the devices' bootstrap certificates are there: the emulator could only say that a file is not.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn has_authorities(&self) -> Result<(), EmulatorConfigError> {
        for file in &self.authorities {
            std::fs::File::open(file)
                .map_err(|source| EmulatorConfigError::NoAuthority { file: file.clone(), source })?;
        }
        Ok(())
    }

    /// Writes it to a file that only this user may read and that goes away when it is dropped.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub fn write(&self) -> Result<NamedTempFile, EmulatorConfigError> {
        let mut file = tempfile::Builder::new()
            .prefix("fleetstorm-")
            .suffix(".toml")
            .tempfile()
            .map_err(EmulatorConfigError::Write)?;
        file.write_all(self.table.to_string().as_bytes()).map_err(EmulatorConfigError::Write)?;
        Ok(file)
    }

    /// Lays a table over what is there: tables are merged, anything else is replaced.
    fn lay(&mut self, over: Table) {
        let mut values = Vec::new();
        leaves("emulator", &over, &mut values);
        for (key, _) in values {
            // Whatever stood there or below there is gone.
            self.of_file.retain(|known| known.key != key && !known.key.starts_with(&format!("{key}.")));
        }
        merge(&mut self.table, over);
    }

    fn set(&mut self, key: &str, value: Value) {
        self.table.insert(key.to_owned(), value);
    }

    /// Devices that attest with bootstrap certificates are let in by the authorities that may have signed them.
    fn let_bootstrap_authorities_in(&mut self, scenario: &Scenario) {
        let mut folders: Vec<&PathBuf> = Vec::new();
        for class in &scenario.fleet.classes {
            if let Attestation::X509 { bootstrap_dir } = &class.attestation
                && !folders.contains(&bootstrap_dir)
            {
                folders.push(bootstrap_dir);
            }
        }
        let groups = folders.into_iter().enumerate().map(|(index, folder)| {
            let certificates = signing_certificates(&Folder::new(folder.as_path()));
            let files = certificates.iter().map(|file| Value::String(file.display().to_string())).collect();
            self.authorities.extend(certificates);
            let mut group = Table::new();
            group.insert("id".to_owned(), Value::String(format!("bootstrap-{}", index + 1)));
            group.insert("signing_certificate_files".to_owned(), Value::Array(files));
            Value::Table(group)
        });
        let groups: Vec<Value> = groups.collect();
        if groups.is_empty() {
            return;
        }
        match self.table.get_mut("groups") {
            Some(Value::Array(given)) => given.extend(groups),
            _ => self.set("groups", Value::Array(groups)),
        }
    }
}

/// The authorities of a folder that are there: devices are signed by the intermediate, or by the root. The intermediate when
/// neither is there, so that it is missed by its name.
fn signing_certificates(folder: &Folder) -> Vec<PathBuf> {
    let files = ["intermediate", "root"].map(|authority| folder.certificate(authority));
    let there: Vec<PathBuf> = files.iter().filter(|file| file.exists()).cloned().collect();
    if there.is_empty() { files.into_iter().take(1).collect() } else { there }
}

/// What the scenario says outside `[emulator]` that the emulator has to do: only what it states, so that a file is not
/// overruled by defaults.
fn stated(scenario: &Scenario) -> Table {
    let states = |section: &str| {
        let below = format!("{section}.");
        let of_section = |setting: &&Setting| setting.key == section || setting.key.starts_with(&below);
        scenario.settings.iter().filter(of_section).any(|setting| setting.origin != Origin::Default)
    };
    // Always: generator and emulator must agree on it.
    let mut table = Table::from_iter([("time_scale".to_owned(), Value::Float(scenario.time_scale.factor()))]);
    if states("quotas") {
        table.insert("quota".to_owned(), Value::String(QuotaProfile::Unlimited.name().to_owned()));
        let limits = scenario.quotas;
        // 0 lifts a limit.
        let quotas = [
            ("registrations_per_minute", limits.registrations_per_minute),
            ("certificates_per_minute", limits.certificates_per_minute),
            ("polls_per_10_seconds", limits.polls_per_10_seconds),
            ("renewals_per_minute", limits.renewals_per_minute),
            ("hub_connections_per_second", limits.hub_connections_per_second),
        ];
        let quotas =
            quotas.map(|(key, limit)| (key.to_owned(), Value::Integer(limit.map_or(0, i64::from)))).into_iter();
        let quotas = quotas.chain([("burst_periods".to_owned(), Value::Integer(limits.burst().into()))]);
        table.insert("quotas".to_owned(), Value::Table(quotas.collect()));
    }
    if states("policy") {
        let seconds = i64::try_from(scenario.policy.validity.as_secs()).unwrap_or(i64::MAX);
        let adr = Table::from_iter([("leaf_validity_seconds".to_owned(), Value::Integer(seconds))]);
        table.insert("adr".to_owned(), Value::Table(adr));
    }
    if scenario.fleet.any(|class| class.tls_resumption) {
        // A device cannot resume a session for which it got no ticket.
        let listen = Table::from_iter([("tls_resumption".to_owned(), Value::Boolean(true))]);
        table.insert("listen".to_owned(), Value::Table(listen));
    }
    table
}

fn merge(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(value)) => merge(below, value),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// Every value that is not a table, with its dotted key.
fn leaves(path: &str, table: &Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = format!("{path}.{key}");
        match value {
            Value::Table(below) => leaves(&path, below, found),
            Value::String(text) => found.push((path, text.clone())),
            other => found.push((path, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    use crate::domain::{QuotaLimits, TimeScale};

    fn scenario(emulator: &str) -> Scenario {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 1\n[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";
        let scenario = Scenario::parse("x.toml", text, &[]).unwrap();
        Scenario { emulator: toml::from_str(emulator).unwrap(), ..scenario }
    }

    fn states(scenario: &mut Scenario, key: &str) {
        scenario.settings.push(Setting { key: key.to_owned(), value: String::new(), origin: Origin::Scenario });
    }

    fn read(config: &EmulatorConfig) -> Config {
        let file = config.write().unwrap();
        assert_eq!(file.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let config: Config = toml::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap();
        config.check().unwrap();
        config
    }

    #[test]
    fn tickets_are_handed_out_to_fleets_that_resume_sessions() {
        let resumes = |text: &str| {
            let text = format!(
                "schema = 1\nname = 'x'\nfleet.devices = 1\n{text}\n[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n"
            );
            let scenario = Scenario::parse("x.toml", &text, &[]).unwrap();
            let config: Config = EmulatorConfig::new(&scenario, None, 1).unwrap().table.try_into().unwrap();
            config.listen.tls_resumption
        };
        assert_eq!([resumes(""), resumes("fleet.tls_resumption = true")], [false, true]);
    }

    #[test]
    fn the_scenario_wins_over_the_file_value_by_value() {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all("\u{feff}".as_bytes()).unwrap();
        file.write_all(b"quota = \"dps-default\"\n[dps]\nretry_after_seconds = 1\nmax_operations = 7\n").unwrap();
        let scenario = scenario("[dps]\nretry_after_seconds = 2\n");
        let config = EmulatorConfig::new(&scenario, Some(file.path()), 42).unwrap();
        let read = read(&config);
        assert_eq!((read.dps.retry_after_seconds, read.dps.max_operations, read.seed), (2, 7, 42));
        assert_eq!(read.quota, QuotaProfile::DpsDefault, "the scenario states no quotas");
        let of_file: Vec<_> = config.of_file().iter().map(|s| (s.key.as_str(), s.value.as_str())).collect();
        assert_eq!(of_file, [("emulator.dps.max_operations", "7"), ("emulator.quota", "dps-default")]);
    }

    #[test]
    fn what_the_scenario_states_of_the_service_is_what_the_emulator_does() {
        let mut scenario = scenario("quota = 'hub-s1'\nquotas.retry_after_seconds = 9");
        scenario.quotas = QuotaLimits { renewals_per_minute: Some(500), ..QuotaLimits::NONE };
        scenario.policy.validity = FleetTime::from_secs(5 * 86_400);
        scenario.time_scale = TimeScale::new(FleetTime::from_secs(86_400), Duration::from_secs(1)).unwrap();
        states(&mut scenario, "quotas.renewals_per_minute");
        states(&mut scenario, "policy.validity");
        let read = read(&EmulatorConfig::new(&scenario, None, 1).unwrap());
        assert_eq!(read.quota, QuotaProfile::Unlimited);
        assert_eq!((read.quotas.renewals_per_minute, read.quotas.registrations_per_minute), (Some(500), Some(0)));
        assert_eq!((read.quotas.retry_after_seconds, read.adr.leaf_validity_seconds), (9, Some(5 * 86_400)));
        assert!((read.time_scale - 86_400.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_folder_of_bootstrap_certificates_is_let_in_once() {
        let mut scenario = scenario("[[groups]]\nid = 'mine'");
        let mut class = scenario.fleet.classes[0].clone();
        class.attestation = Attestation::X509 { bootstrap_dir: "a".into() };
        scenario.fleet.classes.extend([class.clone(), class.clone()]);
        class.attestation = Attestation::X509 { bootstrap_dir: "b".into() };
        scenario.fleet.classes.push(class);
        let config = EmulatorConfig::new(&scenario, None, 1).unwrap();
        let missing = config.has_authorities().unwrap_err().to_string();
        assert!(missing.starts_with("cannot read a/intermediate.pem, the authority of"), "{missing}");
        let read = read(&config);
        let ids: Vec<&str> = read.groups.iter().map(|group| group.id.as_str()).collect();
        assert_eq!(ids, ["mine", "bootstrap-1", "bootstrap-2"]);
        assert_eq!(read.groups[2].signing_certificate_files, [PathBuf::from("b/intermediate.pem")]);
    }

    #[test]
    fn the_authorities_that_are_there_may_have_signed_the_devices() {
        let folder = tempfile::tempdir().unwrap();
        let mut scenario = scenario("");
        scenario.fleet.classes[0].attestation = Attestation::X509 { bootstrap_dir: folder.path().to_owned() };
        let trusted = || {
            let config = EmulatorConfig::new(&scenario, None, 1).unwrap();
            config.has_authorities().unwrap();
            let files = read(&config).groups[0].signing_certificate_files.clone();
            files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        std::fs::write(folder.path().join("root.pem"), "").unwrap();
        assert_eq!(trusted(), ["root.pem"]);
        std::fs::write(folder.path().join("intermediate.pem"), "").unwrap();
        assert_eq!(trusted(), ["intermediate.pem", "root.pem"]);
    }

    #[test]
    fn what_cannot_be_names_its_key() {
        for (emulator, told) in [
            ("[dps]\nretry_after = 1", "retry_after"),
            ("[dps]\nretry_after_seconds = 'soon'", "retry_after_seconds"),
            ("adr.leaf_validity_days = 91", "adr.leaf_validity_days"),
        ] {
            let error = EmulatorConfig::check(&scenario(emulator)).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            assert!(matches!(error, EmulatorConfigError::Scenario { .. }));
        }
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(b"[dps]\nretry_after = 1\n").unwrap();
        let error = EmulatorConfig::new(&scenario(""), Some(file.path()), 1).unwrap_err();
        assert!(error.to_string().contains("line 2") && matches!(error, EmulatorConfigError::File { .. }), "{error}");
        assert!(matches!(
            EmulatorConfig::new(&scenario(""), Some(Path::new("/absent.toml")), 1),
            Err(EmulatorConfigError::Read { .. })
        ));
    }
}
