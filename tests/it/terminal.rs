//! Whatever a record of somebody else holds, a terminal gets nothing that it obeys.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::fleetstorm;

/// Sets the title, clears the screen (with C1, too), goes back, turns round what follows.
const HOSTILE: &str = "a\u{1b}]0;title\u{7}b\u{1b}[2Jc\u{9b}2Jd\re\u{202e}f\u{2066}g\u{7f}";

/// Puts it into every text of a record that is not one of a few known words.
fn poison(value: &mut Value, key: &str) {
    const WORDS: [&str; 10] = [
        "status",
        "outcome",
        "phase",
        "origin",
        "histogram",
        "kind",
        "verdict",
        "lateness_histogram",
        "reason",
        "class",
    ];
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| poison(value, key)),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, key)),
        // Moments are read, not shown.
        Value::String(text) if !WORDS.contains(&key) && !text.starts_with("20") && key != "text" => {
            text.push_str(HOSTILE);
        }
        _ => {}
    }
}

fn hostile(folder: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/results/with-shard");
    fs::create_dir(folder).unwrap();
    let mut run: Value = serde_json::from_slice(&fs::read(from.join("run.json")).unwrap()).unwrap();
    for interval in
        run["stages"].as_array_mut().unwrap().iter_mut().flat_map(|s| s["intervals"].as_array_mut().unwrap())
    {
        // Then nobody asks for the log of its distributions.
        interval["histogram"] = "".into();
    }
    poison(&mut run, "");
    run["scenario"] = "name\nCOMPLETE  everything is well".into();
    fs::write(folder.join("run.json"), run.to_string()).unwrap();
}

#[test]
fn nothing_in_a_record_reaches_a_terminal_that_it_obeys() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        hostile(&folder.path().join(name));
    }
    for args in
        [&["report", "a"][..], &["report", "a", "--json"], &["compare", "a", "b"], &["compare", "a", "b", "--json"]]
    {
        let output = fleetstorm(folder.path()).args(args).output().unwrap();
        let told = [&output.stdout[..], &output.stderr[..]].map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert!(told.iter().any(|text| text.contains(r"\u001b]0;title")), "{args:?}: {told:?}");
        for text in &told {
            let obeyed = |c: char| (c.is_control() && c != '\n' && c != '\t') || "\u{202e}\u{2066}".contains(c);
            assert!(!text.contains(obeyed), "{args:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("COMPLETE  everything")), "{args:?}: {text}");
        }
        if args.contains(&"--json") {
            serde_json::from_str::<Value>(&told[0]).unwrap();
        }
    }
    // Nor what is wrong with a scenario, or with the command line.
    let scenario = folder.path().join("x.toml");
    fs::write(&scenario, "schema = 1\nname = 5 # \u{9b}2J \u{202e}\n").unwrap();
    let refused = fleetstorm(folder.path()).args(["check", "x.toml"]).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    let typed =
        fleetstorm(folder.path()).args(["run\u{1b}]0;x\u{7}", "x.toml"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    let typed = String::from_utf8(typed.stderr).unwrap();
    assert!(typed.contains("unrecognized subcommand 'run") && !typed.contains('\u{1b}'), "{typed:?}");
    assert!(told.contains(r"\u009b2J \u202e") && !told.contains('\u{9b}'), "{told}");
}
