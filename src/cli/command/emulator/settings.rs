use std::path::{Path, PathBuf};

use super::EmulatorArgs;
use super::error::EmulatorError;
use crate::cli::secrets::secret;
use crate::domain::{Origin, without_byte_order_mark};
use crate::emulator::{Config, GroupEntry, Port};
use crate::pki::sas::SymmetricKey;
use crate::pki::store;
use crate::rig::target::GROUP_KEY_ENV;
use crate::settings::{Table, Text, ValueKind, document};

/// Port of HTTPS when neither flag nor file names one: that of the services, 443, needs privileges.
const HTTPS_PORT: u16 = 8443;

/// Port of the control plane when neither flag nor file names one.
const MANAGEMENT_PORT: u16 = 8444;

/// Id of the enrollment group of `--x509-ca`.
const X509_GROUP: &str = "x509";

/// Defaults, then the file, then flags and environment.
pub(super) fn resolve(args: &EmulatorArgs) -> Result<Config, EmulatorError> {
    let file = args.config.as_deref();
    let mut table = file.map_or_else(|| Ok(Table::default()), read)?;
    let judged = [
        ("--dps-host", "dps_host", args.dps_host.clone().map(ValueKind::Text)),
        ("--hub-host", "hub_host", args.hub_host.clone().map(ValueKind::Text)),
        ("--id-scope", "id_scope", args.id_scope.clone().map(ValueKind::Text)),
        ("--time-scale", "time_scale", args.time_scale.map(ValueKind::Float)),
    ];
    for (order, (name, key, given)) in judged.into_iter().enumerate() {
        if let Some(kind) = given {
            table.insert(key, document::flag(name, kind, order + 1));
        }
    }
    let named = file.map_or_else(|| "the command line".to_owned(), |file| file.display().to_string());
    let mut config = Config::of(&named, &table).map_err(EmulatorError::Settings)?;
    set(&mut config.listen.mqtt_port, args.mqtt_port);
    // Whoever takes a free port for one listener has another emulator running, or may have.
    let usual = |port| if config.listen.mqtt_port == 0 { Port::At(0) } else { Port::At(port) };
    config.listen.https_port = args.https_port.or(config.listen.https_port).or(Some(usual(HTTPS_PORT)));
    config.listen.management_port =
        args.management_port.or(config.listen.management_port).or(Some(usual(MANAGEMENT_PORT)));
    set(&mut config.listen.management_address, args.management_listen);
    set(&mut config.listen.address, args.listen);
    set(&mut config.quota, args.profile);
    config.state = args.state.clone().or(config.state);
    let addresses = [config.listen.address, config.listen.management_address];
    if let Some(address) = addresses.into_iter().find(|address| !address.is_loopback() && !args.allow_remote) {
        return Err(EmulatorError::Remote { address });
    }
    if let Some(key) = group_key(args.group_key_file.as_deref())? {
        config.group.primary_key = Some(key);
    }
    config.groups.extend(args.x509_ca.clone().map(|file| GroupEntry::by_signing_certificate(X509_GROUP, file)));
    read_enrollments(&mut config)?;
    Ok(config)
}

/// Reads the keys and certificates that the file of settings names.
fn read_enrollments(config: &mut Config) -> Result<(), EmulatorError> {
    for enrollment in &mut config.enrollments {
        if let Some(file) = &enrollment.primary_key_file {
            enrollment.primary_key = Some(read_key("enrollments.primary_key_file", file)?);
        }
        enrollment.certificates = read_certificates("enrollments.certificate_files", &enrollment.certificate_files)?;
    }
    for group in &mut config.groups {
        if let Some(file) = &group.primary_key_file {
            group.primary_key = Some(read_key("groups.primary_key_file", file)?);
        }
        group.signing_certificates =
            read_certificates("groups.signing_certificate_files", &group.signing_certificate_files)?;
    }
    for ca in &mut config.ca_certificates {
        ca.certificate = read_certificate("ca_certificates.file", &ca.file)?;
    }
    Ok(())
}

fn read_key(setting: &'static str, file: &Path) -> Result<SymmetricKey, EmulatorError> {
    key(&file.display().to_string(), &read_text(setting, file)?)
}

fn read_certificates(setting: &'static str, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, EmulatorError> {
    files.iter().map(|file| read_certificate(setting, file)).collect()
}

fn read_certificate(setting: &'static str, file: &Path) -> Result<Vec<u8>, EmulatorError> {
    store::read_certificate(file).map_err(|error| EmulatorError::Certificate { setting, error })
}

fn set<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

fn read(file: &Path) -> Result<Table, EmulatorError> {
    let text = read_text("--config", file)?;
    let text = Text::new(&file.display().to_string(), text, Origin::CommandLine, 0);
    Config::parse(&text).map_err(EmulatorError::Settings)
}

fn group_key(file: Option<&Path>) -> Result<Option<SymmetricKey>, EmulatorError> {
    if let Some(file) = file {
        let text = read_text("--group-key-file", file)?;
        return key(&file.display().to_string(), &text).map(Some);
    }
    let text = secret(GROUP_KEY_ENV)?.filter(|text| !text.is_empty());
    text.map(|text| key(GROUP_KEY_ENV, &text)).transpose()
}

fn key(origin: &str, text: &str) -> Result<SymmetricKey, EmulatorError> {
    SymmetricKey::from_base64(text).map_err(|error| EmulatorError::GroupKey { origin: origin.to_owned(), error })
}

fn read_text(flag: &'static str, file: &Path) -> Result<String, EmulatorError> {
    std::fs::read_to_string(file).map(without_byte_order_mark).map_err(|error| EmulatorError::Read {
        flag,
        file: file.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Exit, Explained as _};
    use crate::emulator::{Address, Listen};

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn of(file: &tempfile::NamedTempFile) -> EmulatorArgs {
        EmulatorArgs { config: Some(file.path().to_owned()), ..EmulatorArgs::default() }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file("id_scope = \"0ne0000000A\"\nhub_host = \"hub\"\n[dps]\nretry_after_seconds = 1\n");
        let flags = EmulatorArgs {
            hub_host: Some("other".to_owned()),
            mqtt_port: Some(0),
            time_scale: Some(86_400.0),
            ..of(&file)
        };
        let config = resolve(&flags).unwrap();
        assert_eq!((config.id_scope.as_str(), config.hub_host.as_str()), ("0ne0000000A", "other"));
        assert_eq!((config.listen.mqtt_port, config.dps.retry_after_seconds), (0, 1));
        assert_eq!(config.time_scale.to_string(), "1d = 1s");
    }

    #[test]
    fn certificates_are_read_from_the_files_that_settings_name() {
        let now = std::time::SystemTime::now();
        let root = crate::pki::bootstrap::root("root", crate::domain::KeyAlgorithm::EcdsaP256, 1, now).unwrap();
        let pem = file(&store::certificates_to_pem(&[root.der()]));
        let path = pem.path().display();
        let settings = file(&format!(
            "[[ca_certificates]]\nname = \"root\"\nfile = \"{path}\"\nverified = false\n\
             [[groups]]\nid = \"a\"\nca_references = [\"root\"]\n\
             [[groups]]\nid = \"b\"\nsigning_certificate_files = [\"{path}\"]\n\
             [[enrollments]]\nregistration_id = \"d\"\ncertificate_files = [\"{path}\", \"{path}\"]\n"
        ));
        let config = resolve(&of(&settings)).unwrap();
        assert_eq!((config.ca_certificates[0].certificate.as_slice(), config.groups.len()), (root.der(), 2));
        assert_eq!(config.groups[1].signing_certificates, [root.der()]);
        assert_eq!(config.enrollments[0].certificates.len(), 2);
        let settings = file("[[ca_certificates]]\nname = \"root\"\nfile = \"/absent.pem\"\n");
        let error = resolve(&of(&settings)).unwrap_err();
        assert_eq!((error.exit(), error.to_string().contains("/absent.pem")), (Exit::Usage, true), "{error}");
    }

    #[test]
    fn files_may_begin_with_a_byte_order_mark() {
        let key = file("\u{feff}c2VjcmV0c2VjcmV0c2VjcmV0\r\n");
        let settings = file("\u{feff}id_scope = \"0ne0000000A\"\r\n");
        let flags = EmulatorArgs { group_key_file: Some(key.path().to_owned()), ..of(&settings) };
        let config = resolve(&flags).unwrap();
        let read = config.group.primary_key.unwrap();
        assert_eq!((config.id_scope.as_str(), &**read.to_base64()), ("0ne0000000A", "c2VjcmV0c2VjcmV0c2VjcmV0"));
    }

    #[test]
    fn other_listeners_take_their_usual_port_unless_the_first_takes_a_free_one() {
        let config = resolve(&EmulatorArgs::default()).unwrap();
        let Listen { mqtt_port, https_port, management_port, .. } = config.listen;
        let usual = (8883, Some(Port::At(8443)), Some(Port::At(8444)));
        assert_eq!((mqtt_port, https_port, management_port), usual);
        let free = resolve(&EmulatorArgs { mqtt_port: Some(0), ..EmulatorArgs::default() }).unwrap();
        assert_eq!((free.listen.https_port, free.listen.management_port), (Some(Port::At(0)), Some(Port::At(0))));
        let file = file("[listen]\nhttps_port = \"off\"\n");
        assert_eq!(resolve(&of(&file)).unwrap().listen.https_port, Some(Port::Off));
        let flag = EmulatorArgs { https_port: Some(Port::At(443)), ..of(&file) };
        assert_eq!(resolve(&flag).unwrap().listen.https_port, Some(Port::At(443)));
    }

    #[test]
    fn mistakes_end_with_the_exit_code_of_usage_and_name_what_to_change() {
        let broken = file("[listen]\nmqtt_prot = 1\n");
        let error = resolve(&of(&broken)).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        let EmulatorError::Settings(problems) = error else { panic!("{error}") };
        let told: Vec<_> = problems.iter().map(|one| (one.location().map(|(_, line, _)| line), one.remedy())).collect();
        assert_eq!(told, [(Some(2), Some("did you mean `mqtt_port`?"))]);
        let flags = EmulatorArgs { id_scope: Some(String::new()), time_scale: Some(0.5), ..of(&broken) };
        let Err(EmulatorError::Settings(problems)) = resolve(&flags) else { panic!("no problems") };
        let places: Vec<_> = problems.iter().filter_map(|one| one.location()).map(|(name, ..)| name).collect();
        assert_eq!(places[1..], ["--id-scope", "--time-scale"]);
        let everywhere = Some(Address::At([0, 0, 0, 0].into()));
        for remote in [
            EmulatorArgs { listen: everywhere, ..EmulatorArgs::default() },
            EmulatorArgs { management_listen: everywhere, ..EmulatorArgs::default() },
        ] {
            assert!(matches!(resolve(&remote), Err(EmulatorError::Remote { .. })));
        }
        let key = file("not base64!");
        let bad_key = EmulatorArgs { group_key_file: Some(key.path().to_owned()), ..EmulatorArgs::default() };
        assert!(matches!(resolve(&bad_key), Err(EmulatorError::GroupKey { .. })));
    }
}
