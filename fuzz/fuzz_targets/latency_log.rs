//! `latency.hlog` beside a record of before `run.json` was enough.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use fleetstorm::report::read;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.json"), include_bytes!("../../tests/data/results/first/run.json")).unwrap();
    folder
});

fuzz_target!(|data: &[u8]| {
    fs::write(FOLDER.path().join("latency.hlog"), data).unwrap();
    if let Ok(record) = read(FOLDER.path()) {
        assert!(!record.stages.is_empty());
    }
});
