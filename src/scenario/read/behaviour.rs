//! The tables `behaviour` and `behaviour.backoff`.

use std::time::Duration;

use serde_json::json;

use super::LONGEST;
use crate::domain::FleetTime;
use crate::scenario::{Backoff, Behaviour, BehaviourPreset, Jitter};
use crate::settings::Section;
use crate::settings::expect::{Expect, boolean, choice, duration, fleet_time, integer, nearest, number};
use crate::settings::{Value, ValueKind};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
/// MQTT has 16 bits for it.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(u16::MAX as u64);

/// A preset and what is different from it. A table without a preset changes the behaviour that it inherits.
pub(super) fn read(mut section: Section<'_>, inherited: Option<&Behaviour>) -> Option<Behaviour> {
    let preset = match inherited {
        Some(_) => section.optional("preset", &choice(&BehaviourPreset::NAMED)),
        None => section.or("preset", BehaviourPreset::OneAttempt.name(), &choice(&BehaviourPreset::NAMED)).map(Some),
    };
    let base = match (preset.flatten(), inherited) {
        (Some(preset), _) => preset.behaviour(),
        (None, Some(inherited)) => inherited.clone(),
        // The problem is noted; everything else is looked at all the same.
        (None, None) => BehaviourPreset::OneAttempt.behaviour(),
    };
    let times = || fleet_time(FleetTime::ZERO..=LONGEST);
    let repeats = section.inherit("repeats", base.repeats, &small());
    let honours_retry_after = section.inherit("honours_retry_after", base.honours_retry_after, &boolean());
    let default_wait = section.inherit("default_wait", base.default_wait, &times());
    let wait_jitter = section.inherit("wait_jitter", base.wait_jitter, &times());
    let attempts = section.inherit("attempts", base.attempts, &small());
    let backoff = read_backoff(section.section("backoff"), base.backoff);
    let caches_assignment = section.inherit("caches_assignment", base.caches_assignment, &boolean());
    let hub_attempts = section.inherit("hub_attempts", base.hub_attempts, &small());
    let answer_timeout = section.inherit("answer_timeout", base.answer_timeout, &duration(SECOND..=HOUR));
    let keep_alive = section.inherit("keep_alive", base.keep_alive, &keep_alive());
    section.finish();
    preset?;
    Some(Behaviour {
        preset: base.preset,
        repeats: repeats?,
        honours_retry_after: honours_retry_after?,
        default_wait: default_wait?,
        wait_jitter: wait_jitter?,
        attempts: attempts?,
        backoff: backoff?,
        caches_assignment: caches_assignment?,
        hub_attempts: hub_attempts?,
        answer_timeout: answer_timeout?,
        keep_alive: keep_alive?,
    })
}

fn small() -> Expect<u16> {
    integer(0..=u64::from(u16::MAX)).then(|n| u16::try_from(n).map_err(|_| "too large".to_owned()))
}

fn keep_alive() -> Expect<u16> {
    duration(Duration::ZERO..=LONGEST_KEEP_ALIVE).then(|time| match time.subsec_nanos() {
        0 => u16::try_from(time.as_secs()).map_err(|_| "too long".to_owned()),
        _ => Err("MQTT counts it in whole seconds".to_owned()),
    })
}

fn read_backoff(mut section: Section<'_>, base: Backoff) -> Option<Backoff> {
    let first = section.inherit("first", base.first, &fleet_time(FleetTime::ZERO..=LONGEST));
    let factor = section.inherit("factor", base.factor, &number(1.0..=100.0));
    let longest = section.inherit("longest", base.longest, &fleet_time(FleetTime::ZERO..=LONGEST));
    let jitter = section.inherit("jitter", base.jitter, &jitter());
    let reset_after = section.inherit("reset_after", base.reset_after, &reset_after());
    if let (Some(first), Some(longest)) = (first, longest)
        && first > longest
    {
        let (message, key) = if section.has("longest") {
            (format!("is shorter than the first wait of {}", first), "longest")
        } else {
            (format!("is longer than `longest`, which the preset sets to {}", longest), "first")
        };
        section.problem(key, &message, "raise `longest`, or lower `first`");
    }
    section.finish();
    Some(Backoff { first: first?, factor: factor?, longest: longest?, jitter: jitter?, reset_after: reset_after? })
}

/// A time, or the word for none at all.
fn reset_after() -> Expect<FleetTime> {
    const ON_CONNECT: &str = "on-connect";
    let time = fleet_time(FleetTime::ZERO..=LONGEST);
    let schema = json!({ "anyOf": [{ "const": ON_CONNECT }, time.schema] });
    let mut expect =
        Expect::new(format!("\"{ON_CONNECT}\" or {}", time.valid), move |value: &Value| match &value.kind {
            ValueKind::Text(text) if text == ON_CONNECT => Ok(FleetTime::ZERO),
            _ => (time.read)(value),
        });
    expect.names = vec![ON_CONNECT.to_owned()];
    expect.schema(schema)
}

/// Keys of a jitter that is a table.
const JITTERS: [&str; 2] = ["share", "plus"];

fn jitter() -> Expect<Jitter> {
    let valid = "\"full\" (uniform from zero to the wait), \"none\", { share = 0.2 } (more or less by up to this part) or \
                 { plus = \"5s\" } (up to this in addition)";
    let mut expect = Expect::new(valid, |value: &Value| match &value.kind {
        ValueKind::Text(text) if text == "full" => Ok(Jitter::Full),
        ValueKind::Text(text) if text == "none" => Ok(Jitter::None),
        ValueKind::Table(table) => match table.0.as_slice() {
            [entry] if entry.key == "share" => inner("share", &number(0.0..=1.0), &entry.value).map(Jitter::Share),
            [entry] if entry.key == "plus" => {
                inner("plus", &fleet_time(FleetTime::ZERO..=LONGEST), &entry.value).map(Jitter::Plus)
            }
            entries => Err(entries.iter().find(|entry| !JITTERS.contains(&entry.key.as_str())).map(|entry| {
                let meant = nearest(&entry.key, JITTERS).map(|name| format!(", did you mean `{name}`?"));
                format!("unknown key `{}`{}", entry.key, meant.unwrap_or_default())
            })),
        },
        _ => Err(None),
    });
    expect.names = vec!["full".to_owned(), "none".to_owned()];
    expect.schema(json!({ "anyOf": [
        { "enum": ["full", "none"] },
        { "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": {
            "share": number(0.0..=1.0).schema,
            "plus": fleet_time(FleetTime::ZERO..=LONGEST).schema,
        } },
    ] }))
}

fn inner<T>(key: &str, expect: &Expect<T>, value: &Value) -> Result<T, Option<String>> {
    (expect.read)(value).map_err(|_| Some(format!("`{key}` must be {}", expect.valid)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const FILE: &str = "schema = 1\nname = 'b'\nfleet.devices = 4\n\
                        [[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";

    fn behaviour(written: &str) -> Result<Behaviour, Vec<String>> {
        let sets = [("fleet.behaviour".to_owned(), written.to_owned())];
        Scenario::parse("b.toml", FILE, &sets)
            .map(|scenario| scenario.fleet.classes[0].behaviour.clone())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_name_alone_is_the_preset() {
        for preset in BehaviourPreset::ALL {
            assert_eq!(behaviour(preset.name()), Ok(preset.behaviour()));
        }
    }

    #[test]
    fn a_table_changes_the_preset_value_by_value() {
        let changed = behaviour(
            "{ preset = 'well-behaved', attempts = 5, keep_alive = '90s', backoff = { jitter = { share = 0.2 } } }",
        );
        let preset = BehaviourPreset::WellBehaved.behaviour();
        let backoff = Backoff { jitter: Jitter::Share(0.2), ..preset.backoff };
        assert_eq!(changed, Ok(Behaviour { attempts: 5, keep_alive: 90, backoff, ..preset }));
        for (written, reset_after) in [("on-connect", FleetTime::ZERO), ("5m", FleetTime::from_secs(300))] {
            let changed = behaviour(&format!("{{ preset = 'well-behaved', backoff.reset_after = '{written}' }}"));
            assert_eq!(changed.unwrap().backoff.reset_after, reset_after);
        }
        let plus = behaviour("{ backoff = { jitter = { plus = '5s' } } }").unwrap();
        assert_eq!(plus.backoff.jitter, Jitter::Plus(FleetTime::from_secs(5)));
        assert_eq!(plus.preset, BehaviourPreset::OneAttempt);
    }

    #[test]
    fn a_jitter_is_a_word_or_one_value() {
        let jitter = |written: &str| {
            let read = behaviour(&format!("{{ preset = 'well-behaved', backoff.jitter = {written} }}"));
            read.map(|behaviour| behaviour.backoff.jitter)
        };
        assert_eq!([jitter("'full'"), jitter("'none'")], [Ok(Jitter::Full), Ok(Jitter::None)]);
        let refused = |what: &str| Err(vec![format!("`fleet.behaviour.backoff.jitter` cannot be {what}")]);
        assert_eq!(jitter("'some'"), refused("\"some\""));
        assert_eq!(jitter("{ pluss = '5s' }"), refused("a table: unknown key `pluss`, did you mean `plus`?"));
        assert_eq!(jitter("{ part = 0.2 }"), refused("a table: unknown key `part`"));
        assert_eq!(jitter("{ share = 0.1, wait = '1s' }"), refused("a table: unknown key `wait`"));
        assert_eq!(jitter("{ share = 0.1, plus = '1s' }"), refused("a table"));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for wrong in [
            "sdk-phyton",
            "{ attempts = 70000 }",
            "{ keep_alive = '1500ms' }",
            "{ backoff = { first = '2m' } }",
            "{ backoff = { first = '2m', longest = '1m' } }",
            "{ backoff = { jitter = { share = 2 } } }",
            "{ backoff = { jitter = { share = 0.1, plus = '1s' } } }",
            "{ backoff = { factor = 0.5 } }",
            "{ backoff = { reset_after = 'on-conect' } }",
            "{ backoff = { reset_after = 60 } }",
            "{ retries = 3 }",
        ] {
            assert_eq!(behaviour(wrong).map_err(|problems| problems.len()), Err(1), "{wrong}");
        }
    }
}
