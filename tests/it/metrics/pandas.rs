//! Libraries that people evaluate results with read them as they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleetstorm::cli::Exit;

use super::{RUN, folder, present};
use crate::cli::{code, fleetstorm};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pandas/check.py");

#[test]
fn pandas_and_duckdb_find_the_sums_of_the_record() {
    check(&[], "devices.csv errors.csv");
}

#[test]
fn duckdb_reads_parquet() {
    check(&["--devices-format", "parquet"], "devices.parquet");
}

fn check(options: &[&str], wanted: &str) {
    let Some(python) = python("pandas, duckdb") else { return };
    let folder = folder();
    fleetstorm(folder.path()).args(RUN).args(["--devices", "--quiet"]).args(options).assert().code(code(Exit::Done));
    let output = Command::new(python).arg(SCRIPT).arg(folder.path().join("out")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains(wanted), "{out}\n{err}");
}

/// The interpreter that has the modules; `None`, said on stderr, when there is none and this is not CI.
pub(super) fn python(modules: &str) -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pandas/bin/python");
    let python = std::env::var_os("FLEETSTORM_PANDAS_PYTHON").map_or(default, PathBuf::from);
    let imports = format!("import {modules}");
    let is_there =
        Command::new(&python).args(["-c", &imports]).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    let remedy = "python3 -m venv target/pandas && target/pandas/bin/pip install -r tests/pandas/requirements.txt";
    present(&format!("a Python with {modules}"), is_there, remedy).then_some(python)
}
