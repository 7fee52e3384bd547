//! Double entry: what the emulator counted and what the generator recorded are two accounts of the same run, kept by two
//! programs that know nothing of each other. Whatever a fleet does, and whatever is done to it, they agree.
//!
//! Each case is a random scenario. One that fails prints itself, as small as it can be made, as TOML. More of them:
//! `PROPTEST_CASES=10000 cargo test --test it double_entry`.

use std::collections::HashMap;
use std::fmt;

use fleetstorm::domain::{FailureClass, Phase, Shard};
use fleetstorm::emulator::{Counters, Event};
use fleetstorm::measure::{Attempt, Counts, Outcome, RunRecord, RunStatus};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::lab::{both_sides, scenario};
use super::{cases, sound};

/// A random scenario.
#[derive(Clone)]
struct Case {
    text: String,
    /// Nothing gets lost on the way: every request is answered, and every answer arrives.
    lossless: bool,
}

/// As a user would write it.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lossless: {}\nschema = 1\nname = 'storm'\n{}", self.lossless, self.text)
    }
}

const BEHAVIOURS: [&str; 9] = [
    "well-behaved",
    "sdk-python",
    "sdk-node",
    "sdk-c",
    "sdk-csharp",
    "azure-sdk-for-c",
    "ignores-retry-after",
    "microsoft-load-test",
    "one-attempt",
];

/// What costs nothing but time or refusals, and by which nothing gets lost.
fn harmless() -> impl Strategy<Value = String> {
    let number = |key: &'static str, range: std::ops::Range<u32>| {
        option::of(range).prop_map(move |value| value.map_or(String::new(), |value| format!("{key} = {value}\n")))
    };
    let chance = |key: &'static str| {
        option::of(0.05f64..0.6).prop_map(move |value| {
            value.map_or(String::new(), |value| format!("emulator.faults.{key} = {{ probability = {value:.2} }}\n"))
        })
    };
    (
        number("quotas.registrations_per_minute", 2..200),
        number("quotas.certificates_per_minute", 2..200),
        number("quotas.polls_per_10_seconds", 2..50),
        number("quotas.renewals_per_minute", 1..100),
        number("emulator.dps.retry_after_seconds", 0..6),
        chance("server_error"),
        chance("delayed_result"),
    )
        .prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat())
}

/// What loses requests, answers or connections.
fn harmful() -> impl Strategy<Value = Vec<String>> {
    let window = (1u32..90, 1u32..40);
    let effect = select(vec!["refuse", "drop"]);
    let one = prop_oneof![
        (0.02f64..0.4).prop_map(|p| format!("emulator.faults.drop_before_puback = {{ probability = {p:.2} }}\n")),
        (0.02f64..0.4).prop_map(|p| format!("emulator.faults.drop_after_puback = {{ probability = {p:.2} }}\n")),
        (0.01f64..0.3).prop_map(|p| format!("fleet.network = {{ reset = {p:.2} }}\n")),
        (window, effect).prop_map(|((from, long), effect)| format!(
            "emulator.faults.hub_outage = {{ from_seconds = {from}, for_seconds = {long}, effect = '{effect}' }}\n"
        )),
        (1u32..90).prop_map(|at| format!("emulator.faults.hub_disconnect = {{ at_seconds = [{at}] }}\n")),
        (1u32..90).prop_map(|at| format!("emulator.faults.policy_revoked = {{ at_seconds = [{at}] }}\n")),
        (1u32..90, 1u32..40).prop_map(|(from, long)| format!(
            "emulator.faults.ca_outage = {{ from_seconds = {from}, for_seconds = {long}, effect = 'fail' }}\n"
        )),
        (1u32..90, 1u32..40).prop_map(|(from, long)| format!(
            "emulator.faults.pause = {{ from_seconds = {from}, for_seconds = {long} }}\n"
        )),
    ];
    vec(one, 0..3).prop_map(|mut faults| {
        let key = |text: &String| text.split(' ').next().map(str::to_owned);
        faults.sort();
        faults.dedup_by_key(|text| key(text));
        faults
    })
}

fn arrival() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("'at-once'".to_owned()),
        (1u32..20).prop_map(|rate| format!("{{ process = 'constant', rate = '{rate}/s' }}")),
        (1u32..20).prop_map(|rate| format!("{{ process = 'poisson', rate = '{rate}/s' }}")),
        (1u32..60).prop_map(|over| format!("{{ process = 'spread', over = '{over}s' }}")),
    ]
}

fn fleet() -> impl Strategy<Value = String> {
    let class = (select(vec!["mqtt", "mqtt-websocket", "https"]), any::<bool>(), select(BEHAVIOURS.to_vec()));
    (1u32..25, vec(class, 1..3)).prop_map(|(devices, classes)| {
        let mut text = format!("fleet.devices = {devices}\n");
        for (index, (transport, large, behaviour)) in classes.into_iter().enumerate() {
            let keys = if large { "ecdsa-p384" } else { "ecdsa-p256" };
            text += &format!(
                "[[fleet.class]]\nname = 'c{index}'\nshare = {}\ntransport = '{transport}'\nkey_algorithm = '{keys}'\n\
                 behaviour = '{behaviour}'\n",
                index + 1
            );
        }
        text
    })
}

fn stages() -> impl Strategy<Value = String> {
    let first = (arrival(), any::<bool>(), any::<bool>()).prop_map(|(arrival, keep, telemetry)| {
        format!(
            "[[stage]]\nname = 's0'\nkind = 'provision'\narrival = {arrival}\nkeep_connected = {keep}\n\
             telemetry = {telemetry}\n"
        )
    });
    let later = (select(vec!["renew", "reconnect", "reprovision", "operate"]), arrival(), any::<bool>(), 5u32..60)
        .prop_map(|(kind, arrival, keep, long)| {
            let own = match kind {
                "operate" => format!("duration = '{long}s'\ntelemetry_every = '7s'\n"),
                _ => format!("keep_connected = {keep}\n"),
            };
            format!("kind = '{kind}'\narrival = {arrival}\n{own}")
        });
    (first, vec(later, 0..3)).prop_map(|(first, later)| {
        later
            .iter()
            .enumerate()
            .fold(first, |text, (index, stage)| format!("{text}[[stage]]\nname = 's{}'\n{stage}", index + 1))
    })
}

fn case() -> impl Strategy<Value = Case> {
    (harmless(), prop_oneof![Just(Vec::new()), harmful()], fleet(), stages()).prop_map(
        |(harmless, harmful, fleet, stages)| Case {
            lossless: harmful.is_empty(),
            text: [
                "policy = { validity = 'PT1H', renewal_window = 'PT50M' }\nlimits.drain = '1m'\n",
                &harmless,
                &harmful.concat(),
                &fleet,
                &stages,
            ]
            .concat(),
        },
    )
}

/// The generator's rows and its totals are two accounts as well.
fn rows_add_up_to_totals(outcome: &RunRecord, rows: &[Attempt]) -> Result<(), TestCaseError> {
    for (index, stage) in outcome.stages.iter().enumerate() {
        let of_stage: Vec<_> = rows.iter().filter(|row| usize::from(row.stage) == index).collect();
        let sum = |of: fn(&Attempt) -> u64| of_stage.iter().map(|row| of(row)).sum::<u64>();
        let Counts { attempts, throttled, polls, failed_attempts, .. } = stage.totals;
        prop_assert_eq!(of_stage.len() as u64, attempts, "attempts of {}", stage.name);
        prop_assert_eq!(sum(|row| row.facts.throttled.into()), throttled, "throttled of {}", stage.name);
        prop_assert_eq!(sum(|row| row.facts.polls.into()), polls, "polls of {}", stage.name);
        for class in FailureClass::ALL {
            let failed = of_stage.iter().filter(|row| row.outcome == Outcome::Failed(class)).count() as u64;
            prop_assert_eq!(failed, failed_attempts[class], "{:?} of {}", class, stage.name);
        }
        let mut newest = HashMap::new();
        for row in &of_stage {
            let before = newest.insert(row.device, row.number).unwrap_or_default();
            prop_assert_eq!(row.number, before + 1, "attempts of device {} in {} are counted", row.device, stage.name);
        }
    }
    Ok(())
}

fn both_accounts_agree(
    case: &Case,
    outcome: &RunRecord,
    rows: &[Attempt],
    emulator: &Counters,
) -> Result<(), TestCaseError> {
    let totals = |of: fn(&Counts) -> u64| outcome.stages.iter().map(|stage| of(&stage.totals)).sum::<u64>();
    let exact = case.lossless && outcome.status == RunStatus::Complete;
    // An attempt that is cut off may have one answer under way.
    let cut = totals(|t| t.failed_attempts[FailureClass::Cut]);
    // The phase in which an attempt failed may have ended without an answer, where answers get lost.
    let ended = |row: &&Attempt| exact || row.outcome == Outcome::Success;
    let had = |phase| rows.iter().filter(ended).filter(|row| row.facts.phases.get(phase).is_some()).count() as u64;
    let sum = |events: &[Event]| events.iter().map(|event| emulator.get(*event)).sum::<u64>();
    // What is sent may get lost on its way, so that less may be counted than was sent.
    let (sent, counted) = (totals(|t| t.polls), sum(&[Event::Polled]));
    prop_assert!(
        sent >= counted && (sent == counted || !exact),
        "polls: sent {}, counted {}: {}",
        sent,
        counted,
        emulator
    );
    // What the generator says it got, the emulator gave; where nothing gets lost, the other way round as well.
    let accounts = [
        ("refusals by quota", totals(|t| t.throttled), sum(&[Event::Throttled])),
        ("telemetry", totals(|t| t.telemetry) + had(Phase::TelemetryAck), sum(&[Event::Telemetry])),
        (
            "answers to CONNECT of the hub",
            had(Phase::HubConnack) + had(Phase::RenewConnack),
            sum(&[Event::HubConnected, Event::HubRefused]),
        ),
        ("answers to CONNECT of DPS", had(Phase::Connack), sum(&[Event::DpsConnected, Event::DpsRefused])),
        ("renewals accepted", had(Phase::RenewIssue), sum(&[Event::RenewalsAccepted])),
        ("renewals", had(Phase::RenewIssue), sum(&[Event::Renewed])),
        ("certificates", had(Phase::Verify), sum(&[Event::Assigned, Event::Renewed])),
    ];
    for (what, ours, theirs) in accounts {
        let agree = ours <= theirs && (theirs <= ours + cut || !exact);
        prop_assert!(agree, "{}: recorded {}, counted {}: {}\n{:?}", what, ours, theirs, emulator, outcome.errors);
    }
    // Every certificate is another one, and the right one; a device that did not come back for its own never saw it.
    prop_assert!(had(Phase::Verify) <= sum(&[Event::Issued]), "{}", emulator);
    let wrong = totals(|t| t.failed_attempts[FailureClass::Verification]);
    prop_assert_eq!(wrong, 0, "{:?}", outcome.errors);
    Ok(())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_the_emulator_counted_is_what_the_generator_recorded(case in case()) {
        let scenario = scenario(&case.text);
        let (outcome, rows, emulator) = both_sides(&scenario, Shard::WHOLE);
        sound(&outcome);
        rows_add_up_to_totals(&outcome, &rows)?;
        both_accounts_agree(&case, &outcome, &rows, &emulator)?;
    }
}
