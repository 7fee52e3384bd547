//! What holds of a run of which this is one shard.

use crate::domain::Shard;
use crate::scenario::{Scenario, Start, Workload};

/// What the reader of a shard's results must know.
pub(super) fn of(scenario: &Scenario, shard: Shard, is_embedded: bool) -> Vec<String> {
    if shard.is_whole() {
        return Vec::new();
    }
    let mut notes = Vec::new();
    if is_embedded {
        notes.push(format!(
            "{shard}: its embedded emulator serves this shard alone, with the whole of every quota and capacity"
        ));
    }
    for stage in &scenario.stages {
        if let Workload::Closed { concurrency } = stage.workload {
            let own = shard.of(concurrency);
            notes.push(format!("{shard}: stage {} has {own} of the {concurrency} at a time", stage.name));
        }
    }
    let after = scenario.stages.iter().filter(|stage| matches!(stage.start, Start::After { .. }));
    let names: Vec<&str> = after.map(|stage| stage.name.as_str()).collect();
    if !names.is_empty() {
        notes.push(format!(
            "{shard}: a stage that follows another ({}) begins when this shard is through with that, whatever the others do",
            names.join(", ")
        ));
    }
    notes
}
