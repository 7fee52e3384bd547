//! An unknown key is named whatever else is wrong beside it, and no key that is known is ever called unknown.

use std::fs;
use std::mem;

use fleetstorm::scenario::Scenario;
use toml::{Table, Value};

use super::docs::{SCENARIOS, completed, examples};

/// A key or an index on the way to a table.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// Files that have every key together.
fn files() -> Vec<Table> {
    let full = fs::read_to_string("tests/it/scenario/full.toml").unwrap();
    let texts = examples(SCENARIOS).map(completed).chain([full]);
    let file = |text: String| {
        let mut file: Table = toml::from_str(&text).unwrap();
        // Its keys are the emulator's.
        file.remove("emulator");
        file
    };
    texts.map(file).collect()
}

/// The ways to all tables.
fn tables(value: &Value, way: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
    let below: Vec<(Step, &Value)> = match value {
        Value::Table(table) => {
            found.push(way.clone());
            table.iter().map(|(key, value)| (Step::Key(key.clone()), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (Step::Index(index), item)).collect(),
        _ => Vec::new(),
    };
    for (step, value) in below {
        way.push(step);
        tables(value, way, found);
        way.pop();
    }
}

fn at<'a>(file: &'a mut Value, way: &[Step]) -> &'a mut Table {
    let value = way.iter().fold(file, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Index(index) => &mut value[*index],
    });
    value.as_table_mut().unwrap()
}

/// The unknown keys that are told of, each with what is said to do.
fn unknown(file: &Value) -> Vec<(String, String)> {
    // Beside the files that examples name.
    let problems = Scenario::parse("tests/it/scenario/example.toml", &toml::to_string(file).unwrap(), &[]);
    let told = |problem: &fleetstorm::settings::Problem| {
        let (_, after) = problem.message().split_once("unknown key `")?;
        let key = after.split('`').next()?.rsplit('.').next()?;
        Some((key.to_owned(), format!("{} {}", after, problem.remedy().unwrap_or_default())))
    };
    problems.err().iter().flat_map(|problems| problems.iter()).filter_map(told).collect()
}

/// Calls for every key of every table of every file, with what changes the table in a copy of the file.
fn every_key(mut check: impl FnMut(&str, &dyn Fn(&mut dyn FnMut(&mut Table)) -> Value)) -> usize {
    let mut seen = 0;
    for file in files() {
        let file = Value::Table(file);
        let mut ways = Vec::new();
        tables(&file, &mut Vec::new(), &mut ways);
        for way in ways {
            let keys: Vec<String> = at(&mut file.clone(), &way).keys().cloned().collect();
            for key in keys {
                check(&key, &|change| {
                    let mut changed = file.clone();
                    change(at(&mut changed, &way));
                    changed
                });
                seen += 1;
            }
        }
    }
    seen
}

#[test]
fn every_misspelt_key_is_named_with_the_one_that_was_meant() {
    let seen = every_key(|key, changed| {
        let misspelt = format!("{key}{}", &key[key.len() - 1..]);
        let file = changed(&mut |table| {
            let value = table.remove(key).unwrap();
            table.insert(misspelt.clone(), value);
        });
        let found = unknown(&file);
        assert!(matches!(found.as_slice(), [(named, _)] if *named == misspelt), "{misspelt} in\n{file}: {found:?}");
        assert!(found[0].1.contains(&format!("did you mean `{key}`?")), "{found:?}");
    });
    assert!(seen > 300, "{seen}");
}

#[test]
fn what_is_missing_or_wrong_hides_no_unknown_key_and_makes_none() {
    every_key(|key, changed| {
        for wrong in [None, Some(Value::Boolean(false)), Some(Value::String("absurd".to_owned()))] {
            let file = changed(&mut |table| {
                match &wrong {
                    None => drop(table.remove(key)),
                    Some(value) => drop(mem::replace(&mut table[key], value.clone())),
                }
                table.insert("zzz".to_owned(), Value::Integer(1));
            });
            let named: Vec<String> = unknown(&file).into_iter().map(|(key, _)| key).collect();
            assert_eq!(named, ["zzz"], "{key} is {wrong:?} in\n{file}");
        }
    });
}

#[test]
fn an_arrival_without_its_process_says_what_was_meant() {
    let text = "schema = 1\nname = 'x'\nfleet.devices = 5\n[[stage]]\nname = 's'\nkind = 'provision'\n\
                arrival = { proces = 'spread', over = '1s', jiter = '1s' }\n";
    let problems = super::lines(&Scenario::parse("x.toml", text, &[]).unwrap_err());
    for told in [
        "`stage.s.arrival.process` is missing",
        "unknown key `stage.s.arrival.proces`\n    did you mean `process`?",
        "unknown key `stage.s.arrival.jiter`\n    did you mean `jitter`?",
    ] {
        assert!(problems.contains(told), "{problems}");
    }
    assert!(!problems.contains("over"), "{problems}");
}

#[test]
fn a_file_of_unknown_keys_is_refused_with_the_first_and_the_number_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let keys: String = (0..30_000).map(|number| format!("key_{number} = {number}\n")).collect();
    fs::write(folder.path().join("x.toml"), format!("schema = 1\nname = 'x'\n{keys}")).unwrap();
    let refused = crate::cli::fleetstorm(folder.path()).args(["check", "x.toml"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    // Two more: there is no fleet, and no stage.
    assert!(
        stdout.contains("x.toml: 3000") && stderr.contains("and 29,95") && stderr.contains("`key_40`"),
        "{stdout}{stderr}"
    );
    assert!(stderr.lines().count() < 1_000, "{}", stderr.lines().count());
}
