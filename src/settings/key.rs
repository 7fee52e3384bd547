use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value as Schema, json};

use super::expect::Expect;

/// A key of the file format as its reader takes it: what the reference of all keys is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What is taken, completing "must be …": kinds, names and ranges. Where the same key takes one thing or another (by the
    /// process of an arrival, say), all of them.
    pub takes: Vec<String>,
    /// What is taken as JSON Schema, as far as that can say it.
    pub schemas: Vec<Schema>,
    /// What counts when it is left out.
    pub default: KeyDefault,
}

/// What counts when a key is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyDefault {
    /// Nothing does: it is required.
    Required,
    /// Nothing: it is optional.
    Nothing,
    /// This value, written as in `--set`.
    Value(String),
    /// What the table inherits: from `[fleet]`, or from a preset.
    Inherited,
}

/// Keys by table and name. Tables are called as in a file without the names of their items: `stage.arrival`.
pub type Keys = BTreeMap<(String, &'static str), Key>;

/// Collects keys as readers ask for them.
#[derive(Debug, Default)]
pub(crate) struct Asked(RefCell<Keys>);

impl Asked {
    pub(crate) fn note<T>(&self, table: &str, name: &'static str, default: KeyDefault, expect: &Expect<T>) {
        self.note_as(table, name, default, &expect.valid, expect.schema.clone());
    }

    /// A key that takes a list, each item of which is as expected.
    pub(crate) fn note_list<T>(&self, table: &str, name: &'static str, expect: &Expect<T>) {
        let schema = json!({ "type": "array", "items": expect.schema });
        self.note_as(table, name, KeyDefault::Nothing, &expect.valid, schema);
    }

    fn note_as(&self, table: &str, name: &'static str, default: KeyDefault, takes: &str, schema: Schema) {
        let mut keys = self.0.borrow_mut();
        let new = Key { takes: Vec::new(), schemas: Vec::new(), default };
        let key = keys.entry((table.to_owned(), name)).or_insert(new);
        if !key.takes.iter().any(|known| known == takes) {
            key.takes.push(takes.to_owned());
        }
        if !key.schemas.contains(&schema) {
            key.schemas.push(schema);
        }
    }

    pub(crate) fn into_keys(self) -> Keys {
        self.0.into_inner()
    }
}
