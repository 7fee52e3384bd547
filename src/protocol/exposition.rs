//! How metrics are written for whoever scrapes them: the Prometheus text format or OpenMetrics, as the request asks for.

use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// The Prometheus text format, version 0.0.4: for everybody who does not ask for another one.
    Prometheus,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl ExpositionFormat {
    const ALL: [Self; 2] = [Self::Prometheus, Self::OpenMetrics];

    /// The one that a request likes best, by the values of its `Accept` fields; of equals, and when it likes neither, the text
    /// format.
    pub fn negotiated<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let ranges: Vec<Range<'_>> =
            accept.into_iter().flat_map(|field| field.split(',')).filter_map(Range::parse).collect();
        let [text, open] = Self::ALL.map(|format| format.quality(&ranges));
        if open > text { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Everything that the registry has.
    ///
    /// # Errors
    /// A metric cannot be encoded.
    pub fn encode(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut written = String::new();
        match self {
            Self::Prometheus => prometheus_text::encode(&mut written, registry)?,
            Self::OpenMetrics => text::encode(&mut written, registry)?,
        }
        Ok(written)
    }

    /// How much a request likes it, in thousandths: as its narrowest range says that this is in.
    fn quality(self, ranges: &[Range<'_>]) -> u16 {
        let fitting = ranges.iter().filter_map(|range| Some((self.fits(range)?, range.quality)));
        fitting.max().map_or(0, |(_, quality)| quality)
    }

    /// How narrow a range is that this is in.
    fn fits(self, range: &Range<'_>) -> Option<u8> {
        let (kind, name, versions) = match self {
            Self::Prometheus => ("text", "plain", ["0.0.4"].as_slice()),
            Self::OpenMetrics => ("application", "openmetrics-text", ["1.0.0", "0.0.1"].as_slice()),
        };
        let is = |asked: &str, name: &str| asked.eq_ignore_ascii_case(name);
        match (range.kind, range.name, range.version) {
            ("*", "*", _) => Some(0),
            (asked, "*", _) if is(asked, kind) => Some(1),
            (asked, other, None) if is(asked, kind) && is(other, name) => Some(2),
            (asked, other, Some(version)) if is(asked, kind) && is(other, name) && versions.contains(&version) => {
                Some(3)
            }
            _ => None,
        }
    }
}

/// A media range of RFC 9110, section 12.5.1.
struct Range<'a> {
    kind: &'a str,
    name: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    /// `None`: it is none.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, name) = parts.next()?.split_once('/')?;
        let mut range = Self { kind: kind.trim(), name: name.trim(), version: None, quality: 1_000 };
        for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim() {
                key if key.eq_ignore_ascii_case("q") => range.quality = quality(value)?,
                key if key.eq_ignore_ascii_case("version") => range.version = Some(value),
                _ => {}
            }
        }
        Some(range)
    }
}

/// `0.5` as 500; `None` when it is no weight from 0 to 1.
fn quality(text: &str) -> Option<u16> {
    let weight: f32 = text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    Some((weight * 1_000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ExpositionFormat::{self, OpenMetrics, Prometheus};

    #[test]
    fn the_format_is_the_one_that_is_liked_best() {
        for (accept, expected) in [
            (&[][..], Prometheus),
            (&[""], Prometheus),
            (&["*/*"], Prometheus),
            (&["text/plain"], Prometheus),
            (&["text/plain;version=0.0.4"], Prometheus),
            (&["application/openmetrics-text"], OpenMetrics),
            (&["Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"], OpenMetrics),
            (&["application/*"], OpenMetrics),
            (&["application/openmetrics-text;version=2.0.0"], Prometheus),
            (&["text/plain;q=0.5, application/openmetrics-text;q=0.5"], Prometheus),
            (&["text/plain;q=0.4, application/openmetrics-text;q=0.5"], OpenMetrics),
            (&["text/plain", "application/openmetrics-text;q=0.9"], Prometheus),
            (&["*/*;q=0.9, text/plain;q=0.1"], OpenMetrics),
            (&["application/openmetrics-text;q=0, */*"], Prometheus),
            (&["application/json"], Prometheus),
            // Each part of a media type counts.
            (&["application/plain"], Prometheus),
            (&["text/openmetrics-text;q=1, text/plain;q=0.1"], Prometheus),
            (&["text/plain;q=0.1, text/openmetrics-text;version=1.0.0"], Prometheus),
            (&["text/plain;q=0.1, application/json;version=1.0.0"], Prometheus),
            // Prometheus 2.42 and 3.
            (
                &["application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
                OpenMetrics,
            ),
            (
                &["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                   application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"],
                OpenMetrics,
            ),
        ] {
            assert_eq!(ExpositionFormat::negotiated(accept.iter().copied()), expected, "{accept:?}");
        }
    }

    #[test]
    fn each_format_says_what_it_is() {
        assert!(Prometheus.content_type().starts_with("text/plain; version=0.0.4"), "{}", Prometheus.content_type());
        assert_eq!(OpenMetrics.content_type(), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    }

    proptest! {
        #[test]
        fn any_request_is_taken(accept in "[ -~]{0,60}", near in "(text|application|\\*)/(plain|\\*)(;(q|version)=[0-9.a-z-]{0,4}){0,2}") {
            let _ = ExpositionFormat::negotiated([accept.as_str(), near.as_str()]);
        }
    }
}
