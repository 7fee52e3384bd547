//! Which folders of a layer may use which others: a table that is read where it stands, so that it cannot drift from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{CRATE, Uses, src, uses_of_files};

/// Layers whose folders form layers too, and where the table of them stands.
const TABLES: [(&str, &str); 2] = [("engine", "ARCHITECTURE.md"), ("emulator", "src/emulator/mod.rs")];

#[test]
fn a_folder_uses_only_those_that_its_table_names_above_it() {
    let mut wrong = Vec::new();
    for (layer, place) in TABLES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(place)).unwrap();
        let table = Table::read(layer, &text).unwrap_or_else(|problem| panic!("{place}: {problem}"));
        table.is_of(&src().join(layer)).unwrap_or_else(|problem| panic!("{place}: {problem}"));
        wrong.extend(table.breaches(&uses_of_files(&CRATE, layer)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each folder, or file beside the folders, may use. A file that has no row is for all of them, and uses none.
struct Table(BTreeMap<String, BTreeSet<String>>);

impl Table {
    /// The table of `layer` in `text`. Names in one row do not use each other.
    fn read(layer: &str, text: &str) -> Result<Self, String> {
        let head = format!("| folder of `{layer}` | what it holds | may use |");
        let lines = text.lines().map(|line| line.strip_prefix("//! ").unwrap_or(line));
        let rows: Vec<_> = lines.skip_while(|line| *line != head).skip(2).map_while(cells).collect();
        if rows.is_empty() {
            return Err(format!("no table begins with {head}"));
        }
        let (mut above, mut table) = (BTreeSet::new(), BTreeMap::new());
        for (own, may_use) in rows {
            let may_use = match may_use {
                "-" => BTreeSet::new(),
                "all above" => above.clone(),
                list => names(list),
            };
            if let Some(other) = may_use.difference(&above).next() {
                return Err(format!("{own} may use {other}, which is not above it"));
            }
            above.extend(names(own));
            table.extend(names(own).into_iter().map(|name| (name, may_use.clone())));
        }
        Ok(Self(table))
    }

    /// Whether every folder has a row, and every row is there.
    fn is_of(&self, layer: &Path) -> Result<(), String> {
        for entry in fs::read_dir(layer).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() && !self.0.contains_key(&name) {
                return Err(format!("{name} has no row"));
            }
        }
        let is_there = |name: &str| layer.join(name).is_dir() || layer.join(format!("{name}.rs")).is_file();
        self.0
            .keys()
            .find(|name| !is_there(name))
            .map_or(Ok(()), |name| Err(format!("{name} has a row, and is nowhere")))
    }

    fn breaches(&self, uses: &Uses) -> Vec<String> {
        let row = |file: &Path| top(file).filter(|name| self.0.contains_key(name));
        let mut breaches = Vec::new();
        for (file, uses) in uses {
            let own = row(file);
            let may_use = |other: &String| own.as_ref().is_some_and(|own| own == other || self.0[own].contains(other));
            let wrong = uses.iter().filter(|used| row(used).is_some_and(|other| !may_use(&other)));
            breaches.extend(wrong.map(|used| format!("{} may not use {}", file.display(), used.display())));
        }
        breaches
    }
}

/// The first and the third cell of a row.
fn cells(line: &str) -> Option<(&str, &str)> {
    let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    Some((cells[0], cells[2]))
}

fn names(list: &str) -> BTreeSet<String> {
    list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

/// The folder of a layer that a file is in, or the file itself if it lies beside the folders.
fn top(file: &Path) -> Option<String> {
    let below = file.iter().nth(1)?;
    Path::new(below).file_stem().map(|name| name.to_str().unwrap().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Result<Table, String> {
        Table::read(
            "x",
            &format!(
                "//! Words.\n//!\n//! | folder of `x` | what it holds | may use |\n//! |---|---|---|\n{rows}\n\nMore."
            ),
        )
    }

    #[test]
    fn a_table_that_is_missing_or_names_what_is_not_above_is_refused() {
        assert!(Table::read("x", "| folder of `y` | what it holds | may use |\n|---|---|---|\n| a | b | - |").is_err());
        assert!(table("").is_err());
        assert!(table("//! | `a` | b | - |\n//! | `c` | d | `a`, `e` |").is_err());
        assert!(table("//! | `a`, `b` | two | `a` |").is_err());
    }

    #[test]
    fn rows_and_folders_are_the_same() {
        let layer = tempfile::tempdir().unwrap();
        fs::create_dir(layer.path().join("a")).unwrap();
        for file in ["b.rs", "mod.rs"] {
            fs::write(layer.path().join(file), "").unwrap();
        }
        let is_of = |rows| table(rows).unwrap().is_of(layer.path());
        assert_eq!(is_of("//! | `a` | a folder | - |"), Ok(()));
        assert_eq!(is_of("//! | `a` | a folder | - |\n//! | `b` | a file | - |"), Ok(()));
        assert_eq!(is_of("//! | `b` | a file | - |"), Err("a has no row".to_owned()));
        assert_eq!(is_of("//! | `a`, `c` | folders | - |"), Err("c has a row, and is nowhere".to_owned()));
    }

    #[test]
    fn only_what_the_table_names_may_be_used() {
        let table = table("| a | first | - |\n| b, c | two | a |\n| d | last | all above |").unwrap();
        let breaches =
            |from: &str, to: &str| table.breaches(&Uses::from([(from.into(), BTreeSet::from([to.into()]))])).len();
        for (from, to) in [
            ("x/a/mod.rs", "x/a/y.rs"),
            ("x/b.rs", "x/a/y.rs"),
            ("x/b/z.rs", "x/b.rs"),
            ("x/d/e/f.rs", "x/c.rs"),
            // Beside the table.
            ("x/a/mod.rs", "x/free.rs"),
            ("x/free.rs", "x/other.rs"),
        ] {
            assert_eq!(breaches(from, to), 0, "{from} → {to}");
        }
        for (from, to) in [
            ("x/a/mod.rs", "x/b.rs"),
            ("x/b.rs", "x/c.rs"),
            ("x/c/z.rs", "x/d/mod.rs"),
            ("x/free.rs", "x/a/mod.rs"),
            ("x/mod.rs", "x/a/mod.rs"),
        ] {
            assert_eq!(breaches(from, to), 1, "{from} → {to}");
        }
    }
}
