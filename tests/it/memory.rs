//! What a run keeps of its stages: a stage that is over is at rest.

use std::fmt::Write as _;
use std::fs;

use fleetstorm::cli::Exit;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, folder, json};

#[test]
fn sixty_stages_take_hardly_more_memory_than_one() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 3);
    let path = folder.path().join("small.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    for stage in 0..60 {
        write!(text, "[[stage]]\nname = \"again-{stage}\"\nkind = \"reconnect\"\narrival = \"at-once\"\n").unwrap();
    }
    fs::write(path, text).unwrap();
    fleetstorm(folder.path()).args(RUN).arg("--quiet").assert().code(code(Exit::Done));
    let run = json(&folder.path().join("out/run.json"));
    assert_eq!(run["totals"]["succeeded"], 3 * 61);
    let most = run["generator"]["peak_memory_bytes"].as_u64().unwrap();
    // A stage that records takes 8 MB: sixty of them would be half a gigabyte.
    assert!(most < 250_000_000, "{most} bytes");
}
