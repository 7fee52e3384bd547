use crate::pki::store::StoreError;
use crate::pki::tls::TlsConfigError;
use crate::rig::metrics::otlp::settings::SHORTEST;
use crate::rig::metrics::otlp::url::UrlProblem;

/// `--otlp` cannot be set up. Repeats no value that may be secret.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum OtlpError {
    /// The environment names a URL that is none.
    #[error("{variable} cannot be used: {problem}")]
    #[diagnostic(help("set it anew, or give the URL to --otlp, which goes before it"))]
    Url {
        /// Its variable.
        variable: String,
        /// What is wrong.
        problem: UrlProblem,
    },
    /// A list of pairs that is none.
    #[error("{variable} cannot be used: its entry {entry} {problem}")]
    #[diagnostic(help("write KEY=VALUE,KEY=VALUE with %2C for a comma and %25 for a percent sign in a value"))]
    Pairs {
        /// Its variable.
        variable: String,
        /// Which one, from 1.
        entry: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A number that is none.
    #[error("{variable} is `{value}`, which is no number of milliseconds above 0")]
    #[diagnostic(help("set it to a whole number, such as 10000 for ten seconds, or unset it"))]
    Milliseconds {
        /// Its variable.
        variable: String,
        /// What it is.
        value: String,
    },
    /// A setting that we do not have.
    #[error("{variable} is `{value}`, but metrics are pushed {only}")]
    #[diagnostic(help("unset it for this command; collectors take OTLP over HTTP at port 4318"))]
    Unsupported {
        /// Its variable.
        variable: String,
        /// What it is.
        value: String,
        /// What there is instead.
        only: &'static str,
    },
    /// Too often.
    #[error("--otlp-interval is shorter than {SHORTEST:?}")]
    #[diagnostic(help("snapshots of a run are made five times a second: nothing new could be pushed"))]
    Interval,
    /// The roots that a receiver must lead to.
    #[error("{variable} cannot be used: {source}")]
    #[diagnostic(help("name a PEM file with the authorities that may vouch for the receiver of --otlp"))]
    Certificate {
        /// Its variable.
        variable: String,
        /// Why.
        source: StoreError,
    },
    /// This machine trusts nobody, or nothing that can be used.
    #[error("the receiver of --otlp cannot be trusted: {source}")]
    #[diagnostic(help(
        "install the system's roots (package ca-certificates), or name a PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE or SSL_CERT_FILE"
    ))]
    Roots {
        /// Why.
        source: TlsConfigError,
    },
}
