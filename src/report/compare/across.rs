use crate::measure::RunRecord;
use crate::report::compare::NotComparable;

/// Leaves the stages of two sides that are held against each other, in the order of the first: those of the same name; where
/// there are none, and either side has as many, those at the same place. Says which.
///
/// # Errors
/// No stage has a counterpart.
pub fn match_stages(sides: [&mut [RunRecord]; 2]) -> Result<Vec<String>, NotComparable> {
    let [a, b] = sides;
    let names = |runs: &[RunRecord]| -> Vec<String> {
        runs.iter().take(1).flat_map(|run| &run.stages).map(|stage| stage.name.clone()).collect()
    };
    let [first, second] = [names(a), names(b)];
    let common: Vec<&String> = first.iter().filter(|name| second.contains(name)).collect();
    if common.is_empty() && first.len() == second.len() {
        let pairs = first.iter().zip(&second).map(|(a, b)| format!("{a} and {b}"));
        return Ok(vec![format!("stages are matched by position: {}", pairs.collect::<Vec<_>>().join("; "))]);
    }
    if common.is_empty() {
        let [a, b] = [first, second].map(|names| names.join(", "));
        return Err(NotComparable(vec![format!(
            "no stage of A ({a}) has the name of one of B ({b}), and there are not as many"
        )]));
    }
    for run in a.iter_mut().chain(b) {
        run.stages.retain(|stage| common.contains(&&stage.name));
        run.stages.sort_by_key(|stage| common.iter().position(|name| **name == stage.name));
    }
    let mut notes = vec!["stages are matched by name".to_owned()];
    for (side, names, other) in [("A", &first, &second), ("B", &second, &first)] {
        let alone: Vec<&str> = names.iter().filter(|name| !other.contains(name)).map(String::as_str).collect();
        if !alone.is_empty() {
            notes.push(format!("only {side} has the stages {}, which are not compared", alone.join(", ")));
        }
    }
    Ok(notes)
}
