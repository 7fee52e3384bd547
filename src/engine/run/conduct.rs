use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::device::Connector;
use crate::engine::clock::RunClock;
use crate::engine::error::EngineError;
use crate::engine::keys::KeyWorks;
use crate::engine::plan::share::{InFlightLimit, Split};
use crate::engine::record::merge::Merged;
use crate::engine::record::serials::Serials;
use crate::engine::run::board::Board;
use crate::engine::run::conductor::Conductor;
use crate::engine::run::crew::{Crew, Execution};
use crate::engine::run::keeper::{Keeper, Keeping};
use crate::engine::run::outcome::{EngineOutcome, Measured, RunStart};
use crate::engine::run::{RunInput, notes};
use crate::engine::watch::usage;
use crate::engine::worker::Worker;
use crate::engine::worker::context::RunContext;
use crate::engine::worker::gauge::Gauges;
use crate::measure::RunStatus;

/// What ends a run before its stages do.
struct Endings {
    stop: CancellationToken,
    target_gone: CancellationToken,
    halt: CancellationToken,
    /// How the run was ended, when it was.
    status: Option<RunStatus>,
}

impl Endings {
    /// Does `work`. When the run is to end meanwhile, it is halted, and the work comes to its end by itself.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let status = tokio::select! {
                biased;
                () = self.stop.cancelled(), if self.status.is_none() => RunStatus::Interrupted,
                () = self.target_gone.cancelled(), if self.status.is_none() => RunStatus::Aborted,
                done = &mut work => return done,
            };
            self.status = Some(status);
            self.halt.cancel();
        }
    }
}

/// A run from its beginning to its end. Must be inside a [`tokio::task::LocalSet`].
pub(crate) async fn conduct<C>(mut input: RunInput<C>) -> Result<EngineOutcome, EngineError>
where
    C: Connector + Send + Sync + 'static,
{
    let (cpu_at_start, began) = (usage::own(), Instant::now());
    let halt = CancellationToken::new();
    // Also ends the workers when the caller drops this future.
    let _halt_at_end = halt.clone().drop_guard();
    let (stop, target_gone) = (input.stop.clone(), input.target_gone.clone());
    let mut endings = Endings { stop, target_gone, halt: halt.clone(), status: None };
    let (start_at, begun, snapshots) = (input.start_at, input.begun.take(), input.snapshots.take());
    let limit = InFlightLimit::new(input.open_files, input.scenario.limits.max_in_flight)?;
    let mut conductor = assemble(input, limit, halt, snapshots.is_some()).await?;
    let prepared = endings.during(conductor.prepare()).await;
    let prepare = began.elapsed();
    if let Some(moment) = start_at
        && endings.status.is_none()
        && let Some(missed) = endings.during(conductor.wait_for(moment)).await
    {
        let missed = missed.as_secs_f64();
        let note = format!("the run began {missed:.3} s after the moment of --start-at: preparing it took longer");
        conductor.board.note(note);
    }
    let cpu_at_begin = usage::own();
    let started_at = conductor.wall_clock();
    let clock = RunClock::start();
    if let Some(begun) = begun {
        begun(started_at);
    }
    let start = Arc::new(RunStart {
        scenario: Arc::clone(&conductor.scenario),
        started_at,
        prepare,
        cpu_at_start,
        cpu_at_begin,
        limit,
        gauges: Arc::clone(&conductor.gauges),
        execution: conductor.execution,
    });
    let keeper = snapshots.map(|snapshots| {
        let (start, board) = (Arc::clone(&start), Arc::clone(&conductor.board));
        Keeper { snapshots, start, board, clock }.start(conductor.execution)
    });
    let keeping = keeper.transpose().map_err(EngineError::Keeper)?;
    conductor.works.start(clock);
    conductor.crew.begin(clock);
    let stages = endings.during(conductor.stages(prepared, clock)).await;
    conductor.show(clock.now());
    let measured = close(conductor, keeping, stages, clock.now(), endings.status).await?;
    Ok(start.outcome(measured))
}

/// Starts the workers of a run, for whoever conducts them. `keeps`: what was measured is wanted before the end.
async fn assemble<C>(
    input: RunInput<C>,
    limit: InFlightLimit,
    halt: CancellationToken,
    keeps: bool,
) -> Result<Conductor, EngineError>
where
    C: Connector + Send + Sync + 'static,
{
    let RunInput { scenario, plan, classes, connector, execution, progress, distributions, rows, cut, .. } = input;
    if classes.len() != scenario.fleet.classes.len() {
        return Err(EngineError::Classes { settings: classes.len(), classes: scenario.fleet.classes.len() });
    }
    let pool = match execution {
        Execution::Inline => None,
        Execution::Threads => Some(key_pool()?),
    };
    let (scenario, plan) = (Arc::new(scenario), Arc::new(plan));
    let works = Arc::new(KeyWorks::new(pool, Arc::clone(&plan), scenario.limits.keys_ahead));
    let gauges = Arc::new(Gauges::default());
    let workers = execution.workers(&scenario.limits).min(limit.limit).min(plan.own_devices()).max(1);
    let split = Split { shard: plan.shard, workers };
    let run = Arc::new(RunContext {
        scenario: Arc::clone(&scenario),
        seed: plan.seed,
        connector,
        serials: Serials::new(),
        works: Arc::clone(&works),
        gauges: Arc::clone(&gauges),
        rows,
    });
    let worker = |share| Worker { run: Arc::clone(&run), share, slots: share.of(limit.limit) as usize };
    let workers = split.shares().map(worker);
    let crew = Crew::start(execution, workers.collect(), split).await?;
    let board = Arc::new(Board::new(Arc::clone(&plan), keeps));
    notes::beforehand(&scenario).into_iter().for_each(|note| board.note(note));
    Ok(Conductor {
        scenario,
        plan,
        classes,
        crew,
        works,
        execution,
        gauges,
        progress,
        distributions,
        keeps,
        board,
        halt,
        cut,
    })
}

/// Lets the workers go when all stages are over, and says what came of the run. `ended`: how it was ended before.
async fn close(
    conductor: Conductor,
    keeping: Option<Keeping>,
    stages: Vec<Merged>,
    elapsed: Duration,
    ended: Option<RunStatus>,
) -> Result<Measured, EngineError> {
    let certificates = conductor.crew.expiries(conductor.wall_clock()).await;
    let certificates = certificates.map_err(|error| conductor.breaks(error)).ok();
    let Conductor { crew, board, scenario, .. } = conductor;
    let ends = crew.end(|worker| board.defect(EngineError::WorkerLost(worker))).await;
    let is_kept = keeping.map(Keeping::end);
    let (defect, broken) = (board.take_defect(), board.broken());
    let defect = match (is_kept, defect) {
        // Nothing was kept of what a worker lost.
        (None, Some(defect)) => return Err(defect),
        (_, defect) => defect,
    };
    let mut notes = board.notes();
    notes.extend(notes::at_the_end(&scenario, &stages, &ends, defect.as_ref(), is_kept == Some(false)));
    let status = match (&defect, &broken, ended) {
        (Some(_), ..) => RunStatus::Broken,
        (None, Some(_), _) => RunStatus::ThresholdFailed,
        (None, None, Some(status)) => status,
        (None, None, None) => RunStatus::Complete,
    };
    let busiest = ends.iter().map(|end| end.cpu).max().unwrap_or_default();
    Ok(Measured { elapsed, status, stages, certificates, errors: board.errors(), notes, broken, busiest })
}

fn key_pool() -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .thread_name(|index| format!("keys-{index}"))
        // The panic was already printed; the device that waits for the key learns that there will be none.
        .panic_handler(|_| {})
        .build()
}
