//! Connections of single devices: where each turns when it is refused, with which key, who holds a connection, and who takes
//! leave of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetstorm::domain::{FailureClass, KeySource, Phase};
use fleetstorm::engine::EngineOutcome;
use fleetstorm::protocol::mqtt::ConnectReturnCode;

use super::service::{self, Answer, Came, Habits};
use super::{MS, Run, scenario, script, watched};

/// A device that tries again after a second, as often as it must.
const PATIENT: &str =
    "[fleet.behaviour]\npreset = 'well-behaved'\n[fleet.behaviour.backoff]\nfirst = '1s'\njitter = 'none'";

/// One more stage, a few seconds later.
fn then(kind: &str, lines: &str) -> String {
    format!("[[stage]]\nname = '{kind}'\nkind = '{kind}'\narrival = 'at-once'\ndelay = '5s'\n{lines}\n")
}

/// The run of one device, whose registrations are answered like that in turn, and what came of it to the service in words.
async fn one(lines: &str, answers: &'static [Answer], habits: Habits) -> (EngineOutcome, Vec<&'static str>) {
    let (outcome, came) = keys_of_one(lines, answers, habits, KeySource::Fresh).await;
    let word = |came: &Came| match came {
        Came::Connect(host) if host == "dps" => None,
        Came::Disconnect(host) | Came::Gone(host) if host == "dps" => None,
        Came::Connect(_) => Some("connect"),
        Came::Disconnect(_) => Some("leave"),
        Came::Gone(_) => Some("gone"),
        Came::Registration(_) => Some("register"),
        Came::Renewal => Some("renew"),
    };
    (outcome, came.iter().filter_map(word).collect())
}

async fn keys_of_one(
    lines: &str,
    answers: &'static [Answer],
    habits: Habits,
    keys: KeySource,
) -> (EngineOutcome, Vec<Came>) {
    let asked = AtomicUsize::new(0);
    let answer = move |_| answers[asked.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
    let (connector, came) = service::with_habits(script(answer), habits);
    let mut scenario = scenario(1, &format!("arrival = 'at-once'\n{lines}"));
    scenario.fleet.classes[0].keys = keys;
    let mut run = Run::new(scenario, connector);
    run.device.keys = keys;
    let outcome = run.outcome().await;
    let came = came.lock().unwrap().clone();
    (outcome, came)
}

const ISSUES: &[Answer] = &[Answer::Issue(MS_10)];
const MS_10: std::time::Duration = std::time::Duration::from_millis(10);

fn refuses<const N: usize>(answers: [(&'static str, usize, ConnectReturnCode); N]) -> Habits {
    Habits { answers: HashMap::from(answers.map(|(host, number, code)| ((host, number), code))), ..Habits::default() }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_its_hub_does_not_know_turns_to_dps_and_one_that_dps_does_not_know_to_nobody() {
    let refused = |host| refuses([(host, 0, ConnectReturnCode::NotAuthorized)]);
    let (outcome, came) = one(PATIENT, ISSUES, refused("hub")).await;
    let totals = outcome.stages[0].totals;
    assert_eq!((totals.succeeded, totals.attempts, totals.failed_attempts[FailureClass::Rejected]), (1, 2, 1));
    assert_eq!(came, ["register", "connect", "register", "connect", "leave"]);
    let (outcome, came) = one(PATIENT, ISSUES, refused("dps")).await;
    let totals = outcome.stages[0].totals;
    assert_eq!((totals.succeeded, totals.attempts, totals.failed[FailureClass::Rejected]), (0, 1, 1));
    assert!(came.is_empty(), "{came:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_comes_back_to_its_hub_and_by_way_of_dps_only_when_it_is_not_known_there() {
    let back = |more: &str| format!("{}{PATIENT}{more}", then("reconnect", ""));
    let first = ["register", "connect", "leave"];
    let after = |came: Vec<&'static str>| {
        assert_eq!(came[..3], first);
        came[3..].to_vec()
    };
    let (outcome, came) = one(&back(""), ISSUES, Habits::default()).await;
    assert_eq!((after(came), outcome.stages[1].totals.attempts), (vec!["connect", "leave"], 1));
    let unknown = refuses([("hub", 1, ConnectReturnCode::NotAuthorized)]);
    let (outcome, came) = one(&back(""), ISSUES, unknown).await;
    // No key was made for it beforehand: it is made when it is needed.
    assert_eq!(after(came), ["connect", "register", "connect", "leave"]);
    assert_eq!((outcome.stages[1].totals.succeeded, outcome.stages[1].totals.attempts), (1, 2));
    // One that forgets its hub asks DPS, but not a second time when its hub is only busy.
    let forgets = "\n[fleet.behaviour]\ncaches_assignment = false";
    let forgets = back("").replace("preset = 'well-behaved'", &format!("preset = 'well-behaved'{}", &forgets[18..]));
    let busy = refuses([("hub", 1, ConnectReturnCode::ServiceUnavailable)]);
    let (_, came) = one(&forgets, ISSUES, busy).await;
    assert_eq!(after(came), ["register", "connect", "connect", "leave"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_to_be_provisioned_again_asks_dps_until_it_is_and_with_one_key() {
    let lines = format!("{}{PATIENT}", then("reprovision", ""));
    const ANSWERS: &[Answer] = &[Answer::Issue(MS_10), Answer::Close(MS_10), Answer::Issue(MS_10)];
    let (outcome, came) = one(&lines, ANSWERS, Habits::default()).await;
    assert_eq!(came, ["register", "connect", "leave", "register", "register", "connect", "leave"]);
    let again = &outcome.stages[1];
    assert_eq!((again.totals.succeeded, again.totals.attempts), (1, 2));
    for keys in [KeySource::Fresh, KeySource::Seeded] {
        let (_, came) = keys_of_one(&lines, ANSWERS, Habits::default(), keys).await;
        let keys: Vec<_> = came.iter().filter(|came| matches!(came, Came::Registration(_))).collect();
        assert!(keys[0] != keys[1], "each stage has a key of its own");
        assert_eq!(keys[1], keys[2], "further attempts use the same");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_refused_is_tried_again_and_a_registration_is_not() {
    let limited = PATIENT.replace("preset = 'well-behaved'", "preset = 'well-behaved'\nattempts = 3\nrepeats = 0");
    let lines = format!("keep_connected = true\n{}{limited}", then("renew", "keep_connected = true"));
    let (outcome, came) = one(&lines, ISSUES, Habits::default()).await;
    let totals = outcome.stages[1].totals;
    assert_eq!((totals.attempts, totals.gave_up, totals.failed[FailureClass::Rejected]), (3, 1, 1));
    assert_eq!(came.iter().filter(|came| **came == "renew").count(), 3, "{came:?}");
    assert_eq!(came.iter().filter(|came| **came == "connect").count(), 1, "over the connection that it has: {came:?}");
    let (outcome, _) = one(&limited, &[Answer::Refuse(MS_10)], Habits::default()).await;
    assert_eq!((outcome.stages[0].totals.attempts, outcome.stages[0].totals.gave_up), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_device_takes_leave_of_its_hub_before_it_comes_again_and_when_nobody_wants_its_connection() {
    let last = then("reconnect", "");
    let kept = format!("keep_connected = true\n{last}");
    let (_, came) = one(&kept, ISSUES, Habits::default()).await;
    assert_eq!(came, ["register", "connect", "leave", "connect", "leave"]);
    // An operating one holds it for as long as the stage lasts.
    let life = format!("{}{last}", then("operate", "duration = '10s'"));
    let (outcome, came) = one(&life, ISSUES, Habits::default()).await;
    assert_eq!(came, ["register", "connect", "leave", "connect", "leave", "connect", "leave"]);
    assert_eq!(outcome.stages[1].totals.succeeded, 1);
}

#[tokio::test(start_paused = true)]
async fn connections_are_held_between_stages_when_a_stage_keeps_them_and_not_otherwise() {
    let lines = format!(
        "arrival = 'at-once'\nkeep_connected = true\n{}{}{}",
        then("operate", "duration = '10s'"),
        then("reconnect", "keep_connected = true"),
        then("reprovision", "")
    );
    let run = Run::new(scenario(4, &lines), service::start(script(|_| Answer::Issue(MS(10)))));
    let (outcome, seen) = watched(run).await;
    assert_eq!(outcome.health.peak_connected, 4);
    // Kept by the first; held by those that operate from 5 to 15 s, not kept by them; kept by the third, from 20 s on.
    for (at, connected) in [(3, 4), (10, 4), (18, 0), (23, 4)] {
        let progress = seen.iter().find(|progress| progress.elapsed >= MS(at * 1_000)).expect("it was seen");
        assert_eq!(progress.connected, connected, "at {at} s");
    }
    // How long it took until they were connected, not how long they were.
    let total = outcome.stages[1].phases.succeeded(Phase::Total).expect("all were");
    assert_eq!((total.count(), total.quantile(1.0).unwrap().as_secs()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn an_operating_device_is_ready_once_however_often_it_comes_back() {
    let lines = format!("arrival = 'at-once'\nhub_connect = false\n{}{PATIENT}", then("operate", "duration = '10s'"));
    let habits = Habits { hub_patience: Some(MS(3_000)), ..Habits::default() };
    let (connector, _) = service::with_habits(script(|_| Answer::Issue(MS(10))), habits);
    let outcome = Run::new(scenario(2, &lines), connector).outcome().await;
    let life = &outcome.stages[1];
    assert!(life.totals.attempts > 2 && life.totals.disconnects >= 4, "{:?}", life.totals);
    let total = life.phases.succeeded(Phase::Total).expect("both were ready");
    assert_eq!((total.count(), total.quantile(1.0).unwrap().as_secs()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_lost_while_nobody_uses_them_are_noted() {
    let lines = format!("arrival = 'at-once'\nkeep_connected = true\n{}", then("reconnect", ""));
    for (patience, note) in [(Some(MS(2_000)), true), (None, false)] {
        let habits = Habits { hub_patience: patience, ..Habits::default() };
        let (connector, _) = service::with_habits(script(|_| Answer::Issue(MS(10))), habits);
        let outcome = Run::new(scenario(3, &lines), connector).outcome().await;
        assert_eq!(outcome.stages[1].totals.succeeded, 3);
        let lost = "3 held connections with the hub were lost while no stage used them".to_owned();
        assert_eq!(outcome.notes.contains(&lost), note, "{:?}", outcome.notes);
        assert_eq!(outcome.notes.iter().any(|note| note.contains("were lost")), note, "{:?}", outcome.notes);
    }
}
