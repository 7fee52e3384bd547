//! Reads tables key by key, collecting every problem and every setting with its origin instead of stopping at the first
//! mistake.

use super::declare::Written;
use super::expect::{Expect, nearest};
use super::findings::Findings;
use super::key::KeyDefault;
use super::place::Place;
use super::problem::Problem;
use super::tree::{Table, TableEntry, Value, ValueKind};

/// A table, read key by key. `None` from a method means: a problem was noted.
pub struct Section<'a> {
    findings: &'a Findings,
    path: String,
    /// The path without the names of items: what the table is called.
    kind: String,
    table: Option<&'a Table>,
    place: Place,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(crate) fn root(findings: &'a Findings, table: &'a Table, place: Place) -> Self {
        Self { findings, path: String::new(), kind: String::new(), table: Some(table), place, known: Vec::new() }
    }

    fn below(&self, key: &str, path: String, table: Option<&'a Table>, place: Place) -> Self {
        Self { findings: self.findings, path, kind: dotted(&self.kind, key), table, place, known: Vec::new() }
    }

    fn path_of(&self, key: &str) -> String {
        dotted(&self.path, key)
    }

    fn note<T>(&self, key: &'static str, default: KeyDefault, expect: &Expect<T>) {
        self.findings.keys.note(&self.kind, key, default, expect);
    }

    fn entry(&mut self, key: &'static str) -> Option<&'a TableEntry> {
        self.knows(key);
        self.table?.get(key)
    }

    /// A key that is no mistake, though nothing comes of it.
    pub(crate) fn knows(&mut self, key: &'static str) {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
    }

    /// Every key that `read` asks for counts as known, and nothing else comes of it: for keys that belong here or not by what
    /// could not be read.
    pub(crate) fn may_have(&mut self, read: impl FnOnce(&mut Section<'_>)) {
        let findings = Findings::default();
        let mut empty = Section {
            findings: &findings,
            path: String::new(),
            kind: String::new(),
            table: None,
            place: self.place.clone(),
            known: Vec::new(),
        };
        read(&mut empty);
        let known = empty.known;
        known.into_iter().for_each(|key| self.knows(key));
    }

    /// A key that must be there.
    pub(crate) fn required<T>(&mut self, key: &'static str, expect: &Expect<T>) -> Option<T> {
        self.note(key, KeyDefault::Required, expect);
        match self.entry(key) {
            Some(entry) => self.read(key, &entry.value, expect),
            None => {
                let problem = Problem::new(format!("`{}` is missing", self.path_of(key)))
                    .help(format!("add `{key} = …`: {}", expect.valid));
                self.findings.problem(&self.place, problem);
                None
            }
        }
    }

    /// A key that may be left out.
    pub(crate) fn optional<T>(&mut self, key: &'static str, expect: &Expect<T>) -> Option<Option<T>> {
        self.note(key, KeyDefault::Nothing, expect);
        self.given(key, expect)
    }

    fn given<T>(&mut self, key: &'static str, expect: &Expect<T>) -> Option<Option<T>> {
        match self.entry(key) {
            Some(entry) => self.read(key, &entry.value, expect).map(Some),
            None => Some(None),
        }
    }

    /// A key with a default, written as in a file (text without its quotes).
    pub(crate) fn or<T>(&mut self, key: &'static str, default: &str, expect: &Expect<T>) -> Option<T> {
        self.note(key, KeyDefault::Value(default.to_owned()), expect);
        match self.entry(key) {
            Some(entry) => self.read(key, &entry.value, expect),
            None => self.read(key, &Value::from_text(default, &Place::BUILT_IN), expect),
        }
    }

    /// A key with a default that is a value already.
    pub(crate) fn usual<T: Written>(&mut self, key: &'static str, usual: T, expect: &Expect<T>) -> Option<T> {
        let written = usual.written().map(Value::built_in);
        let default = written.as_ref().map_or(KeyDefault::Nothing, |value| KeyDefault::Value(value.to_string()));
        self.note(key, default, expect);
        match self.entry(key) {
            Some(entry) => self.read(key, &entry.value, expect),
            None => {
                written.iter().for_each(|value| self.findings.setting(self.path_of(key), value));
                Some(usual)
            }
        }
    }

    /// A key whose default is not of its own: that of what this inherits from.
    pub(crate) fn inherit<T>(&mut self, key: &'static str, inherited: T, expect: &Expect<T>) -> Option<T> {
        self.note(key, KeyDefault::Inherited, expect);
        self.given(key, expect).map(|own| own.unwrap_or(inherited))
    }

    /// A key that takes a list; each item is read on its own. Items with their path and place.
    pub(crate) fn list<T>(&mut self, key: &'static str, expect: &Expect<T>) -> Option<Vec<(T, String, Place)>> {
        self.findings.keys.note_list(&self.kind, key, expect);
        let Some(entry) = self.entry(key) else { return Some(Vec::new()) };
        let ValueKind::Array(items) = &entry.value.kind else {
            let problem = Problem::new(format!("`{}` must be a list", self.path_of(key)));
            self.findings.problem(&entry.value.place, problem.help(format!("write {key} = […]: {}", expect.valid)));
            return None;
        };
        let read = items.iter().enumerate().map(|(index, item)| {
            let key = format!("{key}.{index}");
            Some((self.read(&key, item, expect)?, self.path_of(&key), item.place.clone()))
        });
        // All items are read, so that all problems are found.
        let read: Vec<Option<_>> = read.collect();
        read.into_iter().collect()
    }

    /// The table as it stands, unread and unrecorded.
    pub(crate) const fn table(&self) -> Option<&'a Table> {
        self.table
    }

    /// The dotted path of a key, and where its value stands, or this table when it was not given.
    pub(crate) fn locate(&self, key: &str) -> (String, Place) {
        let place = self.table.and_then(|t| t.get(key)).map_or(&self.place, |e| &e.value.place);
        (self.path_of(key), place.clone())
    }

    /// What all readers share.
    pub(crate) const fn findings(&self) -> &'a Findings {
        self.findings
    }

    fn read<T>(&self, key: &str, value: &Value, expect: &Expect<T>) -> Option<T> {
        let path = self.path_of(key);
        match (expect.read)(value) {
            Ok(read) => {
                self.findings.setting(path, value);
                Some(read)
            }
            Err(reason) => {
                let found = match &value.kind {
                    ValueKind::Text(text) => format!("{text:?}"),
                    ValueKind::Array(_) if reason.is_none() => "a list".to_owned(),
                    ValueKind::Table(_) => "a table".to_owned(),
                    _ => value.to_string(),
                };
                let because = reason.map(|r| format!(": {r}")).unwrap_or_default();
                let mut problem = Problem::new(format!("`{path}` cannot be {found}{because}"));
                let meant = match &value.kind {
                    ValueKind::Text(text) => nearest(text, expect.names.iter().map(String::as_str)),
                    _ => None,
                };
                problem = problem.help(match meant {
                    Some(name) => format!("did you mean \"{name}\"? It must be {}", expect.valid),
                    None => format!("it must be {}", expect.valid),
                });
                self.findings.problem(&value.place, problem);
                None
            }
        }
    }

    /// A table within this one; its keys take their defaults when it is absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'a> {
        let path = self.path_of(key);
        let (table, place) = match self.entry(key) {
            None => (None, self.place.clone()),
            Some(TableEntry { value: Value { kind: ValueKind::Table(table), place }, .. }) => {
                (Some(table), place.clone())
            }
            Some(entry) => {
                let problem = Problem::new(format!("`{path}` must be a table")).help(format!("write {key} = {{ … }}"));
                self.findings.problem(&entry.value.place, problem);
                (None, entry.value.place.clone())
            }
        };
        self.below(key, path, table, place)
    }

    /// A list of tables that may be left out. Each goes by its `name` or its index.
    pub(crate) fn sections_if_any(&mut self, key: &'static str, how: &str) -> Vec<Section<'a>> {
        if self.has(key) { self.sections(key, how) } else { Vec::new() }
    }

    /// A list of tables, at least one. Each goes by its `name` or its index.
    pub(crate) fn sections(&mut self, key: &'static str, how: &str) -> Vec<Section<'a>> {
        let place = self.locate(key).1;
        let items = self.items(key).unwrap_or_default();
        if items.is_empty() {
            let message = format!("`{}` must be a list of at least one table", self.path_of(key));
            self.findings.problem(&place, Problem::new(message).help(how));
        }
        self.each_table(key, items, how)
    }

    /// A list of tables that may be left out or empty. Each goes by its `name` or its index.
    pub(crate) fn tables(&mut self, key: &'static str, how: &str) -> Option<Vec<Section<'a>>> {
        let items = match (self.has(key), self.items(key)) {
            (_, Some(items)) => items,
            (false, None) => &[],
            (true, None) => {
                self.problem(key, "must be a list of tables", how);
                return None;
            }
        };
        Some(self.each_table(key, items, how))
    }

    /// The items of a key that is a list.
    fn items(&mut self, key: &'static str) -> Option<&'a [Value]> {
        match &self.entry(key)?.value.kind {
            ValueKind::Array(items) => Some(items),
            _ => None,
        }
    }

    fn each_table(&self, key: &str, items: &'a [Value], how: &str) -> Vec<Section<'a>> {
        let mut sections = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}.{}", self.path_of(key), item.name_or(index));
            match &item.kind {
                ValueKind::Table(table) => sections.push(self.below(key, path, Some(table), item.place.clone())),
                _ => self.findings.problem(&item.place, Problem::new(format!("`{path}` must be a table")).help(how)),
            }
        }
        sections
    }

    /// Whether the key was given.
    pub(crate) fn has(&mut self, key: &'static str) -> bool {
        self.knows(key);
        self.table.is_some_and(|t| t.get(key).is_some())
    }

    /// Whether the table was left out; one that was given without a key is a problem.
    pub(crate) fn left_out(&self, how: &str) -> bool {
        if self.table.is_some_and(|table| table.0.is_empty()) {
            let problem = Problem::new(format!("`{}` says nothing", self.path)).help(how);
            self.findings.problem(&self.place, problem);
        }
        self.table.is_none()
    }

    /// Notes a problem at the value of `key`, or at the table when that was not given.
    pub(crate) fn problem(&self, key: &str, message: &str, help: &str) {
        let (path, place) = self.locate(key);
        self.findings.problem(&place, Problem::new(format!("`{path}` {message}")).help(help));
    }

    /// Notes a key that was given but has no meaning here.
    pub(crate) fn refuse(&mut self, key: &'static str, why: &str, help: &str) {
        if let Some(entry) = self.entry(key) {
            let problem = Problem::new(format!("`{}` {why}", self.path_of(key))).help(help);
            self.findings.problem(&entry.key_place, problem);
        }
    }

    /// All keys were asked for: the others are unknown.
    pub(crate) fn finish(self) {
        for entry in self.table.iter().flat_map(|t| &t.0) {
            if self.known.iter().any(|k| *k == entry.key) {
                continue;
            }
            let known = self.known.join("`, `");
            let problem = Problem::new(format!("unknown key `{}`", self.path_of(&entry.key)));
            let problem = problem.help(match nearest(&entry.key, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: `{known}`"),
            });
            self.findings.problem(&entry.key_place, problem);
        }
    }
}

fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
