use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::device::{Connector, Settings};
use crate::engine::clock::RunClock;
use crate::engine::execution::{Execution, cores};
use crate::engine::health::Watch;
use crate::engine::keys::KeyWorks;
use crate::engine::merge::Merged;
use crate::engine::recorder::Errors;
use crate::engine::serials::Serials;
use crate::engine::share::InFlightLimit;
use crate::engine::stage::StageRunner;
use crate::engine::{EngineError, Plan, Progress, merge, usage};
use crate::measure::{CpuUse, ErrorRow, GeneratorHealth, RunStatus, StageRecord};
use crate::scenario::{KeySource, Scenario};

/// What a run needs.
#[derive(Debug)]
pub struct RunInput<C> {
    /// What to do.
    pub scenario: Scenario,
    /// The plan made of it.
    pub plan: Plan,
    /// What all devices share. The stages' own settings (time limit, hub, telemetry) are laid over it.
    pub device: Settings,
    /// How devices connect.
    pub connector: Arc<C>,
    /// The limit on open files in force; the soft limit should have been raised before.
    pub open_files: u64,
    /// Where the devices live.
    pub execution: Execution,
    /// Snapshots about five times a second, when somebody watches.
    pub progress: Option<watch::Sender<Progress>>,
    /// The user wants to stop: nothing more is started, attempts in flight get a short grace, what was measured stays.
    pub stop: CancellationToken,
    /// After `stop`: attempts in flight do not even get the grace.
    pub cut: CancellationToken,
    /// The target is gone for good: the same, but the run counts as aborted.
    pub target_gone: CancellationToken,
}

/// What the engine found out: the part of a [`crate::measure::RunRecord`] that it knows.
#[derive(Debug, Clone)]
pub struct EngineOutcome {
    /// Start of the measured part.
    pub started_at: SystemTime,
    /// Length of the prepare part: making the first keys.
    pub prepare: Duration,
    /// Length of the measured part and the drain after it.
    pub elapsed: Duration,
    /// How it ended.
    pub status: RunStatus,
    /// CPU of this process from the start of prepare to the end, and its peak memory.
    pub generator: CpuUse,
    /// Whether the generator was the bottleneck.
    pub health: GeneratorHealth,
    /// One entry per stage, in order.
    pub stages: Vec<StageRecord>,
    /// Distinct failures of all stages, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// Things that the reader must know.
    pub notes: Vec<String>,
}

/// Carries out a scenario: every stage is prepared, measured and drained. Whatever happens to single devices is in the
/// outcome.
///
/// With [`Execution::Inline`] the caller must be on a current-thread runtime.
///
/// # Errors
/// When the generator itself cannot start or breaks.
pub async fn run<C>(input: RunInput<C>) -> Result<EngineOutcome, EngineError>
where
    C: Connector + Send + Sync + 'static,
{
    let RunInput { scenario, plan, device, connector, open_files, execution, progress, stop, cut, target_gone } = input;
    let limit = InFlightLimit::new(open_files, scenario.limits.max_in_flight)?;
    let cpu_at_start = usage::own();
    let began = Instant::now();
    let pool = match execution {
        Execution::Inline => None,
        Execution::Threads => Some(key_pool()?),
    };
    let halt = CancellationToken::new();
    // Also ends the workers when the caller drops this future.
    let _halt_at_end = halt.clone().drop_guard();
    let plan = Arc::new(plan);
    let runner = StageRunner {
        plan: Arc::clone(&plan),
        limits: scenario.limits.clone(),
        connector,
        keys: Arc::new(KeyWorks::new(pool, Arc::clone(&plan))),
        serials: Arc::new(Serials::new()),
        execution,
        progress,
        halt: halt.clone(),
        cut,
    };
    let mut running = Running { scenario: &scenario, limit, execution, began, measured: None, stages: Vec::new() };
    let mut found = Found::default();
    if scenario.fleet.any(|class| class.keys == KeySource::Seeded) {
        let note = "fleet.keys = \"seeded\": whoever knows the seed knows the private keys; never on real devices";
        found.notes.push(note.to_owned());
    }
    let status = {
        let stages = running.all_stages(&runner, &device, &mut found);
        tokio::pin!(stages);
        tokio::select! {
            biased;
            () = stop.cancelled() => { halt.cancel(); stages.await.map(|()| RunStatus::Interrupted) }
            () = target_gone.cancelled() => { halt.cancel(); stages.await.map(|()| RunStatus::Aborted) }
            done = &mut stages => done.map(|()| RunStatus::Complete),
        }?
    };
    Ok(running.outcome(found, status, &cpu_at_start))
}

fn key_pool() -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .thread_name(|index| format!("keys-{index}"))
        // The panic was already printed; the device that waits for the key learns that there will be none.
        .panic_handler(|_| {})
        .build()
}

/// A run on its way.
struct Running<'a> {
    scenario: &'a Scenario,
    limit: InFlightLimit,
    execution: Execution,
    began: Instant,
    measured: Option<Measured>,
    stages: Vec<Merged>,
}

/// Where the measured part began.
struct Measured {
    started_at: SystemTime,
    prepare: Duration,
    clock: RunClock,
    cpu: CpuUse,
}

#[derive(Default)]
struct Found {
    errors: Errors,
    notes: Vec<String>,
}

impl Running<'_> {
    async fn all_stages<C>(
        &mut self,
        runner: &StageRunner<C>,
        device: &Settings,
        found: &mut Found,
    ) -> Result<(), EngineError>
    where
        C: Connector + Send + Sync + 'static,
    {
        for (index, (stage, planned)) in self.scenario.stages.iter().zip(&runner.plan.stages).enumerate() {
            let prepared = runner.prepare(index, stage, device, self.limit.slots(stage)).await;
            found.notes.extend(prepared.note.clone());
            let ready = runner.ready(stage, prepared).await?;
            let measured = self.measured.get_or_insert_with(|| Measured {
                started_at: device.clock.now(),
                prepare: self.began.elapsed(),
                cpu: usage::own(),
                clock: RunClock::start(),
            });
            let start = measured.clock.now();
            let records = ready.run(measured.clock, start).await?;
            let first_due = runner.plan.due_offsets(index).and_then(|mut due| due.next()).unwrap_or_default();
            self.stages.push(merge::stage(planned, records, start + first_due, &mut found.errors));
        }
        Ok(())
    }

    fn outcome(self, found: Found, status: RunStatus, cpu_at_start: &CpuUse) -> EngineOutcome {
        let generator = usage::since(cpu_at_start);
        let elapsed = self.measured.as_ref().map_or(Duration::ZERO, |m| m.clock.now());
        let health = Watch {
            scenario: self.scenario,
            stages: &self.stages,
            limit: self.limit,
            elapsed,
            cores: cores(),
            // Real CPU time says nothing about virtual time.
            cpu: match (&self.measured, self.execution) {
                (Some(measured), Execution::Threads) => Some(usage::since(&measured.cpu).total()),
                _ => None,
            },
        }
        .verdict();
        EngineOutcome {
            started_at: self.measured.as_ref().map_or(SystemTime::UNIX_EPOCH, |m| m.started_at),
            prepare: self.measured.as_ref().map_or_else(|| self.began.elapsed(), |m| m.prepare),
            elapsed,
            status,
            generator,
            health,
            stages: self.stages.into_iter().map(|s| s.stage).collect(),
            errors: found.errors.into_rows(),
            notes: found.notes,
        }
    }
}
