//! `--otlp`: pushes how a run goes to a receiver of the OpenTelemetry protocol, such as an OpenTelemetry collector: OTLP over
//! HTTP with protobuf bodies (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), set up as its exporters are
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
//!
//! A push never disturbs the run: one at a time, each with a time-out, and what fails is told once. Every push holds all
//! that was counted since the run began, so that nothing is lost with one that does not arrive.

mod environment;
mod error;
mod failure;
mod pusher;
mod request;
mod sender;
mod settings;
mod url;

pub use environment::SECRETS;
pub use error::OtlpError;
pub use pusher::Pusher;
pub use settings::OtlpSettings;
pub use url::{OtlpTarget, OtlpUrl, UrlProblem};
