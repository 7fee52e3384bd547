//! Runs of fleets whose bootstrap certificates `fleetstorm pki` made, or somebody else.

use std::fs;
use std::path::Path;

use fleetstorm::cli::Exit;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

use super::openssl;
use crate::cli::{code, fleetstorm};
use crate::run::{RUN, Running, folder, json};

fn fleet() -> TempDir {
    let folder = folder("arrival = \"at-once\"", 3);
    let scenario = fs::read_to_string(folder.path().join("small.toml")).unwrap();
    let x509 = scenario.replace("[fleet]\n", "[fleet]\nattestation = \"x509\"\nbootstrap_dir = \"pki\"\n");
    fs::write(folder.path().join("small.toml"), x509).unwrap();
    folder
}

fn pki(folder: &Path, arguments: &[&str]) {
    fleetstorm(folder).arg("pki").args(arguments).assert().success();
}

#[test]
fn devices_signed_by_the_root_are_let_in_with_and_without_an_intermediate() {
    let folder = fleet();
    let succeeded = |out: &str| {
        let mut run = RUN;
        run[5] = out;
        fleetstorm(folder.path()).args(run).assert().success();
        json(&folder.path().join(out).join("run.json"))["totals"]["succeeded"].clone()
    };
    let missing = fleetstorm(folder.path()).args(RUN).assert();
    missing.code(code(Exit::Unexpected)).stderr(contains("make them first").and(contains("--by root")));
    pki(folder.path(), &["root"]);
    pki(folder.path(), &["devices", "--scenario", "small.toml", "--by", "root"]);
    assert_eq!(succeeded("by-root"), 3);
    // One device is of the intermediate, which was made later.
    pki(folder.path(), &["intermediate"]);
    pki(folder.path(), &["devices", "device-000001", "--force"]);
    assert_eq!(succeeded("by-both"), 3);
}

#[test]
fn a_bootstrap_certificate_that_cannot_be_used_is_named_before_the_run() {
    let folder = fleet();
    pki(folder.path(), &["root"]);
    pki(folder.path(), &["devices", "--scenario", "small.toml", "--by", "root"]);
    let devices = folder.path().join("pki/devices");
    let (certificate, key) = (devices.join("device-000001.pem"), devices.join("device-000001.key.pem"));
    let (good, good_key) = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
    let refused = |fault: &str| {
        let refused = fleetstorm(folder.path()).args(RUN).assert();
        let told = contains("1 of 3 bootstrap certificates").and(contains("device-000001.pem"));
        refused.code(code(Exit::Unexpected)).stderr(told.and(contains(fault)).and(contains("pki devices")));
        assert!(!folder.path().join("out/run.json").exists());
    };
    let signed = |extensions: &str, more: &[&str]| {
        fs::write(folder.path().join("extensions"), extensions).unwrap();
        let request = ["req", "-new", "-key", "pki/devices/device-000001.key.pem", "-subj", "/CN=device-000001"];
        openssl::good(folder.path(), &[&request[..], &["-out", "request.pem"]].concat());
        let sign = ["x509", "-req", "-in", "request.pem", "-CA", "pki/root.pem", "-CAkey", "pki/root.key.pem"];
        let out = ["-CAcreateserial", "-out", "pki/devices/device-000001.pem"];
        openssl::good(folder.path(), &[&sign[..], &out, more].concat());
    };
    signed("", &["-days", "9"]);
    refused("X.509 version 1");
    signed("1.2.3.4 = critical,ASN1:NULL", &["-days", "9", "-extfile", "extensions"]);
    refused("critical extension 1.2.3.4");
    signed("basicConstraints = CA:FALSE", &["-days", "-1", "-extfile", "extensions"]);
    refused("has expired");
    fs::write(&certificate, "nothing").unwrap();
    refused("no -----BEGIN CERTIFICATE-----");
    fs::copy(devices.join("device-000002.pem"), &certificate).unwrap();
    fs::copy(devices.join("device-000002.key.pem"), &key).unwrap();
    refused("is one of `device-000002`");
    fs::write(&certificate, &good).unwrap();
    let foreign = contains("device-000001.key.pem").and(contains("the certificate does not"));
    fleetstorm(folder.path()).args(RUN).assert().code(code(Exit::Unexpected)).stderr(foreign);
    openssl::good(
        folder.path(),
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "weak.pem"],
    );
    fs::copy(folder.path().join("weak.pem"), &key).unwrap();
    fleetstorm(folder.path()).args(RUN).assert().code(code(Exit::Unexpected)).stderr(contains("2048, 3072, 4096 bits"));
    fs::write(&key, good_key).unwrap();
    fs::remove_file(&certificate).unwrap();
    refused("No such file");
    fs::write(&certificate, good).unwrap();
    fleetstorm(folder.path()).args(RUN).assert().success();
}

/// Whoever takes a file away during a run is neither the service nor this machine's weakness.
#[test]
fn a_bootstrap_key_that_goes_away_during_the_run_is_told_as_configuration() {
    let folder = fleet();
    let scenario = folder.path().join("small.toml");
    let text = fs::read_to_string(&scenario).unwrap();
    // One after the other, each for a second at least, and one key ahead.
    let text = text.replace("arrival = \"at-once\"", "workload = \"closed\"\nconcurrency = 1");
    fs::write(&scenario, text.replace("[limits]\n", "[limits]\nkeys_ahead = 1\n")).unwrap();
    pki(folder.path(), &["root"]);
    pki(folder.path(), &["devices", "--scenario", "small.toml", "--by", "root"]);
    let mut running = Running::start(&folder, &[]);
    running.until_told("measure");
    fs::remove_file(folder.path().join("pki/devices/device-000002.key.pem")).unwrap();
    let (exit, stdout, stderr) = running.finish();
    assert_eq!(exit, Some(code(Exit::Done)), "{stdout}{stderr}");
    let run = json(&folder.path().join("out/run.json"));
    assert_eq!(
        (&run["totals"]["succeeded"], &run["totals"]["failed_by_class"]["configuration"]),
        (&2.into(), &1.into())
    );
    let words = run["errors"][0]["message"].as_str().unwrap();
    assert!(words.starts_with("the bootstrap certificate of a device cannot be used: it is not there"), "{words}");
}
