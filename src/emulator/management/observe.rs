//! What can be seen from outside: health, counters, metrics, and the certificates to trust.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value, json};

use super::Plane;
use super::answer::Json;
use super::routes::Routes;
use crate::emulator::service::Service;
use crate::pki::store::certificates_to_pem;
use crate::protocol::exposition::ExpositionFormat;

/// `/healthz`, which needs no token.
pub(super) fn health() -> Routes {
    Routes::new().route("/healthz", get(async || "ok\n"))
}

/// `/counters`, `/metrics`, `/roots`, `/chains`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/counters", get(counters))
        .route("/metrics", get(metrics))
        .route("/roots", get(roots))
        .route("/chains", get(chains))
}

async fn counters(State(plane): State<Plane>) -> Json {
    let counters = plane.service.counters();
    Json(Value::Object(counters.iter().map(|(name, count)| (name.to_owned(), count.into())).collect::<Map<_, _>>()))
}

/// The roots that devices and back ends must trust: of the TLS server certificate, and of operational certificates.
async fn roots(State(plane): State<Plane>) -> Json {
    let root = |r#use: &str, der: &[u8]| json!({"use": r#use, "pem": certificates_to_pem(&[der])});
    let value = [root("server", &plane.server_root), root("device", plane.core().adr.root_der())];
    Json(json!({ "value": value }))
}

/// What stands above an operational certificate, policy by policy: the issuing CA, then the root.
async fn chains(State(plane): State<Plane>) -> Json {
    let adr = &plane.core().adr;
    let policies = adr.policies();
    let chains = policies.iter().map(
        |(name, policy)| json!({"policy": &**name, "pem": certificates_to_pem(&[policy.ca_der(), adr.root_der()])}),
    );
    Json(json!({"value": chains.collect::<Vec<_>>()}))
}

async fn metrics(State(plane): State<Plane>, headers: HeaderMap) -> Response {
    let mut registry = Registry::with_prefix("fleetstorm_emulator");
    registry.register_collector(Box::new(Metrics(plane.service)));
    let format = ExpositionFormat::negotiated(headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()));
    match format.encode(&registry) {
        Ok(text) => ([(CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], text).into_response(),
        // Writing to a text fails only when a metric of ours is malformed.
        Err(_) => hyper::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Reads the emulator's own counters when somebody asks, so that counting costs no more than it did.
#[derive(Debug)]
struct Metrics(Service);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, count) in self.0.counters().iter() {
            let (counter, help) = (ConstCounter::new(count), format!("{} since the start.", name.replace('_', " ")));
            counter.encode(encoder.encode_descriptor(name, &help, None, counter.metric_type())?)?;
        }
        let registered = self.0.core().registry.registration_count();
        let registered = ConstGauge::new(i64::try_from(registered).unwrap_or(i64::MAX));
        let descriptor =
            encoder.encode_descriptor("registrations", "Devices registered.", None, registered.metric_type())?;
        registered.encode(descriptor)
    }
}
