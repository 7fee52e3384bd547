use tokio::sync::watch;

use crate::domain::{Setting, Shard};
use crate::engine::EngineOutcome;
use crate::measure::{CpuUse, ResourceLog, RunRecord, RunStatus};
use crate::rig::fullness;
use crate::rig::machine::{OpenFiles, Scarcity, machine};
use crate::rig::rows::RowsLost;
use crate::scenario::Scenario;

/// What a record says of a run beside what the engine measured.
#[derive(Debug, Clone)]
pub(super) struct RecordFrame {
    pub(super) command: Vec<String>,
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
    pub(super) shard: Shard,
    pub(super) target: String,
    pub(super) emulator: Option<CpuUse>,
    pub(super) open_files: OpenFiles,
    /// Beside those of the scenario.
    pub(super) settings: Vec<Setting>,
    pub(super) notes: Vec<String>,
    pub(super) resources: watch::Receiver<ResourceLog>,
    pub(super) scarcity: Scarcity,
    /// When attempts were written to a file.
    pub(super) rows: Option<RowsLost>,
}

impl RecordFrame {
    /// Everything about a run.
    pub(super) fn record(self, outcome: EngineOutcome) -> RunRecord {
        let Self { command, scenario, seed, shard, target, emulator, open_files, settings, mut notes, .. } = self;
        let EngineOutcome { started_at, prepare, elapsed, status, generator, health, .. } = outcome;
        let EngineOutcome { thresholds, stages, certificates, fleet, errors, notes: more, .. } = outcome;
        notes.extend(more);
        let attempts = stages.iter().map(|stage| stage.totals.attempts).sum();
        let mut record = RunRecord {
            scenario: scenario.name,
            question: scenario.question,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            target,
            seed,
            started_at,
            prepare,
            elapsed,
            status,
            time_scale: scenario.time_scale,
            conditions: scenario.thresholds,
            thresholds,
            settings: scenario.settings.into_iter().chain(settings).collect(),
            machine: machine(open_files, &self.scarcity),
            generator,
            emulator,
            health,
            stages,
            certificates,
            fleet,
            errors,
            notes,
            resources: self.resources.borrow().samples().to_vec(),
            shard: (!shard.is_whole()).then_some(shard),
            rows_lost: self.rows.map(|rows| rows.of(attempts)),
        };
        fullness::look(&mut record);
        record.at_rest()
    }

    /// A run of which nothing but that record is left.
    pub(super) fn broken(self, newest: RunRecord) -> RunRecord {
        let Self { emulator, notes: all, resources, rows, .. } = self;
        let mut notes = newest.notes;
        let new: Vec<_> = all.into_iter().filter(|note| !notes.contains(note)).collect();
        notes.extend(new);
        let attempts = newest.stages.iter().map(|stage| stage.totals.attempts).sum();
        RunRecord {
            status: RunStatus::Broken,
            emulator,
            notes,
            resources: resources.borrow().samples().to_vec(),
            rows_lost: rows.map(|rows| rows.of(attempts)),
            ..newest
        }
        .at_rest()
    }
}
