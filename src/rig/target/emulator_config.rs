//! Settings of the embedded emulator: the file of `--emulator-config`, over it what the scenario says, written to one file
//! that the child process reads.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::domain::{FleetTime, Origin, QuotaProfile, Setting, without_byte_order_mark};
use crate::emulator::{Config, LatencySettings};
use crate::pki::bootstrap::Folder;
use crate::scenario::{Attestation, Scenario};
use crate::settings::declare::Written as _;
use crate::settings::{Problems, Table, Text, Value, ValueKind};

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
    /// What the scenario asks for, laid over the file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(Problems),
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
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(Problems),
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
    /// The file or the scenario's `[emulator]` is no configuration: all problems.
    pub fn new(scenario: &Scenario, file: Option<&Path>, seed: u64) -> Result<Self, EmulatorConfigError> {
        let text = file.map(read).transpose()?;
        let mut table = match &text {
            Some(text) => Config::parse(text)
                .and_then(|table| Config::of(text.name(), &table).map(|_| table))
                .map_err(EmulatorConfigError::File)?,
            None => Table::default(),
        };
        table.lay(scenario.emulator.clone());
        table.lay(stated(scenario));
        if table.get("seed").is_none() {
            table.insert("seed", Value::built_in(ValueKind::Integer(seed.into())));
        }
        let of_file = text.map(|text| of_file(&table, &text)).unwrap_or_default();
        let authorities = let_bootstrap_authorities_in(&mut table, scenario);
        let checked = Config::of("what the scenario asks for", &table).map_err(EmulatorConfigError::Scenario)?;
        Ok(Self { table, checked, of_file, authorities })
    }

    /// What is in force of the file, with dotted keys below `emulator`: the rest is among the scenario's own settings.
    pub fn of_file(&self) -> &[Setting] {
        &self.of_file
    }

    /// As the emulator reads it.
    pub(super) const fn checked(&self) -> &Config {
        &self.checked
    }

    /// What DPS tells devices to wait until they ask for the state of their registration.
    pub fn retry_after(&self) -> FleetTime {
        FleetTime::from_secs(self.checked.dps.retry_after_seconds.into())
    }

    /// How long DPS typically works at a registration, as far as the model says; of a measured distribution
    /// nothing is known without its file.
    pub fn typical_assignment(&self) -> Duration {
        let ms = match &self.checked.model.assign.latency {
            LatencySettings::Fixed { ms } => *ms,
            LatencySettings::Uniform { min_ms, max_ms } => f64::midpoint(*min_ms, *max_ms),
            LatencySettings::LogNormal { median_ms, .. } => *median_ms,
            LatencySettings::Histogram { .. } => 0.0,
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
        file.write_all(self.table.to_toml().to_string().as_bytes()).map_err(EmulatorConfigError::Write)?;
        Ok(file)
    }
}

fn read(file: &Path) -> Result<Arc<Text>, EmulatorConfigError> {
    let text = std::fs::read_to_string(file)
        .map(without_byte_order_mark)
        .map_err(|source| EmulatorConfigError::Read { file: file.to_owned(), source })?;
    Ok(Text::new(&format!("{} (--emulator-config)", file.display()), text, Origin::CommandLine, 0))
}

/// What still comes from the file, whatever was laid over it.
fn of_file(table: &Table, file: &Arc<Text>) -> Vec<Setting> {
    let leaves = table.leaves().into_iter().filter(|(_, value)| value.place.is_in(file));
    let setting = |(key, value): (_, &Value)| Setting {
        key: format!("emulator.{key}"),
        value: value.to_string(),
        origin: Origin::CommandLine,
    };
    let mut settings: Vec<Setting> = leaves.map(setting).collect();
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    settings
}

/// Devices that attest with bootstrap certificates are let in by the authorities that may have signed them, which this gives.
fn let_bootstrap_authorities_in(table: &mut Table, scenario: &Scenario) -> Vec<PathBuf> {
    let mut folders: Vec<&PathBuf> = Vec::new();
    for class in &scenario.fleet.classes {
        if let Attestation::X509 { bootstrap_dir } = &class.attestation
            && !folders.contains(&bootstrap_dir)
        {
            folders.push(bootstrap_dir);
        }
    }
    if folders.is_empty() {
        return Vec::new();
    }
    let certificates: Vec<_> =
        folders.iter().map(|folder| signing_certificates(&Folder::new(folder.as_path()))).collect();
    let groups = certificates.iter().enumerate().map(|(index, files)| {
        let id = ValueKind::Text(format!("bootstrap-{}", index + 1));
        let group = [("id", Some(id)), ("signing_certificate_files", files.written())];
        Value::built_in(ValueKind::Table(group.into_iter().collect()))
    });
    let mut all = match table.get("groups").map(|entry| &entry.value.kind) {
        Some(ValueKind::Array(given)) => given.clone(),
        _ => Vec::new(),
    };
    all.extend(groups);
    table.insert("groups", Value::built_in(ValueKind::Array(all)));
    certificates.into_iter().flatten().collect()
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
    // Always: generator and emulator must agree on it. A number is rounded: at `2d = 7s` the emulator's clock is a billionth of a fleet second
    // behind now and then, and dates a certificate by the whole second before.
    let mut table = Table::from_iter([("time_scale", scenario.time_scale.factor().written())]);
    let mut state = |key: &str, kind| table.insert(key, Value::built_in(kind));
    if states("quotas") {
        state("quota", ValueKind::Text(QuotaProfile::Unlimited.name().to_owned()));
        let limits = scenario.quotas;
        // 0 lifts a limit.
        let quotas = [
            ("registrations_per_minute", limits.registrations_per_minute),
            ("certificates_per_minute", limits.certificates_per_minute),
            ("polls_per_10_seconds", limits.polls_per_10_seconds),
            ("renewals_per_minute", limits.renewals_per_minute),
            ("hub_connections_per_second", limits.hub_connections_per_second),
            ("burst_periods", Some(limits.burst())),
        ];
        let quotas = quotas.map(|(key, limit)| (key, limit.unwrap_or_default().written()));
        state("quotas", ValueKind::Table(quotas.into_iter().collect()));
    }
    if states("policy") {
        let seconds = scenario.policy.validity.as_secs().written();
        state("adr", ValueKind::Table(Table::from_iter([("leaf_validity_seconds", seconds)])));
    }
    if scenario.fleet.any(|class| class.tls_resumption) {
        // A device cannot resume a session for which it got no ticket.
        state("listen", ValueKind::Table(Table::from_iter([("tls_resumption", true.written())])));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    use crate::domain::{QuotaLimits, TimeScale};

    fn scenario(emulator: &str) -> Scenario {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 1\n[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";
        let scenario = Scenario::parse("x.toml", text, &[]).unwrap();
        Scenario {
            emulator: Config::parse(&Text::new("x.toml", emulator.to_owned(), Origin::Scenario, 0)).unwrap(),
            ..scenario
        }
    }

    fn states(scenario: &mut Scenario, key: &str) {
        scenario.settings.push(Setting { key: key.to_owned(), value: String::new(), origin: Origin::Scenario });
    }

    fn read(config: &EmulatorConfig) -> Config {
        let file = config.write().unwrap();
        assert_eq!(file.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        Config::read("x", &std::fs::read_to_string(file.path()).unwrap()).unwrap()
    }

    #[test]
    fn tickets_are_handed_out_to_fleets_that_resume_sessions() {
        let resumes = |text: &str| {
            let text = format!(
                "schema = 1\nname = 'x'\nfleet.devices = 1\n{text}\n[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n"
            );
            let scenario = Scenario::parse("x.toml", &text, &[]).unwrap();
            EmulatorConfig::new(&scenario, None, 1).unwrap().checked.listen.tls_resumption
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
        assert_eq!(read.time_scale, scenario.time_scale);
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
    fn what_cannot_be_names_its_key_where_it_stands() {
        let place = |error: &EmulatorConfigError| {
            let (EmulatorConfigError::Scenario(problems) | EmulatorConfigError::File(problems)) = error else {
                panic!("{error}")
            };
            let places = problems.iter().filter_map(|one| one.location());
            places.map(|(name, line, _)| format!("{name}:{line}")).collect::<Vec<_>>()
        };
        for wrong in
            ["\n[dps]\nretry_after = 1", "\n[dps]\nretry_after_seconds = 'soon'", "\n\ndps.retry_after_seconds = 301"]
        {
            let error = EmulatorConfig::new(&scenario(wrong), None, 1).unwrap_err();
            assert!(matches!(error, EmulatorConfigError::Scenario(_)));
            assert_eq!(place(&error), ["x.toml:3"], "{wrong}");
        }
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(b"[dps]\nretry_after = 1\n").unwrap();
        let error = EmulatorConfig::new(&scenario(""), Some(file.path()), 1).unwrap_err();
        let in_file = format!("{} (--emulator-config):2", file.path().display());
        assert_eq!(place(&error), [in_file]);
        assert!(matches!(error, EmulatorConfigError::File(_)));
        assert!(matches!(
            EmulatorConfig::new(&scenario(""), Some(Path::new("/absent.toml")), 1),
            Err(EmulatorConfigError::Read { .. })
        ));
    }
}
