//! What is typed of metrics: where they are to be had, and whom they are pushed to.

mod address;
mod otlp;

pub use address::MetricsAddress;
pub use otlp::OtlpArgs;
