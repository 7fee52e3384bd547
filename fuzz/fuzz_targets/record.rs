//! `run.json` and `partial.json`, as somebody else may have written them: they are refused, or everything that is said of them
//! can be said, and what is written of them can be read again.
#![no_main]

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use fleetstorm::report::{EXPORTERS, console, read, run_json, verdicts};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDERS: LazyLock<[TempDir; 3]> = LazyLock::new(|| std::array::from_fn(|_| tempfile::tempdir().unwrap()));

fuzz_target!(|data: &[u8]| {
    let [whole, partial, again] = FOLDERS.each_ref().map(TempDir::path);
    look_at(whole, "run.json", data, again);
    look_at(partial, "partial.json", data, again);
});

fn look_at(folder: &Path, name: &str, data: &[u8], again: &Path) {
    fs::write(folder.join(name), data).unwrap();
    let Ok(record) = read(folder) else { return };
    for exporter in EXPORTERS {
        exporter.write(&record, &mut io::sink()).expect("a sink takes everything");
    }
    let _ = verdicts(&record);
    let _ = console::summary(&record, console::Look { color: false, columns: console::WIDTH });
    let text = run_json(&record).expect("every record can be written");
    fs::write(again.join("run.json"), &text).unwrap();
    let second = read(again).expect("what was written can be read");
    assert_eq!(run_json(&second).expect("every record can be written"), text, "reading loses nothing");
}
