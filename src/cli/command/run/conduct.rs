use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_channel::Sender;
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::command::run::aside::Aside;
use crate::cli::command::run::keep::{Kept, Newest};
use crate::cli::command::run::opened::{Opened, Wishes, open};
use crate::cli::live::Live;
use crate::cli::signals::StopSignals;
use crate::cli::{CommandError, Explained, Terminal};
use crate::device::ScaledClock;
use crate::domain::{Setting, Shard};
use crate::engine::{self, EngineError, EngineOutcome, Execution, Plan, Progress, RunInput};
use crate::measure::{CpuUse, ResourceLog, RunRecord, RunStatus};
use crate::report::ResultsFolder;
use crate::report::console::wrapped;
use crate::rig::defect::Defect;
use crate::rig::live::About;
use crate::rig::machine::OpenFiles;
use crate::rig::machine::machine;
use crate::rig::metrics::Endpoint;
use crate::rig::os_text;
use crate::rig::rows::{RowsFile, RowsLost};
use crate::rig::sampler::Sampler;
use crate::rig::target::Embedded;
use crate::scenario::Scenario;

/// How far a run came.
#[derive(Debug)]
pub(super) enum Conducted {
    /// To its end, or to where it was stopped.
    Measured {
        /// What was measured.
        record: Box<RunRecord>,
        /// Where its last metrics can be read.
        endpoint: Option<Endpoint>,
    },
    /// Stopped before the engine began.
    Interrupted,
}

/// The generator could not start or broke.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum GeneratorError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Defect(#[from] Defect),
    #[error("cannot keep the pipe to the embedded emulator open: {0}")]
    #[diagnostic(help("is the limit on open files (`ulimit -n`) far too low?"))]
    Pipe(#[source] std::io::Error),
}

impl Explained for GeneratorError {}

/// From the start of the target to its end.
pub(super) async fn conduct(
    scenario: &Scenario,
    plan: Plan,
    open_files: OpenFiles,
    wishes: Wishes,
    mut aside: Aside,
    folder: &Arc<ResultsFolder>,
    terminal: &Terminal,
) -> Result<Conducted, CommandError> {
    let mut interrupts = StopSignals::listen()?;
    let mut settings_of_run = wishes.settings();
    let start_at = wishes.start_at;
    settings_of_run.extend(aside.settings());
    let (progress, newest) = watch::channel(Progress::default());
    let (tell, told) = mpsc::channel(1);
    let tellers = aside.serve(scenario, &plan, &newest, tell)?;
    let Some(opened) = interrupts.unless(open(scenario, &plan, wishes)).await else {
        return Ok(Conducted::Interrupted);
    };
    let Opened { description, devices, connector, clock, emulator_settings, mut embedded, mut notes } = opened?;
    settings_of_run.extend(emulator_settings);
    let emulator = aside.emulator;
    if let Some(embedded) = &embedded {
        emulator.started(embedded.process());
    }
    let mut rows = aside.rows;
    let (begin, sampled) = (oneshot::channel(), watch::channel(ResourceLog::default()));
    let sampler = Sampler::start(emulator.clone(), begin.1, sampled.0);
    let begun = begun(clock, embedded.as_ref(), rows.as_mut().and_then(RowsFile::begin), begin.0)?;
    let (seed, shard) = (plan.seed, plan.shard);
    let mut around = Around {
        command: command_line(std::env::args_os()),
        scenario: scenario.clone(),
        seed,
        target: description,
        emulator: None,
        open_files,
        settings: settings_of_run,
        notes: notes.clone(),
        resources: sampled.1,
        shard: (!shard.is_whole()).then_some(shard),
        rows: rows.as_ref().map(|rows| RowsLost::Counted(rows.lost())),
    };
    let kept = Kept::default();
    let about = About {
        stages: scenario.stages.iter().map(|stage| stage.name.clone()).collect(),
        time_scale: scenario.time_scale,
        open_files: open_files.limit,
    };
    let halts = Halts::default();
    let work = engine::run(RunInput {
        scenario: scenario.clone(),
        plan,
        classes: devices,
        begun: Some(begun),
        connector,
        open_files: open_files.limit,
        execution: Execution::Threads,
        start_at,
        progress: Some(progress),
        distributions: tellers.any() || Live::tells_phases(terminal),
        snapshots: Some(kept.keeper(Arc::clone(folder), around.clone())),
        rows: rows.as_mut().and_then(RowsFile::sink),
        stop: halts.stop.clone(),
        cut: halts.cut.clone(),
        target_gone: halts.target_gone.clone(),
    });
    let watched = Watched { embedded: embedded.as_mut(), interrupts, newest, told, halts, notes: &mut notes };
    let outcome = AssertUnwindSafe(watched.until_done(work, Live::new(terminal, about))).catch_unwind().await;
    let outcome = match outcome {
        Ok(outcome) => outcome.map_err(GeneratorError::from),
        Err(panic) => Err(Defect::of("the run", &*panic).into()),
    };
    notes.extend(sampler.finish().await);
    if let Some(embedded) = embedded {
        embedded.stop().await;
        around.emulator = emulator.whole();
    }
    let Newest { record: newest, unwritten } = kept.take();
    let measured = match (outcome, newest) {
        (Ok(outcome), _) => Ok(outcome),
        (Err(error), Some(newest)) => {
            notes.push(format!("{error}; the results go up to a moment before, please report it"));
            Err(newest)
        }
        (Err(error), None) => return Err(error.into()),
    };
    let (endpoint, of_metrics) = tellers.over().await;
    notes.extend(around.open_files.shortage());
    if let Some((lost, note)) = rows.map(RowsFile::finish) {
        around.rows = Some(lost);
        notes.extend(note);
    }
    notes.extend(of_metrics);
    if let Some(lost) = unwritten {
        notes.push(format!("what was measured could not be kept while the run went on, had it been killed: {lost}"));
    }
    around.notes = notes;
    let record = match measured {
        Ok(outcome) => around.record(outcome),
        Err(newest) => around.broken(newest),
    };
    Ok(Conducted::Measured { record: Box::new(record), endpoint })
}

/// What happens the moment the measured part begins: from then on the fleet's life passes faster, in generator and emulator
/// alike.
fn begun(
    clock: Arc<ScaledClock>,
    embedded: Option<&Embedded>,
    rows: Option<Sender<SystemTime>>,
    sampler: oneshot::Sender<Instant>,
) -> Result<Box<dyn FnOnce(SystemTime) + Send>, GeneratorError> {
    let tell = embedded.map(Embedded::begin).transpose().map_err(GeneratorError::Pipe)?;
    Ok(Box::new(move |moment| {
        clock.begin(moment);
        // Not taken only when the sampler is gone, with the runtime.
        let _ = sampler.send(Instant::now());
        if let Some(tell) = tell {
            tell(moment);
        }
        if let Some(rows) = rows {
            // Not taken only when the writer is gone, which shows at the end.
            let _ = rows.send(moment);
        }
    }))
}

/// The ways to end a run before its time.
#[derive(Debug, Default)]
struct Halts {
    stop: CancellationToken,
    cut: CancellationToken,
    target_gone: CancellationToken,
}

/// Everything that may happen while the engine runs.
struct Watched<'a> {
    embedded: Option<&'a mut Embedded>,
    interrupts: StopSignals,
    newest: watch::Receiver<Progress>,
    /// What the user must know at once.
    told: mpsc::Receiver<String>,
    halts: Halts,
    notes: &'a mut Vec<String>,
}

impl Watched<'_> {
    async fn until_done(
        self,
        work: impl Future<Output = Result<EngineOutcome, EngineError>>,
        mut live: Live,
    ) -> Result<EngineOutcome, EngineError> {
        let Self { mut embedded, mut interrupts, mut newest, mut told, halts, notes } = self;
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                Ok(()) = newest.changed() => live.update(&newest.borrow_and_update()),
                Some(words) = told.recv() => live.note(&wrapped("note: ", &words)),
                how = ended(&mut embedded) => {
                    let words = embedded.take().map(|emulator| emulator.last_words()).unwrap_or_default();
                    live.note(&format!("the embedded emulator ended in the middle of the run ({how}){words}"));
                    notes.push(format!("the embedded emulator ended in the middle of the run ({how})"));
                    halts.target_gone.cancel();
                }
                () = interrupts.next() => {
                    if halts.stop.is_cancelled() {
                        halts.cut.cancel();
                    } else {
                        live.note("stopping: no device is started any more, those in flight get a moment");
                        halts.stop.cancel();
                    }
                }
            }
        }
    }
}

/// Never, when there is no embedded emulator.
async fn ended(embedded: &mut Option<&mut Embedded>) -> String {
    match embedded {
        Some(embedded) => embedded.ended().await,
        None => std::future::pending().await,
    }
}

/// What only the command line knows of a run.
#[derive(Debug, Clone)]
pub(super) struct Around {
    command: Vec<String>,
    scenario: Scenario,
    seed: u64,
    target: String,
    emulator: Option<CpuUse>,
    open_files: OpenFiles,
    settings: Vec<Setting>,
    notes: Vec<String>,
    resources: watch::Receiver<ResourceLog>,
    shard: Option<Shard>,
    /// With `--devices`.
    rows: Option<RowsLost>,
}

impl Around {
    /// Everything about a run.
    pub(super) fn record(self, outcome: EngineOutcome) -> RunRecord {
        let Self { command, scenario, seed, target, emulator, open_files, settings, mut notes, .. } = self;
        let (resources, shard, rows) = (self.resources, self.shard, self.rows);
        let EngineOutcome { started_at, prepare, elapsed, status, generator, health, .. } = outcome;
        let EngineOutcome { thresholds, stages, certificates, errors, notes: more, .. } = outcome;
        notes.extend(more);
        let attempts = stages.iter().map(|stage| stage.totals.attempts).sum();
        let rows_lost = rows.map(|rows| rows.of(attempts));
        RunRecord {
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
            thresholds,
            settings: scenario.settings.into_iter().chain(settings).collect(),
            machine: machine(open_files),
            generator,
            emulator,
            health,
            stages,
            certificates,
            errors,
            notes,
            resources: resources.borrow().samples().to_vec(),
            shard,
            rows_lost,
        }
        .at_rest()
    }

    /// A run of which nothing but that record is left.
    fn broken(self, newest: RunRecord) -> RunRecord {
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

/// As typed, without the folder that the binary lies in. An argument need not be text.
fn command_line(args: impl Iterator<Item = OsString>) -> Vec<String> {
    std::iter::once("fleetstorm".to_owned()).chain(args.skip(1).map(|arg| os_text::told(&arg))).collect()
}
