//! Files as editors of Windows save them: a byte order mark before the text is no part of it.

use std::fs;
use std::path::Path;

use crate::cli::fleetstorm;
use crate::run::{Emulator, RUN, folder, json};

fn mark(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, format!("\u{feff}{text}")).unwrap();
}

#[test]
fn every_file_may_begin_with_one() {
    let folder = folder("arrival = { process = \"replay\", file = \"arrivals.csv\" }", 3);
    fs::write(folder.path().join("arrivals.csv"), "0.1\n0.2\n0.3\n").unwrap();
    for file in ["small.toml", "emulator.toml", "arrivals.csv"] {
        mark(&folder.path().join(file));
    }
    fleetstorm(folder.path()).args(RUN).assert().success();
    let run = folder.path().join("out/run.json");
    assert_eq!(json(&run)["totals"]["succeeded"], 3);
    mark(&run);
    fleetstorm(folder.path()).args(["report", "out"]).assert().success();

    // The files of an emulator that others have written down again.
    let (_emulator, ready) = Emulator::start(&folder, &[]);
    let mut ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    for key in ["group_key_file", "ca_file", "issuing_root_file"] {
        let copy = folder.path().join(key);
        fs::copy(ready[key].as_str().unwrap(), &copy).unwrap();
        mark(&copy);
        ready[key] = copy.to_str().unwrap().into();
    }
    let connection = folder.path().join("emulator.json");
    fs::write(&connection, ready.to_string()).unwrap();
    mark(&connection);
    let target = ["run", "small.toml", "--target", "emulator.json", "--out", "there"];
    fleetstorm(folder.path()).args(target).assert().success();
    assert_eq!(json(&folder.path().join("there/run.json"))["totals"]["succeeded"], 3);
}
