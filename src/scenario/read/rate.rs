use serde_json::json;

use crate::scenario::Rate;
use crate::scenario::rate::parse;
use crate::settings::ValueKind;
use crate::settings::expect::Expect;

/// A rate from `min` on.
pub(super) fn expect(min: Rate) -> Expect<Rate> {
    let from = if min == Rate::ZERO { "0" } else { "above 0" };
    let valid = format!("arrivals per time, {from} to {}, such as \"100/s\" or \"1000/min\"", Rate::MAX);
    Expect::new(valid, move |value| {
        let rate = match &value.kind {
            ValueKind::Text(text) => parse(text),
            ValueKind::Integer(number) => parse(&number.to_string()),
            ValueKind::Float(number) => parse(&number.to_string()),
            _ => None,
        };
        rate.filter(|r| (min..=Rate::MAX).contains(r)).ok_or(None)
    })
    .schema(json!({ "type": ["string", "number"], "minimum": 0, "pattern": "^\\s*[0-9]+(\\.[0-9]+)?\\s*(/\\s*[a-z]+\\s*)?$" }))
}
