//! Devices that break every rule, over everything that the emulator listens on, all at once. Afterwards it serves devices that
//! keep to the rules, has said nothing on stderr, holds no connection of theirs, and has as much memory as before.

mod http;
mod mqtt;
mod tls;
mod tool;
mod websocket;

use std::sync::Arc;

use fleetstorm::device::{DeviceAttestation, Endpoint, HubSettings, Settings};
use fleetstorm::domain::{CryptoProvider, IdScope, TlsVersions, Transport};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::store::read_certificate;
use fleetstorm::pki::tls::ClientTls;
use futures_util::{StreamExt as _, stream};

use super::client::SCOPE;
use super::sockets::whole_device;
use tool::{Ending, Victim};

/// Devices that are on at the same time.
const AT_ONCE: usize = 150;

/// What all of them together may cost, in bytes: what is let in is let go, and what is not read is not kept.
const MEMORY: u64 = 64 * 1024 * 1024;

/// How a device finds its services, for every transport.
fn settings(victim: &Victim) -> [Settings; 3] {
    let text = |name: &str| victim.process.text(name);
    let certificate = |name: &str| read_certificate(text(name).as_ref()).unwrap();
    let group_key = victim.group_key.clone();
    let attestation =
        DeviceAttestation::SymmetricKey { group_key, token_life: fleetstorm::domain::FleetTime::from_secs(3600) };
    let tls = ClientTls::new(&[certificate("ca_file")], TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
    let chain = Arc::new(ChainVerifier::new(&[certificate("issuing_root_file")]).unwrap());
    [Transport::Mqtt, Transport::MqttWebSocket, Transport::Https].map(|transport| {
        let address = Some(if transport == Transport::Mqtt { victim.mqtt } else { victim.https });
        let dps = Endpoint { address, ..Endpoint::new("localhost") };
        let scope = IdScope::new(SCOPE).unwrap();
        let mut settings = Settings::new(dps, scope, attestation.clone(), tls.clone(), Arc::clone(&chain));
        settings.transport = transport;
        let web_socket = transport == Transport::MqttWebSocket;
        let address = Some(if web_socket { victim.https } else { victim.mqtt });
        settings.hub = Some(HubSettings { web_socket, address, ..HubSettings::default() });
        settings
    })
}

/// One device for every transport, from registration to telemetry.
async fn well_behaved(settings: &[Settings; 3], from: u32) {
    for (index, settings) in (from..).zip(settings) {
        whole_device(settings, index).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_devices_do_the_others_are_served_and_nothing_is_left() {
    let mut victim = Victim::start();
    let settings = settings(&victim);
    well_behaved(&settings, 0).await;
    let mut hostile = Vec::new();
    let cases = [tls::cases(), mqtt::cases(&victim, &mut hostile), websocket::cases(), http::cases(&victim)].concat();
    assert!(cases.len() > 300, "{}", cases.len());
    // Devices of the hub before they turn.
    stream::iter(&hostile).for_each_concurrent(20, |index| whole_device(&settings[0], *index)).await;
    let (files, memory) = (victim.settled_files(0).await, victim.memory("VmRSS"));
    // One after the other, as a device has one session with its hub.
    for ending in [Ending::Leave, Ending::Linger] {
        let played = cases.iter().filter(|case| case.ends(ending));
        stream::iter(played).for_each_concurrent(AT_ONCE, |case| case.play(&victim, ending)).await;
    }

    well_behaved(&settings, 3).await;
    let left = victim.settled_files(files).await;
    assert!(left <= files, "{left} files are open, {files} before");
    let (most, now) = (victim.memory("VmHWM"), victim.memory("VmRSS"));
    assert!(most < memory + MEMORY, "{most} bytes at most, {now} now, {memory} before");
    let (counters, said) = victim.stop();
    assert_eq!(said, "", "on stderr");
    let count = |name: &str| counters[name].as_u64().unwrap();
    assert_eq!(count("assigned"), 6 + hostile.len() as u64, "{counters}");
    // They came as far as they were meant to.
    for (name, least) in [
        ("handshakes_failed", 30),
        ("protocol_violations", 100),
        ("websockets", 100),
        ("http_requests", 1000),
        ("dps_connected", 100),
        ("hub_connected", 100),
        ("twin_reads", 100),
    ] {
        assert!(count(name) > least, "{name}: {counters}");
    }
}
