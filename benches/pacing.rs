//! How late an open workload starts its devices: a thousand arrivals per second of an attempt that costs next to nothing,
//! with worker threads in real time. Prints start minus due time; wanted are 0.3 ms at the median and 5 ms at p99.

use std::sync::Arc;

use fleetstorm::device::{DeviceAttestation, Endpoint, MemoryConnector, Settings};
use fleetstorm::domain::{CryptoProvider, IdScope, TlsVersions};
use fleetstorm::engine::{Plan, RunInput, run};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::tls::ClientTls;
use fleetstorm::scenario::Scenario;

fn settings() -> Settings {
    let root = RootCa::generate("root", std::time::SystemTime::now()).expect("a root").der().to_vec();
    let tls = ClientTls::new(std::slice::from_ref(&root), TlsVersions::Any, CryptoProvider::default()).expect("TLS");
    let attestation = DeviceAttestation::SymmetricKey {
        group_key: SymmetricKey::random(),
        token_life: fleetstorm::domain::FleetTime::from_secs(3_600),
    };
    let scope = IdScope::new("0ne00000001").expect("an id scope");
    Settings::new(Endpoint::new("dps"), scope, attestation, tls, Arc::new(ChainVerifier::any_issuer()))
}

fn main() {
    // `cargo test --benches` only wants to know that it works.
    let devices = if std::env::args().any(|arg| arg == "--bench") { 10_000 } else { 100 };
    for (rate, workers) in [(1_000, 1), (1_000, 2), (5_000, 2)] {
        let text = format!(
            "schema = 1\nname = 'pacing'\nfleet.devices = {devices}\nlimits.workers = {workers}\n\
             [[stage]]\nname = 's'\nkind = 'provision'\narrival = {{ process = 'constant', rate = '{rate}/s' }}\n"
        );
        let scenario = Scenario::parse("pacing", &text, &[]).expect("a scenario");
        // Nobody listens: every attempt is refused at once.
        let (connector, _) = MemoryConnector::new();
        let plan = Plan::new(&scenario, 1);
        let input =
            RunInput { open_files: 20_000, ..RunInput::new(scenario, plan, vec![settings()], connector.into()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let outcome = runtime.block_on(run(input)).expect("a run");
        let lateness = outcome.health.lateness.decode();
        let at = |quantile| lateness.quantile(quantile).unwrap_or_default().as_secs_f64() * 1e3;
        println!(
            "{rate}/s on {workers} workers, {} attempts: start lags {:.3} ms at the median, {:.3} ms at p99, {:.3} ms at most",
            lateness.count(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}
