use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::ClientConfig;
use secrecy::SecretString;

use crate::domain::{CryptoProvider, Origin, Setting};
use crate::pki::store::read_certificates;
use crate::pki::tls::{ClientTls, TlsVersions};
use crate::rig::metrics::otlp::environment::{Environment, Variable, pairs};
use crate::rig::metrics::otlp::sender::Sender;
use crate::rig::metrics::otlp::{OtlpError, OtlpTarget, OtlpUrl};

/// How often metrics are pushed unless something else is said. Exporters wait a minute; storms are shorter than that.
const INTERVAL: Duration = Duration::from_secs(10);

/// Nothing new is known more often.
pub(super) const SHORTEST: Duration = Duration::from_millis(200);

/// How long a push may take, with all its repetitions, unless the environment says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where exporters push to when nothing is said.
const DEFAULT_URL: &str = "http://localhost:4318";

const DEFAULT_SERVICE: &str = "fleetstorm";

/// How metrics are pushed: what was asked for, laid over what the environment says.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    pub(super) sender: Sender,
    pub(super) interval: Duration,
    /// How long a push may take, with all its repetitions.
    pub(super) timeout: Duration,
    /// Of the resource, `service.name` among them.
    pub(super) attributes: Vec<(String, String)>,
    settings: Vec<Setting>,
}

impl OtlpSettings {
    /// To `target`, every `interval` unless the environment or usage says. `environment` tells the value of a variable.
    ///
    /// # Errors
    /// Something that was asked for or a variable makes no sense.
    pub fn resolve(
        target: OtlpTarget,
        interval: Option<Duration>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, OtlpError> {
        let environment = Environment(environment);
        let (url, url_from) = match target {
            OtlpTarget::At(url) => (url, Origin::CommandLine),
            OtlpTarget::Environment => url(environment)?,
        };
        let (interval, interval_from) = match (interval, environment.get("OTEL_METRIC_EXPORT_INTERVAL")) {
            (Some(interval), _) if interval < SHORTEST => return Err(OtlpError::Interval),
            (Some(interval), _) => (interval, Origin::CommandLine),
            (None, Some(variable)) => (milliseconds(variable)?.max(SHORTEST), Origin::Environment),
            (None, None) => (INTERVAL, Origin::Default),
        };
        let timeout = environment.exporter("TIMEOUT").map(milliseconds).transpose()?.unwrap_or(TIMEOUT);
        let setting = |key: &str, value, origin| Setting { key: format!("run.{key}"), value, origin };
        let settings = vec![
            setting("otlp", url.to_string(), url_from),
            setting("otlp_interval", humantime::format_duration(interval).to_string(), interval_from),
        ];
        let tls = url.is_tls().then(|| tls(environment)).transpose()?;
        let sender = Sender { url, tls, headers: headers(environment)?, gzip: gzip(environment)? };
        Ok(Self { sender, interval, timeout, attributes: attributes(environment)?, settings })
    }

    /// For the record.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// In a few words, for people.
    pub fn described(&self) -> String {
        let every = humantime::format_duration(self.interval);
        format!("metrics are pushed to {} every {every} and at the end", self.sender.url)
    }
}

fn url(environment: Environment<'_>) -> Result<(OtlpUrl, Origin), OtlpError> {
    let unsupported = |variable: &Variable| variable.value != "http/protobuf";
    if let Some(Variable { name: variable, value }) = environment.exporter("PROTOCOL").filter(unsupported) {
        return Err(OtlpError::Unsupported { variable, value, only: "as http/protobuf alone" });
    }
    let is_whole = environment.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").is_some();
    let parse = if is_whole { OtlpUrl::of_metrics } else { OtlpUrl::of_base };
    match environment.exporter("ENDPOINT") {
        Some(Variable { name: variable, value }) => match parse(&value) {
            Ok(url) => Ok((url, Origin::Environment)),
            Err(problem) => Err(OtlpError::Url { variable, problem }),
        },
        None => Ok((OtlpUrl::of_base(DEFAULT_URL).expect("a constant URL"), Origin::Default)),
    }
}

fn milliseconds(variable: Variable) -> Result<Duration, OtlpError> {
    let Variable { name: variable, value } = variable;
    match value.parse::<u32>() {
        Ok(number) if number > 0 => Ok(Duration::from_millis(number.into())),
        _ => Err(OtlpError::Milliseconds { variable, value }),
    }
}

fn gzip(environment: Environment<'_>) -> Result<bool, OtlpError> {
    match environment.exporter("COMPRESSION") {
        None => Ok(false),
        Some(Variable { name: variable, value }) => match value.as_str() {
            "gzip" => Ok(true),
            "none" => Ok(false),
            _ => Err(OtlpError::Unsupported { variable, value, only: "with compression `gzip` or `none`" }),
        },
    }
}

fn headers(environment: Environment<'_>) -> Result<Vec<(HeaderName, SecretString)>, OtlpError> {
    let Some(Variable { name: variable, value }) = environment.exporter("HEADERS") else { return Ok(Vec::new()) };
    let wrong = |entry, problem| OtlpError::Pairs { variable: variable.clone(), entry, problem };
    let pairs = pairs(&value).map_err(|entry| wrong(entry, "is not KEY=VALUE"))?;
    let headers = pairs.into_iter().enumerate().map(|(place, (name, value))| {
        let name = HeaderName::try_from(name).map_err(|_| wrong(place + 1, "has no name of a header"))?;
        HeaderValue::try_from(&value).map_err(|_| wrong(place + 1, "has a value that no header can have"))?;
        Ok((name, SecretString::from(value)))
    });
    headers.collect()
}

/// `service.name` and what else the environment says of the service.
fn attributes(environment: Environment<'_>) -> Result<Vec<(String, String)>, OtlpError> {
    const SERVICE_NAME: &str = "service.name";
    let mut attributes = match environment.get("OTEL_RESOURCE_ATTRIBUTES") {
        Some(Variable { name: variable, value }) => {
            pairs(&value).map_err(|entry| OtlpError::Pairs { variable, entry, problem: "is not KEY=VALUE" })?
        }
        None => Vec::new(),
    };
    if let Some(service) = environment.get("OTEL_SERVICE_NAME") {
        attributes.retain(|(key, _)| key != SERVICE_NAME);
        attributes.insert(0, (SERVICE_NAME.to_owned(), service.value));
    }
    if !attributes.iter().any(|(key, _)| key == SERVICE_NAME) {
        attributes.insert(0, (SERVICE_NAME.to_owned(), DEFAULT_SERVICE.to_owned()));
    }
    Ok(attributes)
}

/// Trusts whom the environment names, else whom the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured).
fn tls(environment: Environment<'_>) -> Result<Arc<ClientConfig>, OtlpError> {
    let roots = match environment.exporter("CERTIFICATE") {
        Some(Variable { name: variable, value }) => {
            read_certificates(Path::new(&value)).map_err(|source| OtlpError::Certificate { variable, source })?
        }
        // Files among them that cannot be read can vouch for nobody; when none is left, that is told.
        None => rustls_native_certs::load_native_certs().certs.iter().map(|root| root.to_vec()).collect(),
    };
    let tls = ClientTls::new(&roots, TlsVersions::Any, CryptoProvider::default());
    Ok(tls.map_err(|source| OtlpError::Roots { source })?.anonymous())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn resolve(otlp: &str, variables: &[(&str, &str)]) -> Result<OtlpSettings, OtlpError> {
        let environment = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        OtlpSettings::resolve(otlp.parse().unwrap(), None, &environment)
    }

    fn recorded(settings: &OtlpSettings) -> Vec<(&str, Origin)> {
        settings.settings.iter().map(|setting| (setting.value.as_str(), setting.origin)).collect()
    }

    #[test]
    fn what_is_typed_goes_before_the_environment_and_that_before_what_is_usual() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1/base");
        let metrics = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:1/whole");
        let interval = ("OTEL_METRIC_EXPORT_INTERVAL", "60000");
        let usual = resolve("", &[]).unwrap();
        assert_eq!(recorded(&usual), [("http://localhost:4318/v1/metrics", Origin::Default), ("10s", Origin::Default)]);
        assert_eq!((usual.timeout, usual.sender.gzip), (TIMEOUT, false));
        let named = resolve("", &[endpoint, interval]).unwrap();
        assert_eq!(
            recorded(&named),
            [("http://all:1/base/v1/metrics", Origin::Environment), ("1m", Origin::Environment)]
        );
        assert_eq!(
            recorded(&resolve("", &[endpoint, metrics]).unwrap())[0],
            ("http://metrics:1/whole", Origin::Environment)
        );
        let typed = resolve("http://typed:1", &[endpoint, metrics, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap();
        assert_eq!(recorded(&typed)[0], ("http://typed:1/v1/metrics", Origin::CommandLine));
    }

    #[test]
    fn headers_are_secret_and_the_service_has_a_name() {
        let settings = resolve(
            "",
            &[
                ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret,x-tenant=t"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,host.name=h"),
                ("OTEL_SERVICE_NAME", "mine"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ],
        )
        .unwrap();
        let headers = &settings.sender.headers;
        assert_eq!(headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["authorization", "x-tenant"]);
        assert_eq!(headers[0].1.expose_secret(), "Bearer s3cret");
        assert!(!format!("{settings:?}").contains("s3cret"));
        let attributes: Vec<_> =
            settings.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(attributes, [("service.name", "mine"), ("host.name", "h")]);
        assert_eq!((settings.timeout, settings.sender.gzip), (Duration::from_millis(1_500), true));
        assert_eq!(resolve("", &[]).unwrap().attributes, [("service.name".to_owned(), "fleetstorm".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_repeating_secrets() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:s3cret@h"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0a"),
            ("OTEL_RESOURCE_ATTRIBUTES", "name"),
        ] {
            let error = resolve("", &[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
        let tls = resolve("https://h", &[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist.pem")]).unwrap_err();
        assert!(tls.to_string().contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{tls}");
    }
}
