//! The layers of ARCHITECTURE.md hold: its table is read, so that document and code cannot drift apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Words of other crates that a layer must not know, beside the layers themselves.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    ("domain", &["tokio", "serde", "clap", "std::net", "SystemTime"]),
    ("model", &["tokio", "serde", "std::net", "Instant", "::now()", "Mutex", "Atomic"]),
    ("pki", &["tokio::", "rumqttc", "std::net"]),
    ("protocol", &["tokio::net", "tokio::time", "std::net", "SystemTime"]),
    ("report", &["indicatif", "is_terminal"]),
];

#[test]
fn no_module_uses_a_layer_that_the_table_does_not_allow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let allowed = table(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    assert_eq!(allowed.len(), 12, "ARCHITECTURE.md lists the layers: {allowed:?}");
    let mut wrong = Vec::new();
    for (layer, may_use) in &allowed {
        for_each_line(&root.join("src").join(layer), &mut |place, line| {
            for other in allowed.keys().filter(|other| *other != layer && !may_use.contains(*other)) {
                if line.contains(&format!("crate::{other}::")) || line.contains(&format!("crate::{other};")) {
                    wrong.push(format!("{place}: {layer} may not use {other}"));
                }
            }
            if line.contains("crate::{") {
                wrong.push(format!("{place}: name the layer in `use crate::…`, so that this test sees it"));
            }
            let forbidden = FORBIDDEN.iter().find(|(name, _)| name == layer).map_or(&[][..], |(_, words)| words);
            wrong
                .extend(forbidden.iter().filter(|w| line.contains(**w)).map(|w| format!("{place}: {layer} knows {w}")));
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where colours are named, so that whoever chooses one looks at what it means and how it is read.
const COLOURS: &str = "src/report/tone.rs";

#[test]
fn colours_are_named_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["black", "red", "green", "yellow", "blue", "purple", "magenta", "cyan", "white", "dimmed", "dim"];
    let methods =
        names.iter().flat_map(|name| [format!(".{name}("), format!(".bright_{name}("), format!(".on_{name}(")]);
    let words: Vec<String> =
        methods.chain(["Color::", "Attribute::Dim", "\\x1b[", "XtermColors"].map(str::to_owned)).collect();
    let mut wrong = Vec::new();
    for_each_line(&root.join("src"), &mut |place, line| {
        if !place.contains(COLOURS) {
            wrong.extend(words.iter().filter(|w| line.contains(w.as_str())).map(|w| format!("{place}: {w}")));
        }
    });
    assert!(wrong.is_empty(), "{COLOURS} names colours by what they mean:\n{}", wrong.join("\n"));
}

/// Rows `| module | may use | … |` of the layering table.
fn table(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let rows = text.lines().skip_while(|line| !line.starts_with("| module | may use |")).skip(2);
    let cells =
        rows.map_while(|row| row.strip_prefix('|')).map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let rows: Vec<_> = cells.map(|cells| (cells[0].to_owned(), cells[1].to_owned())).collect();
    let every = || rows.iter().map(|(module, _)| module.clone()).collect();
    let uses = |list: &str| if list == "all" { every() } else { list.split(", ").map(str::to_owned).collect() };
    rows.iter().map(|(module, list)| (module.clone(), uses(list))).collect()
}

/// Calls `check` with place and text of every line of code; comments may name any layer.
fn for_each_line(folder: &Path, check: &mut impl FnMut(String, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_line(&path, check);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                check(format!("{}:{}", path.display(), number + 1), line);
            }
        }
    }
}
