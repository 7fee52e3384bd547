//! Every scenario of the library, in virtual time.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use fleetstorm::domain::Shard;
use fleetstorm::engine::Plan;
use fleetstorm::scenario::{Arrival, Workload};

use super::lab::{library, outcome, sharded, written};
use super::{formats, sound};

/// Small enough for a build without optimisation; a scenario is the same with more.
const DEVICES: &str = "120";

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// Bootstrap certificates for the fleets that attest with them.
fn bootstrap() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for step in [&["root"][..], &["intermediate"], &["devices", "--count", DEVICES]] {
        Command::cargo_bin("fleetstorm")
            .unwrap()
            .arg("pki")
            .args(step)
            .arg("--dir")
            .arg(folder.path())
            .assert()
            .success();
    }
    folder
}

#[test]
fn every_format_of_any_scenario_adds_up_and_two_runs_with_the_same_seed_write_the_same_phases() {
    let pki = bootstrap();
    let pki = pki.path().display().to_string();
    for path in scenarios() {
        let text = fs::read_to_string(&path).unwrap();
        let mut sets = vec![("fleet.devices", DEVICES)];
        if text.contains("x509") {
            sets.push(("fleet.bootstrap_dir", &pki));
        }
        // RSA keys cannot come from a seed, but that they differ must not show.
        let scenario = library(&path, &sets);
        let run = || {
            let (outcome, attempts) = sharded(&scenario, Shard::WHOLE);
            sound(&outcome);
            assert_eq!(outcome.stages.len(), scenario.stages.len());
            let written = written(&scenario, &outcome, &attempts);
            formats::add_up(&written);
            written.text("phases.csv")
        };
        let (first, second) = (run(), run());
        assert!(first.lines().count() > 5, "{}: {first}", path.display());
        assert_eq!(first, second, "{}", path.display());
    }
}

/// What a change of structure must leave as it was. Run by hand before and after it, with a folder each:
/// `PHASES=before cargo test --test it -- --ignored phases_of_every_scenario`, then `diff -r before after`.
#[test]
#[ignore = "it asserts nothing: it writes what is compared"]
fn phases_of_every_scenario() {
    let pki = bootstrap();
    let pki = pki.path().display().to_string();
    let folder = PathBuf::from(std::env::var_os("PHASES").expect("PHASES names a folder"));
    fs::create_dir_all(&folder).unwrap();
    for path in scenarios() {
        let mut sets = vec![("fleet.devices", DEVICES)];
        if fs::read_to_string(&path).unwrap().contains("x509") {
            sets.push(("fleet.bootstrap_dir", &pki));
        }
        let scenario = library(&path, &sets);
        let phases = written(&scenario, &outcome(&scenario), &[]).text("phases.csv");
        fs::write(folder.join(format!("{}.csv", scenario.name)), phases).unwrap();
    }
}

#[test]
fn every_scenario_says_what_it_answers_and_what_it_must_meet() {
    for path in scenarios() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let scenario = library(&path, &[]);
        assert_eq!(scenario.name, name);
        let question = scenario.question.clone().unwrap_or_else(|| panic!("{name} has no question"));
        assert!(text.starts_with(&format!("# {question}\n")), "{name} is headed by its question");
        assert!(!scenario.thresholds.is_empty(), "{name} has no threshold");
        assert!(text.lines().all(|line| line.chars().count() <= 130), "{name} has a line that is too long");
    }
}

#[test]
fn every_scenario_can_be_planned_and_takes_less_than_two_minutes() {
    for path in scenarios() {
        let scenario = library(&path, &[]);
        let plan = Plan::new(&scenario, 1);
        assert_eq!(plan, Plan::new(&scenario, 1), "{}", path.display());
        let ids: HashSet<String> =
            (0..plan.devices).filter_map(|device| plan.registration_id(device)).map(|id| id.to_string()).collect();
        assert_eq!(ids.len(), plan.devices as usize, "{}", path.display());
        for (index, (stage, planned)) in scenario.stages.iter().zip(&plan.stages).enumerate() {
            let (Some(start), Some(last)) = (planned.start, planned.last_due) else {
                panic!("{}: {} has no end that can be foreseen", path.display(), stage.name)
            };
            assert!((start + last).as_secs() < 120, "{}: {} ends after {:?}", path.display(), stage.name, start + last);
            let foreseen = plan.schedule.arrivals(index).count();
            assert_eq!(foreseen, planned.devices as usize, "{}: {}", path.display(), stage.name);
            let of_certificates = matches!(&stage.workload, Workload::Open { arrival: Arrival::FromExpiry(_), .. });
            assert_eq!(plan.schedule.due_offsets(index).is_none(), of_certificates);
        }
    }
}

/// Run by hand, with optimisation: `cargo test --release --test it -- --ignored ten_thousand --nocapture`.
#[test]
#[ignore = "a figure, not a check: it takes minutes without optimisation"]
fn ten_thousand_devices_in_virtual_time() {
    for path in scenarios().iter().filter(|path| !fs::read_to_string(path).unwrap().contains("x509")) {
        let scenario = library(path, &[("fleet.devices", "10000")]);
        let begun = tokio::time::Instant::now();
        let first = written(&scenario, &outcome(&scenario), &[]).text("phases.csv");
        let took = begun.elapsed();
        let second = written(&scenario, &outcome(&scenario), &[]).text("phases.csv");
        println!("{}: {:.1} s, the same again: {}", scenario.name, took.as_secs_f64(), first == second);
        assert_eq!(first, second, "{}", scenario.name);
    }
}
