//! The layers of ARCHITECTURE.md hold: its table is read, so that document and code cannot drift apart.

mod crate_map;
mod folders;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate_map::{CrateMap, Target};

/// What a layer must not know of other crates: paths that begin so.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    ("domain", &["tokio", "serde", "clap", "std::net", "std::time::Instant", "std::time::SystemTime::now"]),
    (
        "model",
        &[
            "tokio",
            "serde",
            "std::net",
            "std::time::Instant",
            "std::time::SystemTime::now",
            "std::sync::Mutex",
            "std::sync::atomic",
        ],
    ),
    ("pki", &["tokio", "rumqttc", "std::net"]),
    ("protocol", &["tokio::net", "tokio::time", "std::net", "std::time::SystemTime"]),
    ("report", &["indicatif", "std::io::IsTerminal"]),
    ("rig", &["clap", "indicatif", "console", "std::io::IsTerminal", "std::process::ExitCode"]),
];

static CRATE: LazyLock<CrateMap> = LazyLock::new(|| CrateMap::of(&src()));

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn no_module_uses_a_layer_that_the_table_does_not_allow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let allowed = table(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let map = &*CRATE;
    let declared: BTreeSet<String> = map.modules().filter_map(|module| module.name.first().cloned()).collect();
    assert_eq!(allowed.keys().cloned().collect::<BTreeSet<_>>(), declared, "ARCHITECTURE.md lists the layers");
    let mut wrong = BTreeSet::new();
    for module in map.modules() {
        let Some(layer) = module.name.first() else { continue };
        let forbidden = FORBIDDEN.iter().find(|(name, _)| name == layer).map_or(&[][..], |(_, words)| words);
        for named in &module.paths {
            let place = format!("{}:{}", module.file.display(), named.line);
            match map.target(module, named) {
                Some(Target::Own { layers, .. }) => {
                    let others = layers.iter().filter(|other| *other != layer && !allowed[layer].contains(*other));
                    wrong.extend(others.map(|other| format!("{place}: {layer} may not use {other}")));
                }
                Some(Target::Foreign(path)) => {
                    let path = path.join("::");
                    let known = forbidden.iter().filter(|begin| {
                        path.strip_prefix(**begin).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
                    });
                    wrong.extend(known.map(|begin| format!("{place}: {layer} knows {begin}")));
                }
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_circle_of_files_crosses_a_folder_of_scenarios() {
    crosses_no_folder("scenario");
}

#[test]
fn no_circle_of_files_crosses_a_folder_of_the_engine() {
    crosses_no_folder("engine");
}

#[test]
fn no_circle_of_files_crosses_a_folder_of_the_emulator() {
    crosses_no_folder("emulator");
}

fn crosses_no_folder(layer: &str) {
    let wrong: Vec<_> = circles(&uses_of_files(&CRATE, layer))
        .into_iter()
        .filter(|circle| circle.iter().map(|file| folder(file)).collect::<BTreeSet<_>>().len() > 1)
        .map(|circle| circle.iter().map(|file| format!("  {}\n", file.display())).collect::<String>())
        .collect();
    assert!(wrong.is_empty(), "these files use each other across folders:\n{}", wrong.join("\n"));
}

type Uses = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// Which files of a layer use what other files of it define. What is handed on or is for tests does not count.
fn uses_of_files(map: &CrateMap, layer: &str) -> Uses {
    let mut uses = Uses::new();
    for module in
        map.modules().filter(|module| !module.is_test && module.name.first().is_some_and(|name| name == layer))
    {
        for named in module.paths.iter().filter(|named| !named.is_handed_on) {
            if let Some(Target::Own { module: defines, .. }) = map.target(module, named)
                && defines.first().is_some_and(|name| name == layer)
                && map.file(&defines) != &module.file
            {
                uses.entry(module.file.clone()).or_default().insert(map.file(&defines).clone());
            }
        }
    }
    uses
}

/// The folder that a file is in, or that is the rest of it: more of it than its tests.
fn folder(file: &Path) -> PathBuf {
    let rest = file.with_extension("");
    let mut files = fs::read_dir(src().join(&rest)).into_iter().flatten();
    let is_more = files.any(|file| file.unwrap().file_name() != "tests.rs");
    if is_more { rest } else { file.parent().unwrap().to_owned() }
}

/// Files that use each other, directly or through others.
fn circles(uses: &Uses) -> Vec<BTreeSet<PathBuf>> {
    let reached = |from: &PathBuf| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(file) = open.pop() {
            open.extend(uses.get(&file).into_iter().flatten().filter(|next| seen.insert((*next).clone())).cloned());
        }
        seen
    };
    let reached: BTreeMap<&PathBuf, BTreeSet<PathBuf>> = uses.keys().map(|file| (file, reached(file))).collect();
    let circles: BTreeSet<BTreeSet<PathBuf>> = reached
        .iter()
        .filter(|(file, seen)| seen.contains(**file))
        .map(|(file, seen)| {
            seen.iter().filter(|other| reached.get(other).is_some_and(|seen| seen.contains(*file))).cloned().collect()
        })
        .collect();
    circles.into_iter().collect()
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
