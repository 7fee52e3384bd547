//! JSON Schemas made from the keys that readers ask for. Draft 7, as editors of TOML read it.

use std::collections::{BTreeMap, BTreeSet};

use fleetstorm::settings::{Key, KeyDefault, Keys};
use serde_json::{Map, Value, json};

use crate::key_page;

/// What is known of a key from every text in which its table occurs.
#[derive(Default)]
struct Known {
    schemas: Vec<Value>,
    takes: Vec<String>,
    defaults: BTreeSet<String>,
    /// Whether every table of its kind must have it.
    is_required: bool,
}

/// The tables of a file, as several texts show them.
pub(crate) struct Tables {
    keys: BTreeMap<String, BTreeMap<&'static str, Known>>,
    /// Those of which there may be several.
    lists: Vec<String>,
    /// Those for which a text may stand, which is then the value of that key.
    short_forms: Vec<(String, &'static str)>,
}

impl Tables {
    /// `seen`: what readers asked for, text by text, as which keys there are depends on what else is said.
    pub(crate) fn new(seen: &[Keys], lists: &[&str], short_forms: &[(&str, &'static str)]) -> Self {
        let mut keys: BTreeMap<String, BTreeMap<&'static str, Known>> = BTreeMap::new();
        for ((table, name), key) in seen.iter().flatten() {
            keys.entry(table.clone()).or_default().entry(name).or_default().add(key);
        }
        for (table, keys) in &mut keys {
            let with_table = || seen.iter().filter(|keys| keys.keys().any(|(known, _)| known == table));
            for (name, key) in keys {
                let place = (table.clone(), *name);
                let requires = |keys: &Keys| keys.get(&place).is_some_and(|key| key.default == KeyDefault::Required);
                key.is_required = with_table().all(requires);
            }
        }
        let lists = lists.iter().map(|list| (*list).to_owned()).collect();
        let short_forms = short_forms.iter().map(|(table, key)| ((*table).to_owned(), *key)).collect();
        Self { keys, lists, short_forms }
    }

    /// With those of another file below a table.
    pub(crate) fn with(mut self, table: &str, below: Self) -> Self {
        let inner = |name: &str| if name.is_empty() { table.to_owned() } else { format!("{table}.{name}") };
        self.keys.extend(below.keys.into_iter().map(|(name, keys)| (inner(&name), keys)));
        self.lists.extend(below.lists.iter().map(|name| inner(name)));
        self.short_forms.extend(below.short_forms.iter().map(|(name, key)| (inner(name), *key)));
        self
    }

    /// Without keys, by their dotted names, or whole tables.
    pub(crate) fn without<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names {
            let (table, key) = name.rsplit_once('.').unwrap_or(("", name));
            let found = self.keys.get_mut(table).and_then(|keys| keys.remove(key));
            assert!(self.keys.remove(name).is_some() || found.is_some(), "there is no {name} to leave out");
        }
        self
    }

    /// The keys of a table.
    pub(crate) fn names(&self, table: &str) -> impl Iterator<Item = &'static str> {
        self.keys[table].keys().copied()
    }

    /// The file as a whole; it must have those tables.
    pub(crate) fn schema(&self, title: &str, required: &[&str]) -> Value {
        let mut schema = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "title": title });
        let mut root = self.table("");
        root["required"].as_array_mut().unwrap().extend(required.iter().map(|table| Value::from(*table)));
        schema.as_object_mut().unwrap().extend(root.as_object().unwrap().clone());
        schema
    }

    fn table(&self, name: &str) -> Value {
        let none = BTreeMap::new();
        let keys = self.keys.get(name).unwrap_or(&none);
        let mut properties: Map<String, Value> =
            keys.iter().map(|(name, key)| ((*name).to_owned(), key.schema())).collect();
        let below = if name.is_empty() { String::new() } else { format!("{name}.") };
        let tables = self.keys.keys().filter(|table| !table.is_empty());
        let children: BTreeSet<_> = tables.filter_map(|table| table.strip_prefix(&below)?.split('.').next()).collect();
        for child in children {
            let path = format!("{below}{child}");
            let table = self.table(&path);
            let is_list = self.lists.contains(&path);
            properties
                .insert(child.to_owned(), if is_list { json!({ "type": "array", "items": table }) } else { table });
        }
        let required: Vec<_> = keys.iter().filter(|(_, key)| key.is_required).map(|(name, _)| *name).collect();
        let table = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        match self.short_forms.iter().find(|(table, _)| table == name) {
            Some((_, key)) => json!({ "anyOf": [keys[key].schema(), table] }),
            None => table,
        }
    }
}

impl Known {
    fn add(&mut self, key: &Key) {
        let Key { takes, schemas, default } = key;
        let new: Vec<_> = schemas.iter().filter(|schema| !self.schemas.contains(schema)).cloned().collect();
        self.schemas.extend(new);
        for takes in takes.iter().filter_map(|takes| key_page::general(takes)) {
            if !self.takes.contains(&takes) {
                self.takes.push(takes);
            }
        }
        if let KeyDefault::Value(default) = default {
            self.defaults.insert(default.clone());
        }
    }

    fn schema(&self) -> Value {
        let mut schema = match self.schemas.as_slice() {
            [only] => only.clone(),
            several => json!({ "anyOf": several }),
        };
        let Some(told) = schema.as_object_mut() else { return schema };
        told.insert("description".to_owned(), self.takes.join("; or ").into());
        if let Some(default) = self.defaults.first().filter(|_| self.defaults.len() == 1) {
            let typed: Option<toml::Table> = format!("x = {default}").parse().ok();
            let typed = typed.and_then(|table| serde_json::to_value(&table["x"]).ok());
            told.insert("default".to_owned(), typed.unwrap_or_else(|| default.as_str().into()));
        }
        schema
    }
}

/// Holds the schema in `docs` against what the readers take, or makes it anew.
pub(crate) fn hold(name: &str, schema: &Value) {
    key_page::up_to_date(name, &format!("{schema:#}\n"));
}
