//! What somebody sees who watches a run.

use std::time::Duration;

use fleetstorm::domain::Phase;
use fleetstorm::engine::{Progress, StageProgress};

use super::lab::{scenario, watched};

const SECOND: Duration = Duration::from_secs(1);

fn indices(stages: &[StageProgress]) -> Vec<usize> {
    stages.iter().map(|stage| stage.stage).collect()
}

/// The first thing seen at or after that time.
fn at(seen: &[Progress], time: Duration) -> &Progress {
    seen.iter().find(|progress| !progress.stages.is_empty() && progress.elapsed >= time).expect("it was seen")
}

#[test]
fn stages_beside_each_other_go_on_until_they_end_in_whatever_order() {
    // The second ends first, then the third, which began last, then the first; then comes the fourth.
    let stage = |name: &str, over: u64, rest: &str| {
        format!(
            "[[stage]]\nname = '{name}'\nkind = 'provision'\nhub_connect = false\n\
             arrival = {{ process = 'spread', over = '{over}s' }}\n{rest}\n"
        )
    };
    let stages = [
        stage("long", 40, "classes = ['a']"),
        stage("short", 10, "with = 'long'\nclasses = ['b']"),
        stage("last", 20, "with = 'long'\ndelay = '5s'\nclasses = ['c']"),
        stage("then", 10, "after = 'long'\ndelay = '5s'\nclasses = ['d']"),
    ];
    let classes = ["a", "b", "c", "d"].map(|name| format!("[[fleet.class]]\nname = '{name}'\nshare = 1\n"));
    let (outcome, seen) = watched(&scenario(&format!("fleet.devices = 80\n{}{}", classes.concat(), stages.concat())));
    assert!(outcome.stages.iter().all(|stage| stage.totals.succeeded == 20), "{:?}", outcome.errors);
    for progress in seen.iter().filter(|progress| !progress.stages.is_empty()) {
        let on = progress.stages.iter().filter(|stage| stage.ended.is_none()).count();
        assert!(on == progress.stages.len() || on == 0 && progress.stages.len() == 1, "{progress:?}");
        assert!(progress.over.iter().all(|stage| stage.ended.is_some_and(|ended| ended <= progress.elapsed)));
    }
    let states = [(6, vec![0, 1, 2], vec![]), (20, vec![0, 2], vec![1]), (35, vec![0], vec![1, 2])];
    for (seconds, on, over) in states {
        let progress = at(&seen, SECOND * seconds);
        assert_eq!((indices(&progress.stages), indices(&progress.over)), (on, over), "{seconds} s");
    }
    // Nothing goes on between the first and the fourth: the first, which ended last, stands for it.
    let between =
        seen.iter().find(|progress| progress.elapsed >= SECOND * 30 && progress.over.len() == 2).expect("seen");
    assert_eq!(indices(&between.stages), [0]);
    let end = seen.last().expect("something was seen");
    assert_eq!((indices(&end.stages), indices(&end.over)), (vec![3], vec![0, 1, 2]));
    for stage in end.over.iter().chain(&end.stages) {
        assert_eq!(stage.totals.succeeded, 20);
    }
}

#[test]
fn a_stage_of_operate_goes_on_with_time_and_tells_who_is_connected() {
    let (outcome, seen) = watched(&scenario(
        "time_scale = '1m = 1s'
         fleet.devices = 30
         fleet.behaviour = { preset = 'well-behaved', attempts = 0, backoff = { first = '30s', longest = '1m' } }
         [emulator.faults.hub_outage]
         from_seconds = 1200
         for_seconds = 300
         effect = 'refuse'
         [[stage]]
         name = 'rollout'
         kind = 'provision'
         arrival = 'at-once'
         keep_connected = true
         [[stage]]
         name = 'life'
         kind = 'operate'
         arrival = 'at-once'
         duration = '1h'",
    ));
    assert_eq!(outcome.stages[1].totals.succeeded, 30, "{:?}", outcome.errors);
    let life = |after: u64| {
        let began = seen.iter().flat_map(|p| &p.stages).find(|stage| stage.stage == 1).expect("it began").began;
        let progress = at(&seen, began + SECOND * u32::try_from(after).expect("few"));
        let stage = progress.stages.iter().find(|stage| stage.stage == 1).expect("it goes on");
        (stage.lasts, stage.totals.through(), stage.connected, progress.connected)
    };
    assert_eq!(life(10), (Some(SECOND * 60), 0, 30, 30), "before the outage");
    assert_eq!(life(22).2, 0, "within it");
    assert_eq!(life(58), (Some(SECOND * 60), 0, 30, 30), "long after it");
    let last = seen.last().expect("something was seen");
    let rollout = last.over.iter().find(|stage| stage.stage == 0).expect("it is over");
    assert_eq!((rollout.lasts, last.stages[0].connected, last.stages[0].totals.through()), (None, 0, 30));
}

#[test]
fn where_attempts_are_is_told_before_any_has_ended() {
    // DPS lets each wait for 3 s.
    let text = |transport: &str| {
        format!(
            "fleet.devices = 30
             fleet.transport = '{transport}'
             [[stage]]
             name = 'storm'
             kind = 'provision'
             arrival = 'at-once'"
        )
    };
    for transport in ["mqtt", "mqtt-websocket", "https"] {
        let (outcome, seen) = watched(&scenario(&text(transport)));
        assert_eq!(outcome.stages[0].totals.succeeded, 30, "{:?}", outcome.errors);
        let stage = &at(&seen, SECOND * 2).stages[0];
        assert_eq!((stage.totals.through(), stage.in_flight), (0, 30), "{transport}");
        assert_eq!(stage.in_phases, [(Phase::PollWait, 30)], "{transport}");
        for stage in seen.iter().flat_map(|progress| &progress.stages) {
            let counted: u64 = stage.in_phases.iter().map(|(_, count)| count).sum();
            assert!(counted <= stage.in_flight, "{transport}: {stage:?}");
        }
        assert!(seen.last().expect("something was seen").stages[0].in_phases.is_empty());
    }
}
