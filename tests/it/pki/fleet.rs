use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fleetstorm::cli::Exit;
use fleetstorm::domain::{CryptoProvider, RegistrationId};
use fleetstorm::pki::bootstrap::Folder;
use predicates::str::contains;
use serde_json::Value;

use super::openssl;
use crate::cli::{code, fleetstorm, scenario};

pub(super) const PASSWORD: &str = "correct horse battery staple";

/// Runs `fleetstorm pki`, which must succeed, and gives the files that it lists.
fn pki(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = fleetstorm(folder);
    command.env("FLEETSTORM_PFX_PASSWORD", PASSWORD).args(["pki", "--json"]).args(arguments);
    let output = command.assert().success().get_output().stdout.clone();
    let list: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(list["schema"], 1);
    list["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

fn authorities(folder: &Path) {
    let root = pki(folder, &["root", "--name", "Test root"]);
    assert_eq!(root, ["pki/root.key.pem", "pki/root.pem"]);
    let intermediate = pki(folder, &["intermediate", "--key-algorithm", "ecdsa-p384"]);
    assert_eq!(intermediate, ["pki/intermediate.key.pem", "pki/intermediate.pem", "pki/chain.pem"]);
}

const VERIFY: [&str; 6] = ["verify", "-x509_strict", "-CAfile", "pki/root.pem", "-untrusted", "pki/chain.pem"];

fn text(folder: &Path, certificate: &str) -> String {
    openssl::good(folder, &["x509", "-in", certificate, "-noout", "-text"])
}

#[test]
fn a_fleet_gets_its_bootstrap_certificates_without_openssl_and_openssl_accepts_them() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    authorities(folder);
    openssl::good(folder, &[&VERIFY[..], &["pki/root.pem", "pki/intermediate.pem", "pki/chain.pem"]].concat());
    let root = text(folder, "pki/root.pem");
    assert!(root.contains("Subject: CN = Test root") && root.contains("CA:TRUE, pathlen:1"), "{root}");
    let intermediate = text(folder, "pki/intermediate.pem");
    assert!(intermediate.contains("CA:TRUE, pathlen:0") && intermediate.contains("Certificate Sign"), "{intermediate}");

    for authority in ["root", "intermediate"] {
        let proof = pki(folder, &["proof", "--code", "75B86466DA34D2B0", "--of", authority]).concat();
        openssl::good(folder, &[&VERIFY[..], &[&proof]].concat());
        assert!(text(folder, &proof).contains("Subject: CN = 75B86466DA34D2B0"));
    }

    let files = pki(folder, &["devices", "--count", "20", "--pattern", "Sensor-{index:03}"]);
    assert_eq!(files.len(), 40);
    assert!(files.contains(&"pki/devices/sensor-019.pem".to_owned()), "{files:?}");
    let certificates: Vec<&str> = files.iter().map(String::as_str).filter(|file| !file.contains(".key.")).collect();
    openssl::good(folder, &[&VERIFY[..], &["-purpose", "sslclient"], &certificates].concat());
    let device = text(folder, "pki/devices/sensor-007.pem");
    for expected in [
        "Subject: CN = sensor-007",
        "DNS:sensor-007",
        "Digital Signature, Key Encipherment",
        "TLS Web Client Authentication",
        "CA:FALSE",
    ] {
        assert!(device.contains(expected), "{expected} in {device}");
    }
}

#[test]
fn keys_are_for_their_owner_and_belong_to_the_certificates() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    authorities(folder);
    pki(folder, &["devices", "sensor-1", "--key-algorithm", "rsa-2048"]);
    let mode = |file: &str| fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
    for file in ["pki/root.key.pem", "pki/intermediate.key.pem", "pki/devices/sensor-1.key.pem"] {
        assert_eq!(mode(file), 0o600, "{file}");
        openssl::good(folder, &["pkey", "-in", file, "-check", "-noout"]);
    }
    assert_eq!(mode("pki"), 0o700);
    let id = RegistrationId::new("sensor-1").unwrap();
    let identity = Folder::new(folder.join("pki")).identity(&id, CryptoProvider::AwsLc).unwrap();
    assert_eq!(identity.chain.len(), 2, "the device presents its intermediate");
}

#[test]
fn pkcs12_files_open_with_their_password() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    authorities(folder);
    let files = pki(folder, &["devices", "sensor-1", "--export", "pfx"]);
    assert_eq!(files, ["pki/devices/sensor-1.pfx"]);
    let open = ["pkcs12", "-in", "pki/devices/sensor-1.pfx", "-nodes", "-passin", "env:PFX_PASSWORD"];
    let content = openssl::good(folder, &open);
    assert_eq!(content.matches("BEGIN CERTIFICATE").count(), 2, "{content}");
    assert_eq!(content.matches("BEGIN PRIVATE KEY").count(), 1);
    let wrong = openssl::run(folder, &["pkcs12", "-in", "pki/devices/sensor-1.pfx", "-nodes", "-passin", "pass:x"]);
    assert!(!wrong.status.success());

    fs::write(folder.join("password.txt"), "from a file\n").unwrap();
    pki(folder, &["devices", "sensor-2", "--export", "pfx", "--password-file", "password.txt"]);
    let open = ["pkcs12", "-in", "pki/devices/sensor-2.pfx", "-nodes", "-passin", "file:password.txt"];
    openssl::good(folder, &open);
    // As an editor of Windows writes it; the mark is no part of the password.
    fs::write(folder.join("marked.txt"), "\u{feff}from a file\r\n").unwrap();
    pki(folder, &["devices", "sensor-4", "--export", "pfx", "--password-file", "marked.txt"]);
    let open = ["pkcs12", "-in", "pki/devices/sensor-4.pfx", "-nodes", "-passin", "file:password.txt"];
    openssl::good(folder, &open);
    let refused = fleetstorm(folder).args(["pki", "devices", "sensor-3", "--export", "pfx"]).assert();
    refused.code(code(Exit::Unexpected)).stderr(contains("--password-file"));
}

#[test]
fn pkcs12_files_for_old_programs_have_triple_des_and_sha_1() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    authorities(folder);
    for (cipher, own, other) in [
        ("3des", ["MAC: sha1,", "pbeWithSHA1And3-KeyTripleDES-CBC"], ["sha256", "AES"]),
        ("aes-256", ["MAC: sha256,", "AES-256-CBC"], ["MAC: sha1,", "DES-"]),
    ] {
        pki(folder, &["devices", cipher, "--export", "pfx", "--pfx-cipher", cipher, "--key-algorithm", "rsa-2048"]);
        let file = format!("pki/devices/{cipher}.pfx");
        let content = openssl::good(
            folder,
            &["pkcs12", "-legacy", "-info", "-in", &file, "-nodes", "-passin", "env:PFX_PASSWORD"],
        );
        assert!(own.iter().all(|name| content.contains(name)), "{content}");
        assert!(!other.iter().any(|name| content.contains(name)), "{content}");
        assert_eq!(content.matches("BEGIN CERTIFICATE").count(), 2, "{content}");
        assert_eq!(content.matches("BEGIN PRIVATE KEY").count(), 1);
    }
}

#[test]
fn nothing_is_overwritten_unless_forced() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    authorities(folder);
    pki(folder, &["devices", "--count", "3"]);
    let key = folder.join("pki/devices/device-000001.key.pem");
    let before = fs::read(&key).unwrap();
    for again in [&["root"][..], &["intermediate"], &["devices", "--count", "4"]] {
        let refused = fleetstorm(folder).arg("pki").args(again).assert();
        refused.code(code(Exit::Unexpected)).stderr(contains("there already")).stderr(contains("--force"));
    }
    assert_eq!(fs::read(&key).unwrap(), before);
    assert!(!folder.join("pki/devices/device-000003.pem").exists(), "all or nothing");

    // As if the last call had been interrupted between key and certificate.
    fs::remove_file(folder.join("pki/devices/device-000001.pem")).unwrap();
    assert_eq!(pki(folder, &["devices", "--count", "4", "--only-missing"]).len(), 3);
    assert_eq!(fs::read(&key).unwrap(), before, "its key was kept");
    let devices = ["pki/devices/device-000001.pem", "pki/devices/device-000003.pem"];
    openssl::good(folder, &[&VERIFY[..], &devices].concat());

    pki(folder, &["devices", "--count", "4", "--force"]);
    assert_ne!(fs::read(&key).unwrap(), before);
}

#[test]
fn the_devices_of_a_scenario_are_made() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    authorities(folder);
    let scenario = scenario("smoke.toml");
    let devices =
        fleetstorm::scenario::Scenario::load(&scenario, &[], fleetstorm::emulator::read_within).unwrap().fleet.devices;
    let files = pki(folder, &["devices", "--scenario", scenario.to_str().unwrap()]);
    assert_eq!(files.len(), 2 * devices as usize);
}

#[test]
fn mistakes_name_their_remedy() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let refused = |arguments: &[&str]| fleetstorm(folder).arg("pki").args(arguments).assert();
    refused(&["devices", "a"]).code(code(Exit::Unexpected)).stderr(contains("fleetstorm pki intermediate"));
    refused(&["intermediate"]).code(code(Exit::Unexpected)).stderr(contains("fleetstorm pki root"));
    refused(&["devices"]).code(code(Exit::Usage)).stderr(contains("--count"));
    refused(&["devices", "a", "--count", "1"]).code(code(Exit::Usage));
    refused(&["root", "--key-algorithm", "dsa"]).code(code(Exit::Usage)).stderr(contains("ecdsa-p256"));
    refused(&["root", "--name", &"a".repeat(65)]).code(code(Exit::Unexpected)).stderr(contains("--name"));
    authorities(folder);
    refused(&["devices", "a b"]).code(code(Exit::Unexpected)).stderr(contains("registration id"));
    refused(&["devices", "a", "--days", "9999"]).code(code(Exit::Unexpected)).stderr(contains("--days 182"));
    fs::copy(folder.join("pki/root.key.pem"), folder.join("pki/intermediate.key.pem")).unwrap();
    refused(&["devices", "a"]).code(code(Exit::Unexpected)).stderr(contains("the certificate does not"));
}
