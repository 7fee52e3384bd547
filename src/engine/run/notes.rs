//! What the reader of a run must know beside its numbers.

use crate::engine::error::EngineError;
use crate::engine::record::breaches::Breaches;
use crate::engine::record::early::Early;
use crate::engine::record::merge::Merged;
use crate::engine::worker::WorkerEnd;
use crate::measure::StageRecord;
use crate::scenario::{KeySource, Scenario, Stage};

/// What must be known of a scenario before it begins.
pub(crate) fn beforehand(scenario: &Scenario) -> Option<String> {
    let seeded = scenario.fleet.any(|class| class.keys == KeySource::Seeded);
    let note = "keys = \"seeded\": whoever knows the seed knows the private keys; never on real devices";
    seeded.then(|| note.to_owned())
}

/// What must be known at the end. `keeper_broke`: the thread that kept what was measured so far.
pub(crate) fn at_the_end(
    scenario: &Scenario,
    stages: &[Merged],
    ends: &[WorkerEnd],
    defect: Option<&EngineError>,
    keeper_broke: bool,
) -> Vec<String> {
    let keeper = "what was measured was not kept while the run went on, had it been killed: its thread broke, which is a \
                  defect in fleetstorm";
    let mut notes: Vec<String> = keeper_broke.then(|| keeper.to_owned()).into_iter().collect();
    notes.extend(defect.map(|defect| format!("{defect}: the results go up to there, please report it")));
    let lost: u64 = ends.iter().map(|end| end.lost_between_stages).sum();
    if lost > 0 {
        notes.push(format!("{lost} held connections with the hub were lost while no stage used them"));
    }
    let stages = scenario.stages.iter().zip(stages);
    notes.extend(stages.filter_map(|(stage, merged)| gave_up(scenario, stage, &merged.stage)));
    let (mut early, mut breaches) = (Early::default(), Breaches::default());
    for end in ends {
        early.add(&end.early);
        breaches.add(&end.breaches);
    }
    notes.extend(early.note().into_iter().chain(breaches.note()));
    notes
}

/// Devices that give up look like failures of the service; that they could have gone on must be said. One attempt is no
/// giving up that anybody is surprised by.
fn gave_up(scenario: &Scenario, stage: &Stage, record: &StageRecord) -> Option<String> {
    let limits = stage.classes.iter().filter_map(|class| Some(scenario.fleet.classes.get(*class)?.behaviour.attempts));
    let (least, most) = (limits.clone().filter(|attempts| *attempts > 1).min()?, limits.max()?);
    let attempts = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let devices = match record.totals.gave_up {
        0 => return None,
        1 => "1 device".to_owned(),
        gave_up => format!("{gave_up} devices"),
    };
    Some(format!(
        "{}: {devices} gave up, after {attempts} attempts at most, although what failed might have passed; \
             behaviour.attempts = 0 lets them go on",
        stage.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::Plan;
    use std::time::Duration;

    /// What is told when so many gave up of a fleet whose classes are allowed so many attempts.
    fn told(attempts: &[u16], gave_up: u64) -> Option<String> {
        let class = |(place, attempts): (usize, &u16)| {
            format!("[[fleet.class]]\nname = 'c{place}'\nshare = 1\nbehaviour = {{ attempts = {attempts} }}\n")
        };
        let text = format!(
            "schema = 1\nname = 'x'\nfleet.devices = 12\n{}[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n",
            attempts.iter().enumerate().map(class).collect::<String>()
        );
        let scenario = Scenario::parse("x.toml", &text, &[]).unwrap();
        let mut record = Merged::not_started(&Plan::new(&scenario, 1), 0, Duration::ZERO).stage;
        record.totals.gave_up = gave_up;
        super::gave_up(&scenario, &scenario.stages[0], &record)
    }

    #[test]
    fn that_devices_gave_up_is_told_with_how_often_they_may_try() {
        for (attempts, gave_up, starts) in [
            (&[5][..], 1, Some("s: 1 device gave up, after 5 attempts at most")),
            (&[5, 9], 7, Some("s: 7 devices gave up, after 5 to 9 attempts at most")),
            (&[0, 5], 2, Some("s: 2 devices gave up, after 5 attempts at most")),
            (&[2], 2, Some("s: 2 devices gave up, after 2 attempts at most")),
            // One attempt, or as many as they like, is what was asked for.
            (&[1, 5], 2, Some("s: 2 devices gave up, after 5 attempts at most")),
            (&[1], 2, None),
            (&[0], 2, None),
            (&[5], 0, None),
        ] {
            let told = told(attempts, gave_up);
            let is_told = told.as_deref().zip(starts).is_some_and(|(told, starts)| told.starts_with(starts));
            assert!(is_told || told.is_none() && starts.is_none(), "{attempts:?}, {gave_up}: {told:?}");
        }
    }
}
