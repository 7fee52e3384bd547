//! The binary against a service that breaks every rule: whatever it does to a device, the device ends in time and in the
//! right class, memory stays flat, and the results are whole.

mod cases;
mod reply;
mod server;
mod wire;

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use fleetstorm::cli::Exit;
use fleetstorm::domain::Transport;
use fleetstorm::pki::store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::cli::{code, fleetstorm};
use crate::run::{json, rows, sum, verdicts};

use cases::{At, Case, Door, cases};
use server::{DPS, Hostile};

/// Most memory of the generator: what it has for a fleet of this size, and some for what belongs to each connection. A
/// buffer without bound takes gigabytes.
const MEMORY: u64 = 250_000_000;

const GROUP_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

fn scenario(devices: usize, transport: Transport) -> String {
    format!(
        "schema = 1\nname = 'hostile'\nseed = 7\n\
         [fleet]\ndevices = {devices}\ntransport = '{transport}'\n\
         [fleet.behaviour]\nrepeats = 3\ndefault_wait = '0s'\nwait_jitter = '0s'\nanswer_timeout = '4s'\n\
         [[stage]]\nname = 'storm'\nkind = 'provision'\narrival = {{ process = 'constant', rate = '60/s' }}\n\
         timeout = '10s'\nmax_lateness = '1h'\n\
         [[stage]]\nname = 'renew'\nkind = 'renew'\narrival = 'at-once'\ntimeout = '8s'\n\
         max_lateness = '1h'\n\
         [[stage]]\nname = 'operate'\nkind = 'operate'\narrival = 'at-once'\nduration = '4s'\ntimeout = '8s'\n\
         max_lateness = '1h'\n\
         [limits]\nharmless_lateness = '1h'\ndrain = '30s'\n"
    )
}

/// What a run needs to know of the service.
fn describe(folder: &TempDir, service: &Hostile, listener: &TcpListener) {
    let path = |name: &str| folder.path().join(name);
    let pem = |der: &[u8]| store::certificates_to_pem(&[der.to_vec()]);
    fs::write(path("servers.pem"), pem(service.server_root.der())).unwrap();
    fs::write(path("devices.pem"), pem(service.root.der())).unwrap();
    fs::write(path("group.key"), GROUP_KEY).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let description = json!({
        "schema": 1, "id_scope": "0ne00000001", "dps_host": DPS, "hub_host": "hub.hostile.example",
        "mqtt": address, "https": address, "management": null, "group_id": "fleet",
        "group_key_file": path("group.key"), "ca_file": path("servers.pem"), "issuing_root_file": path("devices.pem"),
    });
    fs::write(path("target.json"), description.to_string()).unwrap();
}

/// One run, one device for each case.
fn run(transport: Transport) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = TempDir::new().unwrap();
    let service = Arc::new(Hostile::new(transport, cases(transport)));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    describe(&folder, &service, &listener);
    runtime.spawn(Arc::clone(&service).serve(listener));
    let cases = cases(transport);
    fs::write(folder.path().join("hostile.toml"), scenario(cases.len(), transport)).unwrap();
    let run = ["run", "hostile.toml", "--target", "target.json", "--out", "out", "--devices", "--no-color"];
    let output = fleetstorm(folder.path()).args(run).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // Wrong certificates are among the cases.
    assert_eq!(output.status.code(), Some(code(Exit::ThresholdsFailed)), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");

    let out = folder.path().join("out");
    let record = json(&out.join("run.json"));
    assert_eq!(verdicts(&record), ["wrong_certificates", "complete"], "{record:#}");
    is_whole(&record, &rows(&out.join("summary.csv")), cases.len() as u64);
    if transport != Transport::Https {
        let notes = record["notes"].to_string();
        let why = ["because the hub broke the protocol", "packet type or header flags", "that nobody asked for"];
        assert!(why.iter().all(|words| notes.contains(words)), "{notes}");
    }
    let memory = record["generator"]["peak_memory_bytes"].as_u64().unwrap();
    assert!(memory < MEMORY, "{memory} bytes of memory");
    let wrong = otherwise(&cases, &rows(&out.join("devices.csv")));
    let errors = fs::read_to_string(out.join("errors.csv")).unwrap();
    assert!(wrong.is_empty(), "{}\n{errors}", wrong.join("\n"));
}

/// Every device has one outcome in every stage, and nobody was still at it when the stage ended.
fn is_whole(record: &Value, summary: &[HashMap<String, String>], devices: u64) {
    for stage in summary {
        let count = |column: &str| stage[column].parse::<u64>().unwrap();
        let outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"].map(count);
        assert_eq!((outcomes.iter().sum::<u64>(), count("planned")), (devices, devices), "{stage:?}");
        assert_eq!(count("failed_generator"), 0, "a service is at fault, and not the generator: {record:#}");
        // A held connection that is lost shortly before the end is not made again.
        assert!(stage["stage"] == "operate" || count("failed_cut") == 0, "{stage:?}");
    }
    let held = summary.iter().find(|stage| stage["stage"] == "operate").unwrap();
    assert!(record["stages"].as_array().unwrap().len() == 3 && sum(summary, "started") > devices, "{held:?}");
}

/// The cases that ended in another class than they should have.
fn otherwise(cases: &[Case], attempts: &[HashMap<String, String>]) -> Vec<String> {
    let mut ended: HashMap<(&str, usize), &str> = HashMap::new();
    for attempt in attempts {
        ended.insert((&attempt["stage"], attempt["device"].parse().unwrap()), &attempt["class"]);
    }
    let wrong = cases.iter().enumerate().filter_map(|(device, case)| {
        let ended = ended.get(&(case.at.stage(), device));
        let right = ended.is_some_and(|class| case.ends.contains(class));
        (!right).then(|| format!("{device} {}: {ended:?}, not {:?}", case.name, case.ends))
    });
    wrong.collect()
}

#[test]
fn over_mqtt() {
    run(Transport::Mqtt);
}

#[test]
fn over_web_socket() {
    run(Transport::MqttWebSocket);
}

#[test]
fn over_https() {
    run(Transport::Https);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    for transport in [Transport::Mqtt, Transport::MqttWebSocket, Transport::Https] {
        let mut names: Vec<String> = cases(transport).into_iter().map(|case| case.name).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!((names.len(), At::Tls(Door::Dps).stage()), (all, "storm"));
    }
}
