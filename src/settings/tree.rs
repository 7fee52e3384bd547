//! The values of a scenario before they mean anything: the TOML file with the `--set` overrides laid over it, each value
//! knowing where it stands.

use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::domain::Origin;

/// Where a value stands: which source, which bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// 0 is the file, above it the overrides in order; [`Self::BUILT_IN`] is neither.
    pub(crate) source: usize,
    pub(crate) span: Range<usize>,
}

impl Place {
    pub(crate) const BUILT_IN: usize = usize::MAX;

    pub(crate) const fn origin(&self) -> Origin {
        match self.source {
            0 => Origin::Scenario,
            Self::BUILT_IN => Origin::Default,
            _ => Origin::CommandLine,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Date(String),
    Array(Vec<Value>),
    Table(Table),
}

/// Entries in the order of the source.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Value,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|e| e.key == key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.iter_mut().find(|e| e.key == key)
    }

    /// From parsed TOML that begins `offset` bytes into its source.
    pub(crate) fn from_toml(table: &DeTable<'_>, source: usize, offset: usize) -> Self {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_place: Place { source, span: shift(key.span(), offset) },
                value: Value::from_toml(value.get_ref(), value.span(), source, offset),
            })
            .collect();
        entries.sort_by_key(|e| e.key_place.span.start);
        Self(entries)
    }
}

fn shift(span: Range<usize>, offset: usize) -> Range<usize> {
    span.start + offset..span.end + offset
}

impl Value {
    pub(crate) fn from_toml(value: &DeValue<'_>, span: Range<usize>, source: usize, offset: usize) -> Self {
        let kind = match value {
            DeValue::String(text) => Kind::Text(text.to_string()),
            DeValue::Integer(number) => {
                Kind::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(yes) => Kind::Boolean(*yes),
            DeValue::Datetime(date) => Kind::Date(date.to_string()),
            DeValue::Array(items) => {
                Kind::Array(items.iter().map(|i| Self::from_toml(i.get_ref(), i.span(), source, offset)).collect())
            }
            DeValue::Table(table) => Kind::Table(Table::from_toml(table, source, offset)),
        };
        Self { kind, place: Place { source, span: shift(span, offset) } }
    }

    /// Text that is TOML (`5000`, `"30s"`, `{ process = "at-once" }`) as that, any other as plain text (`30s`).
    pub(crate) fn from_text(text: &str, source: usize, offset: usize) -> Self {
        match DeValue::parse(text) {
            Ok(value) => Self::from_toml(value.get_ref(), value.span(), source, offset),
            Err(_) => {
                let place = Place { source, span: offset..offset + text.len() };
                Self { kind: Kind::Text(text.to_owned()), place }
            }
        }
    }

    pub(crate) fn child_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::Table(table) => table.get_mut(key).map(|e| &mut e.value),
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
            Kind::Table(table) => {
                if table.get(head).is_none() {
                    table.0.push(Entry {
                        key: head.to_owned(),
                        key_place: key_place.clone(),
                        value: Self { kind: Kind::Table(Table::default()), place: key_place.clone() },
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
            Kind::Array(items) => {
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
            Kind::Table(table) => match table.get("name").map(|e| &e.value.kind) {
                Some(Kind::Text(name)) => name.clone(),
                _ => index.to_string(),
            },
            _ => index.to_string(),
        }
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
            Kind::Text(text) | Kind::Date(text) => f.write_str(text),
            Kind::Integer(number) => write!(f, "{number}"),
            Kind::Float(number) => write!(f, "{number}"),
            Kind::Boolean(yes) => write!(f, "{yes}"),
            Kind::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Kind::Table(table) => {
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

    #[test]
    fn a_value_knows_where_it_stands_whether_it_is_toml_or_not() {
        let span = |text: &str| Value::from_text(text, 1, 7).place.span;
        assert_eq!((span("30s"), span("5000"), span("'30s'"), span("[1, 2]")), (7..10, 7..11, 7..12, 7..13));
        let Kind::Array(items) = Value::from_text("[1, 'b']", 1, 7).kind else { panic!("a list") };
        let places: Vec<_> = items.iter().map(|item| item.place.span.clone()).collect();
        assert_eq!(places, [8..9, 11..14]);
    }
}
