//! What a key takes: how to read it and how to say it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Schema, json};

use super::time;
use super::tree::{Value, ValueKind};
use crate::domain::{FleetTime, in_largest_unit};

/// How to read a value into `T`. `valid` completes the sentence "must be …".
pub(crate) struct Expect<T> {
    pub(crate) valid: String,
    /// `Err` may hold what exactly is wrong.
    pub(crate) read: Box<Read<T>>,
    /// Names of which one is wanted, for "did you mean".
    pub(crate) names: Vec<String>,
    /// What is taken as JSON Schema, as far as that can say it.
    pub(crate) schema: Schema,
}

type Read<T> = dyn Fn(&Value) -> Result<T, Option<String>>;

impl<T: 'static> Expect<T> {
    pub(crate) fn new(valid: impl Into<String>, read: impl Fn(&Value) -> Result<T, Option<String>> + 'static) -> Self {
        Self { valid: valid.into(), read: Box::new(read), names: Vec::new(), schema: Schema::Bool(true) }
    }

    /// With what is taken as JSON Schema.
    pub(crate) fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Goes on to make something of the value; an error says what is wrong with it.
    pub(crate) fn then<U: 'static>(self, make: impl Fn(T) -> Result<U, String> + 'static) -> Expect<U> {
        let read = self.read;
        Expect {
            valid: self.valid,
            read: Box::new(move |value| read(value).and_then(|v| make(v).map_err(Some))),
            names: self.names,
            schema: self.schema,
        }
    }
}

pub(crate) fn text(valid: &str) -> Expect<String> {
    Expect::new(valid, |value| match &value.kind {
        ValueKind::Text(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(None),
    })
    .schema(json!({ "type": "string", "minLength": 1 }))
}

/// Text that may be empty.
pub(crate) fn any_text(valid: &str) -> Expect<String> {
    Expect::new(valid, |value| match &value.kind {
        ValueKind::Text(text) => Ok(text.clone()),
        _ => Err(None),
    })
    .schema(json!({ "type": "string" }))
}

/// The name of a file or folder.
pub(crate) fn path(valid: &str) -> Expect<PathBuf> {
    text(valid).then(|text| Ok(PathBuf::from(text)))
}

/// A list of which each item is read by `item`; no more than `most`.
pub(crate) fn list<T: 'static>(valid: &str, most: usize, item: Expect<T>) -> Expect<Vec<T>> {
    let schema = json!({ "type": "array", "items": item.schema, "maxItems": most });
    Expect::new(valid, move |value| match &value.kind {
        ValueKind::Array(items) if items.len() > most => Err(Some(format!("it has {} items", items.len()))),
        ValueKind::Array(items) => {
            let read = |one: &Value| (item.read)(one).map_err(|_| Some(format!("{one} is not {}", item.valid)));
            items.iter().map(read).collect()
        }
        _ => Err(None),
    })
    .schema(schema)
}

pub(crate) fn boolean() -> Expect<bool> {
    Expect::new("true or false", |value| match value.kind {
        ValueKind::Boolean(yes) => Ok(yes),
        _ => Err(None),
    })
    .schema(json!({ "type": "boolean" }))
}

pub(crate) fn integer(range: RangeInclusive<u64>) -> Expect<u64> {
    let valid = format!("a whole number from {} to {}", grouped(*range.start()), grouped(*range.end()));
    let schema = json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() });
    Expect::new(valid, move |value| match value.kind {
        ValueKind::Integer(number) => u64::try_from(number).ok().filter(|n| range.contains(n)).ok_or(None),
        _ => Err(None),
    })
    .schema(schema)
}

/// Like [`integer`], for a type that holds the whole range.
pub(crate) fn whole<T: TryFrom<u64> + 'static>(range: RangeInclusive<u64>) -> Expect<T> {
    integer(range).then(|number| T::try_from(number).map_err(|_| "too large".to_owned()))
}

/// Like [`integer`], for ranges within `u32`.
pub(crate) fn count(range: RangeInclusive<u32>) -> Expect<u32> {
    whole(u64::from(*range.start())..=u64::from(*range.end()))
}

pub(crate) fn duration(range: RangeInclusive<Duration>) -> Expect<Duration> {
    let shown = |d: &Duration| in_largest_unit(*d);
    let valid = format!("a time from {} to {}, such as \"30s\" or \"PT30S\"", shown(range.start()), shown(range.end()));
    Expect::new(valid, move |value| match &value.kind {
        ValueKind::Text(text) => match time::parse_duration(text) {
            Some(time) if range.contains(&time) => Ok(time),
            _ => Err(None),
        },
        ValueKind::Integer(_) | ValueKind::Float(_) => Err(Some("a time needs a unit".to_owned())),
        _ => Err(None),
    })
    .schema(json!({ "type": "string", "pattern": time::PATTERN }))
}

/// Like [`duration`], of the fleet's time.
pub(crate) fn fleet_time(range: RangeInclusive<FleetTime>) -> Expect<FleetTime> {
    duration(range.start().length()..=range.end().length()).then(|time| Ok(FleetTime::new(time)))
}

/// One of these values by its name.
pub(crate) fn choice<T: Copy + 'static>(choices: &[(&'static str, T)]) -> Expect<T> {
    let choices = choices.to_vec();
    let names: Vec<&'static str> = choices.iter().map(|(name, _)| *name).collect();
    let valid = match names.as_slice() {
        [only] => format!("\"{only}\""),
        names => format!("one of \"{}\"", names.join("\", \"")),
    };
    let mut expect = Expect::new(valid, move |value| match &value.kind {
        // A TLS version is easily written without quotes.
        ValueKind::Text(_) | ValueKind::Float(_) => {
            let text = value.to_string();
            choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or(None)
        }
        _ => Err(None),
    });
    // Without quotes a TLS version is a number.
    let numbers = names.iter().filter_map(|name| name.parse::<f64>().ok().map(Schema::from));
    let all: Vec<Schema> = names.iter().map(|name| Schema::from(*name)).chain(numbers).collect();
    expect.names = names.into_iter().map(str::to_owned).collect();
    expect.schema(json!({ "enum": all }))
}

/// A number, with or without a fraction.
pub(crate) fn number(range: RangeInclusive<f64>) -> Expect<f64> {
    let valid = format!("a number from {} to {}", range.start(), range.end());
    let schema = json!({ "type": "number", "minimum": range.start(), "maximum": range.end() });
    Expect::new(valid, move |value| {
        let number = match value.kind {
            #[expect(clippy::cast_precision_loss, reason = "no range goes as far as where it would be lost")]
            ValueKind::Integer(number) => number as f64,
            ValueKind::Float(number) => number,
            _ => return Err(None),
        };
        if range.contains(&number) { Ok(number) } else { Err(None) }
    })
    .schema(schema)
}

/// One of `names`, which are called an `what` each; gives its index.
pub(crate) fn one_of(what: &str, names: Vec<String>) -> Expect<usize> {
    let valid = match names.as_slice() {
        [] => format!("left out: there is no {what}"),
        names => format!("the name of an {what}: \"{}\"", names.join("\", \"")),
    };
    let known = names.clone();
    let mut expect = Expect::new(valid, move |value| match &value.kind {
        ValueKind::Text(text) => known.iter().position(|name| name == text).ok_or(None),
        _ => Err(None),
    });
    expect.names = names;
    expect.schema(json!({ "type": "string" }))
}

/// Some of `names`, which are called a `what` each, none of them twice; gives their indices in rising order.
pub(crate) fn some_of(what: &str, names: Vec<String>) -> Expect<Vec<usize>> {
    let valid = format!("a list with names of {what}: \"{}\"", names.join("\", \""));
    Expect::new(valid, move |value| match &value.kind {
        ValueKind::Array(items) => indices(items, &names).map_err(Some),
        _ => Err(None),
    })
    .schema(json!({ "type": "array", "items": { "type": "string" } }))
}

/// One of `names`, which are called an `what` each, or a list of some of them; gives their indices in rising order.
pub(crate) fn one_or_some_of(what: &str, names: Vec<String>) -> Expect<Vec<usize>> {
    let valid = match names.as_slice() {
        [] => format!("left out: there is no {what}"),
        names => format!("the name of an {what}, or a list of them: \"{}\"", names.join("\", \"")),
    };
    let Expect { read, names: known, .. } = one_of(what, names.clone());
    let mut expect = Expect::new(valid, move |value| match &value.kind {
        ValueKind::Array(items) => indices(items, &names).map_err(Some),
        _ => read(value).map(|index| vec![index]),
    });
    expect.names = known;
    expect.schema(json!({ "type": ["string", "array"], "items": { "type": "string" } }))
}

/// Where the items of a list are among `names`, in rising order; or what is wrong with it.
fn indices(items: &[Value], names: &[String]) -> Result<Vec<usize>, String> {
    let mut found = Vec::new();
    for item in items {
        let ValueKind::Text(text) = &item.kind else { return Err(format!("{item} is not a name")) };
        let Some(index) = names.iter().position(|name| name == text) else {
            let meant = nearest(text, names.iter().map(String::as_str));
            let meant = meant.map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default();
            return Err(format!("there is no \"{text}\"{meant}"));
        };
        if found.contains(&index) {
            return Err(format!("it names \"{text}\" twice"));
        }
        found.push(index);
    }
    found.sort_unstable();
    if found.is_empty() { Err("it names none".to_owned()) } else { Ok(found) }
}

pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
