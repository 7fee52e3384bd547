//! `--metrics`: an endpoint that tells how a run goes, in the OpenMetrics text format (<https://openmetrics.io>), which
//! Prometheus and others read.

mod address;
mod endpoint;
mod exposition;
mod families;
mod moment;

pub use address::MetricsAddress;
pub use endpoint::{Bound, Endpoint, MetricsError};
pub use moment::Facts;
