//! The whole path in one process: workers, TLS and MQTT on loopback, the emulator.

use std::sync::Arc;

use fleetstorm::device::{DeviceAttestation, Endpoint, HubSettings, Settings, TcpConnector};
use fleetstorm::domain::{CryptoProvider, IdScope, KeyAlgorithm, TlsVersions};
use fleetstorm::emulator::{Config, Emulator, Event};
use fleetstorm::engine::{Plan, RunInput, run};
use fleetstorm::measure::RunStatus;
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::tls::ClientTls;
use tokio_util::sync::CancellationToken;

use super::scenario;

const DEVICES: u32 = 60;

fn settings(emulator: &Emulator, scope: &str) -> Settings {
    let (service, endpoints) = (emulator.service(), emulator.endpoints());
    let roots = std::slice::from_ref(&endpoints.server_root);
    let tls = ClientTls::new(roots, TlsVersions::Any, CryptoProvider::default()).unwrap();
    let attestation = DeviceAttestation::SymmetricKey {
        group_key: service.group_key().clone(),
        token_life: fleetstorm::domain::FleetTime::from_secs(3_600),
    };
    let chain = ChainVerifier::new(&[service.issuing_root().to_vec()]).unwrap();
    let dps = Endpoint { address: Some(endpoints.mqtt), ..Endpoint::new("localhost") };
    let mut settings = Settings::new(dps, IdScope::new(scope).unwrap(), attestation, tls, Arc::new(chain));
    settings.hub = Some(HubSettings { address: Some(endpoints.mqtt), ..HubSettings::default() });
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generator_and_the_service_count_the_same() {
    let mut config = Config::default();
    config.listen.mqtt_port = 0;
    config.dps.retry_after_seconds = 0;
    let scope = config.id_scope.clone();
    let emulator = Emulator::bind(config).await.unwrap();
    let mut device = settings(&emulator, &scope);
    device.algorithm = KeyAlgorithm::EcdsaP384;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(emulator.run(shutdown.clone()));

    let text = "arrival = 'at-once'\nmax_lateness = '1m'\n[limits]\nworkers = 2";
    let scenario = scenario(DEVICES, text);
    let plan = Plan::new(&scenario, 1);
    let outcome = run(RunInput::new(scenario, plan, vec![device], TcpConnector::new().into())).await.unwrap();

    shutdown.cancel();
    let counters = serving.await.unwrap();
    let totals = &outcome.stages[0].totals;
    assert_eq!((outcome.status, outcome.errors), (RunStatus::Complete, Vec::new()));
    assert_eq!(totals.succeeded, u64::from(DEVICES));
    for event in [Event::Registered, Event::Issued, Event::Assigned, Event::HubConnected, Event::Telemetry] {
        assert_eq!(counters.get(event), u64::from(DEVICES), "{event:?}");
    }
    assert_eq!(counters.get(Event::Polled), totals.polls);
}
