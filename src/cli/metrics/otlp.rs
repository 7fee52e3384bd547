use std::time::Duration;

use crate::rig::metrics::otlp::OtlpTarget;

/// Where metrics are pushed to, and how often.
#[derive(Debug, Clone, clap::Args)]
pub struct OtlpArgs {
    /// Push how the run goes to an OpenTelemetry collector at a URL such as http://127.0.0.1:4318 (OTLP over HTTP; /v1/metrics
    /// is appended); without URL to where OTEL_EXPORTER_OTLP_ENDPOINT says. Headers come from OTEL_EXPORTER_OTLP_HEADERS
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", help_heading = "Metrics")]
    pub otlp: Option<OtlpTarget>,
    /// How often to push (10s unless given here or by OTEL_METRIC_EXPORT_INTERVAL); the last values are always pushed
    #[arg(long, value_name = "DURATION", requires = "otlp", value_parser = humantime::parse_duration)]
    #[arg(help_heading = "Metrics")]
    pub otlp_interval: Option<Duration>,
}
