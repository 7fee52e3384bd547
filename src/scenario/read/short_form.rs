//! Text where a table is meant: `arrival = "at-once"` is short for `arrival = { process = "at-once" }`.

use crate::settings::{Table, TableEntry, Value, ValueKind};

/// Makes tables of all short forms, so that an override finds the keys below them.
pub(super) fn expand(root: &mut Value) {
    for stage in items(root.child_mut("stage")) {
        name_to_table(stage.child_mut("arrival"), "process");
    }
    if let Some(fleet) = root.child_mut("fleet") {
        name_to_table(fleet.child_mut("behaviour"), "preset");
        for class in items(fleet.child_mut("class")) {
            name_to_table(class.child_mut("behaviour"), "preset");
        }
    }
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    let items = match list.map(|list| &mut list.kind) {
        Some(ValueKind::Array(items)) => items.as_mut_slice(),
        _ => &mut [],
    };
    items.iter_mut()
}

fn name_to_table(value: Option<&mut Value>, key: &str) {
    let Some(value) = value.filter(|value| matches!(value.kind, ValueKind::Text(_))) else { return };
    let place = value.place.clone();
    let table = Value { kind: ValueKind::Table(Table::default()), place: place.clone() };
    let name = std::mem::replace(value, table);
    if let ValueKind::Table(table) = &mut value.kind {
        table.0.push(TableEntry { key: key.to_owned(), key_place: place, value: name });
    }
}
