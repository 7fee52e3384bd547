//! What the documentation says is so.

use std::io::Write as _;

use fleetstorm::emulator;
use fleetstorm::scenario::{Behaviour, BehaviourPreset, Jitter, Scenario};
use toml::{Table, Value};

use super::lines;

pub(super) const SCENARIOS: &str = include_str!("../../../docs/scenarios.md");
const BEHAVIOURS: &str = include_str!("../../../docs/behaviours.md");

/// What an example that is a part of a file stands in.
const AROUND: &str = r#"
schema = 1
name = "example"

[fleet]
devices = 50

[[stage]]
name = "provision"
kind = "provision"
arrival = "at-once"
"#;

pub(super) fn examples(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next())
}

/// The example as a whole file: what it leaves out comes from [`AROUND`].
pub(super) fn completed(example: &str) -> String {
    let mut file: Table = toml::from_str(example).unwrap();
    let around: Table = toml::from_str(AROUND).unwrap();
    if let (Some(Value::Array(stages)), Some(Value::Array(before))) = (file.get_mut("stage"), around.get("stage"))
        && stages.iter().all(|stage| stage["kind"].as_str() != Some("provision"))
    {
        stages.splice(0..0, before.iter().cloned());
    }
    for (key, value) in around {
        file.entry(key).or_insert(value);
    }
    toml::to_string(&file).unwrap()
}

#[test]
fn every_example_is_a_scenario() {
    let mut seen = 0;
    for example in examples(SCENARIOS) {
        // Beside the file that the example of a replay names.
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile_in("tests/it/scenario").unwrap();
        file.write_all(completed(example).as_bytes()).unwrap();
        Scenario::load(file.path(), &[], emulator::read_within)
            .unwrap_or_else(|problems| panic!("{example}\n{}", lines(&problems)));
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn the_first_example_is_whole() {
    let example = examples(SCENARIOS).next().unwrap();
    assert!(Scenario::parse("example.toml", example, &[]).is_ok());
}

fn row(behaviour: &Behaviour) -> String {
    let Behaviour {
        preset,
        repeats,
        honours_retry_after,
        default_wait,
        wait_jitter,
        attempts,
        backoff,
        caches_assignment,
        hub_attempts,
        answer_timeout,
        keep_alive,
    } = behaviour;
    let retry_after = if *honours_retry_after { "honoured" } else { "ignored" };
    let attempts = if *attempts == 0 { "any".to_owned() } else { attempts.to_string() };
    let minutes = |time: &fleetstorm::domain::FleetTime| match time.as_secs() {
        100 => "100s".to_owned(),
        seconds if seconds >= 60 => format!("{}min", seconds / 60),
        seconds => format!("{seconds}s"),
    };
    let wait = if backoff.first == backoff.longest {
        format!("{} always", minutes(&backoff.first))
    } else {
        let jitter = match backoff.jitter {
            Jitter::None => "no jitter".to_owned(),
            Jitter::Full => "full jitter".to_owned(),
            Jitter::Share(share) => format!("more or less by {share}"),
            Jitter::Plus(most) => format!("plus up to {}", minutes(&most)),
        };
        format!("{} × {} to {}, {jitter}", minutes(&backoff.first), backoff.factor, minutes(&backoff.longest))
    };
    let anew = if backoff.reset_after.is_zero() { "on-connect".to_owned() } else { minutes(&backoff.reset_after) };
    let caches = if *caches_assignment { "yes" } else { "no" };
    format!(
        "| `{preset}` | {repeats} | {retry_after} | {}s | {}s | {attempts} | {wait} | {anew} | {caches} | \
         {hub_attempts} | {}s | {keep_alive}s |",
        default_wait.as_secs(),
        wait_jitter.as_secs(),
        answer_timeout.as_secs(),
    )
}

#[test]
fn the_table_of_presets_is_what_they_do() {
    for preset in BehaviourPreset::ALL {
        let row = row(&preset.behaviour());
        assert!(BEHAVIOURS.lines().any(|line| line == row), "docs/behaviours.md has no line\n{row}");
        assert!(BEHAVIOURS.contains(&format!("\n## `{preset}`\n")), "{preset}");
        assert!(SCENARIOS.contains(&format!("`\"{preset}\"`")), "{preset}");
    }
}
