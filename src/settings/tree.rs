//! Values before they mean anything: TOML with overrides laid over it, each value knowing where it stands.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::Place;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) kind: ValueKind,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ValueKind {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Date(String),
    Array(Vec<Value>),
    Table(Table),
}

/// A table as it was written, each value knowing where: entries in the order of the source.
#[derive(Clone, PartialEq, Default)]
pub struct Table(pub(crate) Vec<TableEntry>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableEntry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Value,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&TableEntry> {
        self.0.iter().find(|e| e.key == key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut TableEntry> {
        self.0.iter_mut().find(|e| e.key == key)
    }

    /// Puts a value where `key` is, or at the end.
    pub(crate) fn insert(&mut self, key: &str, value: Value) {
        match self.get_mut(key) {
            Some(entry) => entry.value = value,
            None => self.0.push(TableEntry { key: key.to_owned(), key_place: value.place.clone(), value }),
        }
    }

    /// Lays a table over this one: tables are merged, anything else is replaced.
    pub(crate) fn lay(&mut self, over: Self) {
        for entry in over.0 {
            match (self.get_mut(&entry.key), entry.value.kind) {
                (
                    Some(TableEntry { value: Value { kind: ValueKind::Table(below), .. }, .. }),
                    ValueKind::Table(over),
                ) => {
                    below.lay(over);
                }
                (Some(known), kind) => {
                    *known =
                        TableEntry { key_place: entry.key_place, value: Value { kind, ..entry.value }, key: entry.key };
                }
                (None, kind) => self.0.push(TableEntry { value: Value { kind, ..entry.value }, ..entry }),
            }
        }
    }

    /// Every value that is no table, with its dotted key.
    pub(crate) fn leaves(&self) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        for TableEntry { key, value, .. } in &self.0 {
            match &value.kind {
                ValueKind::Table(below) => {
                    found.extend(below.leaves().into_iter().map(|(below, value)| (format!("{key}.{below}"), value)));
                }
                _ => found.push((key.clone(), value)),
            }
        }
        found
    }

    /// As TOML, without places. Numbers of more than 64 bits, which no key takes, become the largest one.
    pub(crate) fn to_toml(&self) -> toml::Table {
        self.0.iter().map(|entry| (entry.key.clone(), entry.value.to_toml())).collect()
    }

    /// What JSON says, without places; `null` is left out.
    pub(crate) fn from_json(json: &serde_json::Map<String, serde_json::Value>) -> Self {
        json.iter().map(|(key, value)| (key.as_str(), Value::from_json(value).map(|value| value.kind))).collect()
    }

    /// The entry of a dotted key.
    pub(crate) fn find(&self, dotted: &str) -> Option<&TableEntry> {
        match (dotted.split_once('.'), &self.get(dotted.split('.').next()?)?.value.kind) {
            (Some((_, below)), ValueKind::Table(table)) => table.find(below),
            (Some(_), _) => None,
            (None, _) => self.get(dotted),
        }
    }

    /// From parsed TOML that begins where `begin` does.
    pub(crate) fn from_toml(table: &DeTable<'_>, begin: &Place) -> Self {
        let mut entries: Vec<TableEntry> = table
            .iter()
            .map(|(key, value)| TableEntry {
                key: key.get_ref().to_string(),
                key_place: begin.within(key.span()),
                value: Value::from_toml(value, begin),
            })
            .collect();
        entries.sort_by_key(|e| e.key_place.span().start);
        Self(entries)
    }
}

impl Value {
    /// In no text.
    pub(crate) const fn built_in(kind: ValueKind) -> Self {
        Self { kind, place: Place::BUILT_IN }
    }

    pub(crate) fn into_table(self) -> Option<Table> {
        match self.kind {
            ValueKind::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn from_toml(value: &Spanned<DeValue<'_>>, begin: &Place) -> Self {
        let kind = match value.get_ref() {
            DeValue::String(text) => ValueKind::Text(text.to_string()),
            DeValue::Integer(number) => {
                ValueKind::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(number) => ValueKind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(yes) => ValueKind::Boolean(*yes),
            DeValue::Datetime(date) => ValueKind::Date(date.to_string()),
            DeValue::Array(items) => ValueKind::Array(items.iter().map(|item| Self::from_toml(item, begin)).collect()),
            DeValue::Table(table) => ValueKind::Table(Table::from_toml(table, begin)),
        };
        Self { kind, place: begin.within(value.span()) }
    }

    /// Text that is TOML (`5000`, `"30s"`, `{ process = "at-once" }`) as that, any other as plain text (`30s`).
    pub(crate) fn from_text(text: &str, begin: &Place) -> Self {
        match DeValue::parse(text) {
            Ok(value) => Self::from_toml(&value, begin),
            Err(_) => Self { kind: ValueKind::Text(text.to_owned()), place: begin.within(0..text.len()) },
        }
    }

    fn to_toml(&self) -> toml::Value {
        match &self.kind {
            ValueKind::Text(text) => toml::Value::String(text.clone()),
            ValueKind::Integer(number) => toml::Value::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
            ValueKind::Float(number) => toml::Value::Float(*number),
            ValueKind::Boolean(yes) => toml::Value::Boolean(*yes),
            ValueKind::Date(date) => {
                date.parse().map_or_else(|_| toml::Value::String(date.clone()), toml::Value::Datetime)
            }
            ValueKind::Array(items) => toml::Value::Array(items.iter().map(Self::to_toml).collect()),
            ValueKind::Table(table) => toml::Value::Table(table.to_toml()),
        }
    }

    fn from_json(json: &serde_json::Value) -> Option<Self> {
        Some(Self::built_in(match json {
            serde_json::Value::Null => return None,
            serde_json::Value::Bool(yes) => ValueKind::Boolean(*yes),
            serde_json::Value::Number(number) => match number.as_i128() {
                Some(number) => ValueKind::Integer(number),
                None => ValueKind::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => ValueKind::Text(text.clone()),
            serde_json::Value::Array(items) => ValueKind::Array(items.iter().filter_map(Self::from_json).collect()),
            serde_json::Value::Object(entries) => ValueKind::Table(Table::from_json(entries)),
        }))
    }

    pub(crate) fn child_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.kind {
            ValueKind::Table(table) => table.get_mut(key).map(|e| &mut e.value),
            _ => None,
        }
    }

    /// Puts `value` where `path` leads, making tables on the way.
    ///
    /// Errors say which part of the path leads nowhere.
    pub(crate) fn set(&mut self, path: &[&str], done: &str, key_place: &Place, value: Self) -> Result<(), SetError> {
        let Some((&head, rest)) = path.split_first() else {
            *self = value;
            return Ok(());
        };
        let here = if done.is_empty() { head.to_owned() } else { format!("{done}.{head}") };
        match &mut self.kind {
            ValueKind::Table(table) => {
                if table.get(head).is_none() {
                    table.0.push(TableEntry {
                        key: head.to_owned(),
                        key_place: key_place.clone(),
                        value: Self { kind: ValueKind::Table(Table::default()), place: key_place.clone() },
                    });
                }
                match table.get_mut(head) {
                    Some(entry) => {
                        if rest.is_empty() {
                            entry.key_place = key_place.clone();
                        }
                        entry.value.set(rest, &here, key_place, value)
                    }
                    None => Ok(()),
                }
            }
            ValueKind::Array(items) => {
                let names: Vec<String> = items.iter().enumerate().map(|(i, item)| item.name_or(i)).collect();
                let index = names.iter().position(|n| n == head).or_else(|| head.parse().ok());
                match index.and_then(|i| items.get_mut(i)) {
                    Some(item) => item.set(rest, &here, key_place, value),
                    None => Err(SetError::NoItem { path: done.to_owned(), item: head.to_owned(), items: names }),
                }
            }
            _ => Err(SetError::NotATable(done.to_owned())),
        }
    }

    /// The `name` of a table in an array, or its index.
    pub(crate) fn name_or(&self, index: usize) -> String {
        match &self.kind {
            ValueKind::Table(table) => match table.get("name").map(|e| &e.value.kind) {
                Some(ValueKind::Text(name)) => name.clone(),
                _ => index.to_string(),
            },
            _ => index.to_string(),
        }
    }
}

/// What it says, without places.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_toml().fmt(f)
    }
}

/// Why an override leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetError {
    NotATable(String),
    NoItem { path: String, item: String, items: Vec<String> },
}

/// As settings are listed and problems name them.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ValueKind::Text(text) | ValueKind::Date(text) => f.write_str(text),
            ValueKind::Integer(number) => write!(f, "{number}"),
            ValueKind::Float(number) => write!(f, "{number}"),
            ValueKind::Boolean(yes) => write!(f, "{yes}"),
            ValueKind::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            ValueKind::Table(table) => {
                f.write_str("{ ")?;
                for (i, entry) in table.0.iter().enumerate() {
                    write!(f, "{}{} = {}", if i > 0 { ", " } else { "" }, entry.key, entry.value)?;
                }
                f.write_str(" }")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Origin;
    use crate::settings::place::Text;

    #[test]
    fn a_value_knows_where_it_stands_whether_it_is_toml_or_not() {
        let text = Text::new("x", "anything".to_owned(), Origin::CommandLine, 1);
        let begin = Place::new(&text, 7..7);
        let span = |text: &str| Value::from_text(text, &begin).place.span().clone();
        assert_eq!((span("30s"), span("5000"), span("'30s'"), span("[1, 2]")), (7..10, 7..11, 7..12, 7..13));
        let ValueKind::Array(items) = Value::from_text("[1, 'b']", &begin).kind else { panic!("a list") };
        let places: Vec<_> = items.iter().map(|item| item.place.span().clone()).collect();
        assert_eq!(places, [8..9, 11..14]);
    }
}
