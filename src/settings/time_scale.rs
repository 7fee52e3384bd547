//! How much faster a fleet's life passes: the key `time_scale`.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::json;

use super::expect::Expect;
use super::time;
use super::tree::ValueKind;
use crate::domain::{FleetTime, TimeScale};

const SECOND: Duration = Duration::from_secs(1);

/// `"1d = 1s"`, or a number of fleet seconds per real second.
pub(crate) fn time_scale() -> Expect<TimeScale> {
    let valid = format!(
        "fleet time = real time, such as \"1d = 1s\", or a number of fleet seconds per real second, from 1 to {}",
        TimeScale::MAX
    );
    Expect::new(valid, |value| {
        let (fleet, real) = match &value.kind {
            ValueKind::Integer(number) => (u64::try_from(*number).map_or(Duration::ZERO, Duration::from_secs), SECOND),
            ValueKind::Float(number) => (Duration::try_from_secs_f64(*number).unwrap_or_default(), SECOND),
            ValueKind::Text(text) => {
                let (fleet, real) = text.split_once('=').ok_or(None)?;
                let time = |text: &str| {
                    time::parse_duration(text.trim()).ok_or_else(|| Some(format!("\"{}\" is not a time", text.trim())))
                };
                (time(fleet)?, time(real)?)
            }
            _ => return Err(None),
        };
        TimeScale::new(FleetTime::new(fleet), real).ok_or_else(|| {
            Some(match fleet.cmp(&real) {
                Ordering::Less => "fleet time cannot pass slower than real time".to_owned(),
                // Any other time is a scale beside the same.
                Ordering::Equal => "no time passes in 0s".to_owned(),
                Ordering::Greater => format!("fleet time passes at most {} times faster", TimeScale::MAX),
            })
        })
    })
    .schema(json!({ "type": ["string", "number"], "pattern": "=", "minimum": 1, "maximum": TimeScale::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Place, Value};

    #[test]
    fn scales_are_ratios_or_numbers() {
        let read = |text: &str| {
            (time_scale().read)(&Value::from_text(text, &Place::BUILT_IN)).ok().map(|scale| scale.to_string())
        };
        assert_eq!(read("\"1d = 1s\"").as_deref(), Some("1d = 1s"));
        assert_eq!(read("P30D=1min").as_deref(), Some("30d = 1min"));
        assert_eq!(read("60").as_deref(), Some("1min = 1s"));
        assert_eq!(read("1.5").as_deref(), Some("1500ms = 1s"));
        for exact in ["2d = 7s", "1500ms = 1s", "7000000003ns = 1s", "90001s = 1001ms"] {
            assert_eq!(read(&format!("\"{exact}\"")).as_deref(), Some(exact), "what is shown reads the same");
        }
        for wrong in ["0", "0.5", "-1", "1000001", "\"1s = 1d\"", "\"1d\"", "\"1d = 0s\"", "\"1d = soon\"", "true"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let why = |text: &str| {
            (time_scale().read)(&Value::from_text(text, &Place::BUILT_IN)).unwrap_err().unwrap_or_default()
        };
        assert_eq!(read("\"5s = 5s\"").as_deref(), Some("5s = 5s"));
        assert_eq!(why("\"1s = 1d\""), "fleet time cannot pass slower than real time");
        assert_eq!(why("\"0s = 0s\""), "no time passes in 0s");
        assert_eq!(why("1000001"), "fleet time passes at most 1000000 times faster");
    }
}
