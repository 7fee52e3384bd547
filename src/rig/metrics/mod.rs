//! What a run tells of itself while it goes on, listed once and told in two ways: `--metrics` is an endpoint in the text
//! formats of Prometheus and OpenMetrics (<https://openmetrics.io>); `--otlp` pushes to an OpenTelemetry collector.

mod endpoint;
mod exposition;
mod families;
mod moment;
pub mod otlp;

pub use endpoint::{Bound, MetricsEndpoint, MetricsError};
pub use moment::RunFacts;
