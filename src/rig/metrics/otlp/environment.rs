use crate::domain::percent_decode;

/// Variables whose values are secret.
pub const SECRETS: [&str; 2] = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];

/// The variables that OpenTelemetry's exporters are set up with. One that is empty counts as absent, as its specification
/// says (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
#[derive(Clone, Copy)]
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

/// A variable that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

impl Environment<'_> {
    pub(super) fn get(&self, name: &str) -> Option<Variable> {
        let value = (self.0)(name)?.trim().to_owned();
        (!value.is_empty()).then(|| Variable { name: name.to_owned(), value })
    }

    /// A setting of the exporter: that for metrics goes before that for all.
    pub(super) fn exporter(&self, setting: &str) -> Option<Variable> {
        self.get(&format!("OTEL_EXPORTER_OTLP_METRICS_{setting}"))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{setting}")))
    }
}

/// Pairs as in `key1=value1,key2=value%202`. `Err` is the place of one that is none, counted from 1: what is in it may be
/// secret.
pub(super) fn pairs(list: &str) -> Result<Vec<(String, String)>, usize> {
    let entries = list.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty());
    entries.map(|(place, entry)| pair(entry).ok_or(place + 1)).collect()
}

fn pair(entry: &str) -> Option<(String, String)> {
    let (key, value) = entry.split_once('=')?;
    let key = percent_decode(key.trim()).filter(|key| !key.is_empty())?;
    Some((key, percent_decode(value.trim())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            pairs("a=1, b = two%20words=,,c="),
            Ok(vec![pair("a", "1"), pair("b", "two words="), pair("c", "")])
        );
        assert_eq!(pairs("a=1,b"), Err(2));
        assert_eq!(pairs("=1"), Err(1));
        assert_eq!(pairs("a=%zz"), Err(1));
    }

    #[test]
    fn what_is_for_metrics_goes_before_what_is_for_all() {
        let of = |variables: &'static [(&str, &str)]| {
            let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            Environment(&get).exporter("TIMEOUT").map(|variable| variable.value)
        };
        let both = &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1"), ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2")];
        assert_eq!(of(both).as_deref(), Some("2"));
        let empty = &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1"), ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "")];
        assert_eq!(of(empty).as_deref(), Some("1"));
        assert_eq!(of(&[]), None);
    }
}
