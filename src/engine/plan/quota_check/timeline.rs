use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::plan::Plan;
use crate::scenario::{Scenario, Stage, StageKind, Start};

/// When stages begin at the earliest, in fleet time from the start of the run: one that waits for others begins when the last
/// device of theirs is due, as if they were done at that moment; a closed workload is over as soon as it has begun.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    begins: Vec<Duration>,
}

impl Timeline {
    /// `delayed`: a stage begins that much later than it could.
    pub(super) fn new(scenario: &Scenario, plan: &Plan, delayed: Option<(usize, Duration)>) -> Self {
        let mut begins: Vec<Duration> = Vec::with_capacity(scenario.stages.len());
        for (index, stage) in scenario.stages.iter().enumerate() {
            let end = |stage: &usize| begins[*stage] + lasts(plan, *stage).unwrap_or_default();
            let begin = match &stage.start {
                Start::At(delay) => *delay,
                Start::With { stage, delay } => begins[*stage] + *delay,
                Start::After { stages, delay } => stages.iter().map(end).max().unwrap_or_default() + *delay,
            };
            let late = delayed.filter(|(stage, _)| *stage == index).map_or(Duration::ZERO, |(_, by)| by);
            begins.push(begin + late);
        }
        Self { begins }
    }

    pub(super) fn begin(&self, stage: usize) -> Duration {
        self.begins[stage]
    }
}

/// Until the last device is due, or an operating one done; `None` in a closed workload. Fleet time.
pub(super) fn lasts(plan: &Plan, stage: usize) -> Option<Duration> {
    plan.stages[stage].last_due.map(|last| plan.time_scale.to_fleet(last))
}

/// A stage whose begin follows from the answers of the service, and what that leaves open.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) stage: usize,
    /// Stages that begin later when it does, itself among them.
    pub(super) moved: BTreeSet<usize>,
    /// Stages that may go on when it has begun, and do not move with it.
    pub(super) beside: BTreeSet<usize>,
}

/// All stages that may begin later than at the earliest, where others may go on meanwhile.
pub(super) fn loose(scenario: &Scenario) -> Vec<Loose> {
    let all = 0..scenario.stages.len();
    let over: Vec<BTreeSet<usize>> = all.clone().fold(Vec::new(), |mut over: Vec<BTreeSet<usize>>, stage| {
        // What is over when a stage begins.
        let before = match &scenario.stages[stage].start {
            Start::At(_) => BTreeSet::new(),
            Start::With { stage, .. } => over[*stage].clone(),
            Start::After { stages, .. } => stages.iter().flat_map(|s| over[*s].iter().copied().chain([*s])).collect(),
        };
        over.push(before);
        over
    });
    let waits = |stage: &usize| match &scenario.stages[*stage].start {
        // One that operates ends when it is to.
        Start::After { stages, .. } => stages.iter().any(|before| scenario.stages[*before].kind != StageKind::Operate),
        Start::At(_) | Start::With { .. } => false,
    };
    let loose = |stage: usize| {
        let mut moved = BTreeSet::from([stage]);
        // Stages refer to earlier ones only.
        for (later, Stage { start, .. }) in scenario.stages.iter().enumerate() {
            let moves = match start {
                Start::At(_) => false,
                Start::With { stage, .. } => moved.contains(stage),
                Start::After { stages, .. } => stages.iter().any(|stage| moved.contains(stage)),
            };
            if moves {
                moved.insert(later);
            }
        }
        let beside = all.clone().filter(|other| !moved.contains(other) && !over[stage].contains(other)).collect();
        Loose { stage, moved, beside }
    };
    all.clone().filter(waits).map(loose).filter(|loose| !loose.beside.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(stages: &[(&str, &str)]) -> Scenario {
        let mut text = "schema = 1\nname = 'x'\nfleet.devices = 10\n".to_owned();
        for (name, start) in stages {
            text += &format!(
                "[[stage]]\nname = '{name}'\nkind = 'provision'\narrival = {{ process = 'spread', over = '10s' }}\n{start}\n"
            );
        }
        Scenario::parse("x.toml", &text, &[]).unwrap()
    }

    #[test]
    fn stages_begin_as_early_as_they_can() {
        let scenario = scenario(&[
            ("a", "delay = '1s'"),
            ("b", "with = 'a'\ndelay = '2s'"),
            ("c", "after = 'a'"),
            ("d", "after = ['b', 'c']\ndelay = '5s'"),
            ("e", "with = 'd'"),
        ]);
        let plan = Plan::new(&scenario, 1);
        let begins = |delayed| {
            let timeline = Timeline::new(&scenario, &plan, delayed);
            (0..5).map(|stage| timeline.begin(stage).as_secs()).collect::<Vec<_>>()
        };
        // The last of ten devices is due nine tenths into the ten seconds.
        assert_eq!(begins(None), [1, 3, 10, 24, 24]);
        assert_eq!(begins(Some((2, Duration::from_secs(100)))), [1, 3, 110, 124, 124]);
        let loose: Vec<_> = loose(&scenario)
            .into_iter()
            .map(|l| (l.stage, Vec::from_iter(l.moved), Vec::from_iter(l.beside)))
            .collect();
        assert_eq!(loose, [(2, vec![2, 3, 4], vec![1])], "nothing goes on when d begins");
    }
}
