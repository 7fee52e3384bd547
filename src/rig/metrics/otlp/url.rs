use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// What a receiver of metrics answers at, below its base URL.
const METRICS: &str = "/v1/metrics";

/// Where metrics are posted to. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpUrl {
    tls: bool,
    /// Host and port as they were written.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

/// What is wrong with a URL. Does not repeat it: it may hold what is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// No URL at all.
    #[error("write a URL such as http://127.0.0.1:4318 (a flag without URL goes behind the scenario)")]
    NoUrl,
    /// Not one of HTTP.
    #[error("the URL must begin with http:// or https://, such as http://127.0.0.1:4318")]
    Scheme,
    /// A password or a query.
    #[error(
        "user, password and query are not taken, as every user of the machine sees them; OTEL_EXPORTER_OTLP_HEADERS is for such"
    )]
    Secret,
}

/// Where metrics are pushed to, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtlpTarget {
    /// Where the environment says.
    Environment,
    /// The URL of a receiver.
    At(OtlpUrl),
}

impl FromStr for OtlpTarget {
    type Err = UrlProblem;

    fn from_str(text: &str) -> Result<Self, UrlProblem> {
        if text.is_empty() { Ok(Self::Environment) } else { OtlpUrl::of_base(text).map(Self::At) }
    }
}

impl OtlpUrl {
    /// A base URL, to which `/v1/metrics` is appended unless it ends so already.
    ///
    /// # Errors
    /// It is no URL of HTTP, or holds what may be secret.
    pub fn of_base(text: &str) -> Result<Self, UrlProblem> {
        let mut url = Self::of_metrics(text)?;
        let base = url.path.trim_end_matches('/');
        url.path = if base.ends_with(METRICS) { base.to_owned() } else { format!("{base}{METRICS}") };
        Ok(url)
    }

    /// A URL that metrics are posted to as it is.
    ///
    /// # Errors
    /// As [`Self::of_base`].
    pub fn of_metrics(text: &str) -> Result<Self, UrlProblem> {
        let uri: Uri = text.trim().parse().map_err(|_| UrlProblem::NoUrl)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(UrlProblem::Scheme),
            // `localhost:4318` is host and port, `localhost` a host, anything with a slash a path.
            None if uri.host().is_some_and(|_| uri.port().is_some()) => return Err(UrlProblem::Scheme),
            None => return Err(UrlProblem::NoUrl),
        };
        let (Some(authority), Some(host)) = (uri.authority(), uri.host().filter(|host| !host.is_empty())) else {
            return Err(UrlProblem::NoUrl);
        };
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(UrlProblem::Secret);
        }
        let port = match uri.port_u16() {
            Some(port) => port,
            None if authority.as_str() != host => return Err(UrlProblem::NoUrl),
            None if tls => 443,
            None => 80,
        };
        let host_alone = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { tls, authority: authority.to_string(), host: host_alone, port, path: uri.path().to_owned() })
    }

    /// Whether it is https.
    pub(super) const fn is_tls(&self) -> bool {
        self.tls
    }

    /// For the header `Host`.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Name or address, the latter without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for OtlpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_to_a_base() {
        let base = |text: &str| OtlpUrl::of_base(text).map(|url| url.to_string());
        let exact = |text: &str| OtlpUrl::of_metrics(text).map(|url| url.to_string());
        assert_eq!(base("http://h:4318"), Ok("http://h:4318/v1/metrics".to_owned()));
        assert_eq!(base("https://h/otlp/"), Ok("https://h/otlp/v1/metrics".to_owned()));
        assert_eq!(base("http://h/api/v1/otlp/v1/metrics"), Ok("http://h/api/v1/otlp/v1/metrics".to_owned()));
        assert_eq!(exact("http://h:1/mine"), Ok("http://h:1/mine".to_owned()));
        assert_eq!(exact("http://h:1"), Ok("http://h:1/".to_owned()));
    }

    #[test]
    fn ports_and_addresses_are_understood() {
        let place = |text: &str| OtlpUrl::of_base(text).map(|url| (url.is_tls(), url.host().to_owned(), url.port()));
        assert_eq!(place("http://h"), Ok((false, "h".to_owned(), 80)));
        assert_eq!(place("https://h"), Ok((true, "h".to_owned(), 443)));
        assert_eq!(place("http://[::1]:4318"), Ok((false, "::1".to_owned(), 4318)));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let problem = |text: &str| OtlpUrl::of_base(text).err();
        for text in ["", "smoke.toml", "scenarios/smoke.toml", "http://", "http://h:99999", "http://h:x", "/v1", "a b"]
        {
            assert_eq!(problem(text), Some(UrlProblem::NoUrl), "{text}");
        }
        assert_eq!(problem("localhost:4318"), Some(UrlProblem::Scheme));
        assert_eq!(problem("grpc://h:4317"), Some(UrlProblem::Scheme));
        assert_eq!(problem("http://me:secret@h:1"), Some(UrlProblem::Secret));
        assert_eq!(problem("http://h:1/?api-key=secret"), Some(UrlProblem::Secret));
    }
}
