use std::collections::BTreeSet;

use crate::scenario::{Scenario, Stage, StageKind, Start};

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

    #[test]
    fn a_stage_is_loose_when_others_may_go_on_as_it_begins() {
        let mut text = "schema = 1\nname = 'x'\nfleet.devices = 10\n".to_owned();
        for (name, start) in [
            ("a", "delay = '1s'"),
            ("b", "with = 'a'\ndelay = '2s'"),
            ("c", "after = 'a'"),
            ("d", "after = ['b', 'c']\ndelay = '5s'"),
            ("e", "with = 'd'"),
        ] {
            text += &format!("[[stage]]\nname = '{name}'\nkind = 'provision'\narrival = 'at-once'\n{start}\n");
        }
        let loose = loose(&Scenario::parse("x.toml", &text, &[]).unwrap()).into_iter();
        let loose: Vec<_> = loose.map(|l| (l.stage, Vec::from_iter(l.moved), Vec::from_iter(l.beside))).collect();
        assert_eq!(loose, [(2, vec![2, 3, 4], vec![1])], "nothing goes on when d begins");
    }
}
