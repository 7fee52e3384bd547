use serde_json::{Map, Value};

/// How large a section may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct SectionLimits {
    /// In bytes by the service's way of counting ([`size`]).
    pub(super) size: usize,
    /// Of what that way leaves out ([`uncounted`]), and takes memory all the same.
    pub(super) uncounted: usize,
}

impl SectionLimits {
    /// Desired properties, reported properties.
    pub(super) const PROPERTIES: Self = Self::of(32 * 1024);
    /// Tags.
    pub(super) const TAGS: Self = Self::of(8 * 1024);

    const fn of(size: usize) -> Self {
        Self { size, uncounted: size / 4 }
    }
}

const MAX_NAME: usize = 1024;
const MAX_TEXT: usize = 4 * 1024;
const MAX_DEPTH: usize = 10;
const INTEGERS: std::ops::RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;

/// Why a patch of a twin is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// Not JSON.
    #[error("the patch is not JSON")]
    Json,
    /// Not an object.
    #[error("the patch is not a JSON object")]
    NotAnObject,
    /// A name that may not be.
    #[error("property names have 1 to 1024 bytes without control characters, dots, dollar signs and spaces")]
    Name,
    /// A long text.
    #[error("texts have at most 4096 bytes")]
    Text,
    /// A large integer.
    #[error("integers are from -4503599627370496 to 4503599627370495")]
    Integer,
    /// Objects in objects in objects.
    #[error("objects are nested at most 10 deep")]
    Depth,
    /// The section would be too large.
    #[error("the section would have {size} bytes, {limit} are allowed")]
    TooLarge {
        /// Its size after the change.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Most of the section would not count by the service's way of counting.
    #[error(
        "the section would have {count} empty values, lists, objects and control characters, which do not count as bytes; \
         {limit} are allowed"
    )]
    Uncounted {
        /// How much of it after the change.
        count: usize,
        /// What is allowed.
        limit: usize,
    },
}

/// Leaves out what the service writes itself: a twin that was read may be sent back.
pub(super) fn without_read_only(mut patch: Map<String, Value>) -> Map<String, Value> {
    // What stays keeps its order, as everywhere in a twin: devices and back ends get it as it came.
    patch.shift_remove("$version");
    patch.shift_remove("$metadata");
    patch
}

/// Checks names and values of a patch.
pub(super) fn check_patch(patch: &Map<String, Value>) -> Result<(), Invalid> {
    check_object(patch, 0)
}

fn check_object(object: &Map<String, Value>, depth: usize) -> Result<(), Invalid> {
    object.iter().try_for_each(|(name, value)| {
        let forbidden = |c: char| c.is_control() || matches!(c, '.' | '$' | ' ');
        if name.is_empty() || name.len() > MAX_NAME || name.contains(forbidden) {
            return Err(Invalid::Name);
        }
        check_value(value, depth)
    })
}

fn check_value(value: &Value, depth: usize) -> Result<(), Invalid> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(number) if number.is_f64() => Ok(()),
        Value::Number(number) => match number.as_i64() {
            Some(number) if INTEGERS.contains(&number) => Ok(()),
            _ => Err(Invalid::Integer),
        },
        Value::String(text) if text.len() > MAX_TEXT => Err(Invalid::Text),
        Value::String(_) => Ok(()),
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => Err(Invalid::Depth),
        Value::Array(values) => values.iter().try_for_each(|value| check_value(value, depth + 1)),
        Value::Object(object) => check_object(object, depth + 1),
    }
}

/// The size of properties as the service counts: names and texts without control characters, 8 bytes for a number, 4 for
/// a truth value.
pub(super) fn size(properties: &Map<String, Value>) -> usize {
    properties.iter().map(|(name, value)| text_size(name) + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text_size(text),
        Value::Array(values) => values.iter().map(value_size).sum(),
        Value::Object(object) => size(object),
    }
}

/// How much of properties the service does not count: values without a size of their own, control characters.
pub(super) fn uncounted(properties: &Map<String, Value>) -> usize {
    properties.values().map(uncounted_of).sum()
}

fn uncounted_of(value: &Value) -> usize {
    match value {
        Value::Bool(_) | Value::Number(_) => 0,
        Value::Null => 1,
        Value::String(text) if text.is_empty() => 1,
        Value::String(text) => text.len() - text_size(text),
        Value::Array(values) => 1 + values.iter().map(uncounted_of).sum::<usize>(),
        Value::Object(object) => 1 + uncounted(object),
    }
}

fn text_size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_control()).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value) -> Result<(), Invalid> {
        check_patch(value.as_object().unwrap())
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!({"property": "value"}), |inner, _| json!({ "level": inner }))
    }

    #[test]
    fn names_and_values_keep_to_the_documented_rules() {
        assert_eq!(
            check(&json!({"a-b_c(d)": [1, "x", true, 1.5e300], "n": null, "i": 4_503_599_627_370_495_i64})),
            Ok(())
        );
        for good in [json!({"x".repeat(1024): "x".repeat(4096)}), json!({"i": -4_503_599_627_370_496_i64})] {
            assert_eq!(check(&good), Ok(()));
        }
        for name in ["", "a.b", "$a", "a b", "a\u{7}", "\u{85}", &"x".repeat(1025)] {
            assert_eq!(check(&json!({"fine": {name: 1}})), Err(Invalid::Name), "{name}");
        }
        assert_eq!(check(&json!({"t": "x".repeat(4097)})), Err(Invalid::Text));
        for number in [4_503_599_627_370_496_i64, -4_503_599_627_370_497] {
            assert_eq!(check(&json!({"i": number})), Err(Invalid::Integer));
        }
        assert_eq!(check(&json!({"i": u64::MAX})), Err(Invalid::Integer));
    }

    #[test]
    fn ten_levels_are_allowed_below_the_section() {
        assert_eq!(check(&nested(10)), Ok(()));
        assert_eq!(check(&nested(11)), Err(Invalid::Depth));
        let lists = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(check(&json!({ "list": lists(10) })), Ok(()));
        assert_eq!(check(&json!({ "list": lists(11) })), Err(Invalid::Depth));
    }

    #[test]
    fn sizes_are_counted_as_the_service_does() {
        let properties = json!({"ab": "cd\u{1}é", "n": 1, "t": true, "o": {"x": [1, "y"], "z": null}});
        assert_eq!(size(properties.as_object().unwrap()), 2 + 4 + 9 + 5 + 1 + 10 + 1);
    }

    #[test]
    fn what_has_no_size_is_counted_apart() {
        for (value, count) in [
            (json!([1, true, "x"]), 1),
            (json!("a\u{1}\u{2}"), 2),
            (json!([null, "", [], {}]), 1 + 4),
            (json!({"a": null, "b": {"c": "", "d": 7}}), 1 + 1 + 1 + 1),
        ] {
            assert_eq!(uncounted(json!({ "property": value }).as_object().unwrap()), count, "{value}");
        }
    }
}
