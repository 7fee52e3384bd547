use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_channel::Sender;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::device::{ScaledClock, WallClock};
use crate::engine::{Begun, EngineOutcome, Plan, Progress};
use crate::measure::{ResourceLog, RunRecord};
use crate::report::units;
use crate::rig::halt::Halt;
use crate::rig::machine::OpenFiles;
use crate::rig::newest::{Kept, Newest};
use crate::rig::observers::{Observers, Rows, Tellers};
use crate::rig::record_frame::RecordFrame;
use crate::rig::rows::RowsLost;
use crate::rig::run_error::RunError;
use crate::rig::sampler::Sampler;
use crate::rig::shard_notes;
use crate::rig::target::{OpenError, Target, setting};
use crate::rig::work::{EngineEvents, EngineWork};
use crate::scenario::Scenario;

/// One run of a scenario.
#[derive(Debug, Clone)]
pub struct Run {
    /// What to do.
    pub scenario: Scenario,
    /// The plan made of it, with seed and shard.
    pub plan: Plan,
    /// Open files that are permitted; by default as many as the plan needs, as far as the system permits, and in memory as many
    /// as there are.
    pub open_files: Option<OpenFiles>,
    /// When the measured part begins, by the wall clock; as soon as all is prepared by default.
    pub start_at: Option<SystemTime>,
    /// The clock of the devices, when it is not to be that of the target.
    pub clock: Option<Arc<ScaledClock>>,
    /// Ends it before its time.
    pub halt: Halt,
    /// The command that asked for it, for the record.
    pub command: Vec<String>,
}

impl Run {
    /// As soon as it can begin, to its end.
    pub fn new(scenario: Scenario, plan: Plan) -> Self {
        let (open_files, start_at, clock, command) = (None, None, None, Vec::new());
        Self { scenario, plan, open_files, start_at, clock, halt: Halt::default(), command }
    }

    /// Holds the run against `target`, watched by `observers`, from the check whether it may begin to the last push of metrics. Devices
    /// live on threads of their own; in virtual time on this one, whose runtime must be a current-thread one.
    ///
    /// # Errors
    /// Nothing was measured: it may not begin, was ended before it did, or the generator could not start or broke before there
    /// was a record. Whatever happens afterwards is in the record.
    pub async fn start(self, target: &mut Target, observers: &mut Observers) -> Result<RunRecord, RunError> {
        let Self { scenario, plan, open_files, start_at, clock, halt, command } = self;
        let (progress, newest) = watch::channel(Progress::default());
        let (tell, told) = mpsc::channel(1);
        let tellers = observers.tell_metrics((&scenario, &plan), &newest, target.process(), tell)?;
        let admitted = tokio::select! {
            biased;
            () = halt.stop.cancelled() => return Err(RunError::Stopped),
            admitted = target.admit(&scenario, &plan) => admitted?,
        };
        let notes = [shard_notes::of(&scenario, plan.shard, target.is_embedded()), admitted].concat();
        let open_files = open_files.map_or_else(|| target.open_files(&plan), Ok)?;
        let clock = clock.unwrap_or_else(|| Arc::new(target.clock(scenario.time_scale)));
        let wall_clock: Arc<dyn WallClock> = clock.clone();
        let classes = target.access.device_settings(&scenario, plan.seed, &wall_clock).map_err(OpenError::from)?;
        let mut rows = observers.rows.take();
        let (begin, sampled) = (oneshot::channel(), watch::channel(ResourceLog::default()));
        let scarcity = observers.resources.clone();
        let sampler = scarcity.clone().map(|told| Sampler::start((target.process(), told), begin.1, sampled.0));
        let begun = begun(clock, target, rows.as_mut().and_then(Rows::begin), begin.0).map_err(RunError::Pipe)?;
        let [of_target, of_emulator] = target.settings.clone();
        let of_run = start_at.map(|at| setting("start_at", units::rfc3339(at)));
        let settings = of_target.into_iter().chain(of_run).chain(observers.settings.clone()).chain(of_emulator);
        let frame = RecordFrame {
            command,
            scenario: scenario.clone(),
            seed: plan.seed,
            shard: plan.shard,
            target: target.description.clone(),
            emulator: None,
            open_files,
            settings: settings.collect(),
            notes: notes.clone(),
            resources: sampled.1,
            scarcity: scarcity.unwrap_or_default(),
            rows: rows.as_ref().and_then(Rows::lost).map(RowsLost::Counted),
        };
        let (kept, gone) = (Newest::default(), CancellationToken::new());
        let progress = (observers.onlooker.is_some() || tellers.any()).then_some(progress);
        let work = EngineWork {
            start_at,
            begun,
            open_files: open_files.limit,
            progress,
            distributions: tellers.any() || observers.distributions,
            snapshots: observers.folder.clone().map(|folder| kept.keeper(folder, frame.clone())),
            rows: rows.as_mut().and_then(Rows::sink),
            halt: halt.clone(),
            gone: gone.clone(),
            what: (scenario, plan, classes),
        };
        let onlooker = observers.onlooker.take();
        let watch = EngineEvents { newest, told, stop: halt.stop.clone(), gone, onlooker, notes: Vec::new() };
        let (outcome, watched) = target.way.carry_out(work, watch).await;
        halt.measured();
        let ended = Ended { frame, notes: [notes, watched].concat(), sampler, kept, tellers, rows, halt };
        ended.record(outcome, target, observers).await
    }
}

/// A run that came to its end, whose observers have not.
struct Ended {
    frame: RecordFrame,
    notes: Vec<String>,
    sampler: Option<Sampler>,
    kept: Newest,
    tellers: Tellers,
    rows: Option<Rows>,
    halt: Halt,
}

impl Ended {
    /// Has the observers finish, and makes the record.
    async fn record(
        self,
        outcome: Result<EngineOutcome, RunError>,
        target: &Target,
        observers: &mut Observers,
    ) -> Result<RunRecord, RunError> {
        let Self { mut frame, mut notes, sampler, kept, mut tellers, rows, halt } = self;
        if let Some(sampler) = sampler {
            notes.extend(sampler.finish().await);
        }
        frame.emulator = target.process().used_since_last();
        let Kept { record: newest, unwritten } = kept.take();
        let measured = match (outcome, newest) {
            (Ok(outcome), _) => Ok(outcome),
            (Err(error), Some(newest)) => {
                notes.push(format!("{error}; the results go up to a moment before, please report it"));
                Err(newest)
            }
            (Err(error), None) => return Err(error),
        };
        let of_metrics = tellers.over(halt.leave.cancelled()).await;
        observers.endpoint = tellers.endpoint.take();
        notes.extend(frame.open_files.shortage());
        if let Some(Rows::File(rows)) = rows {
            let (lost, note) = rows.finish();
            frame.rows = Some(lost);
            notes.extend(note);
        }
        notes.extend(of_metrics);
        if let Some(lost) = unwritten {
            notes
                .push(format!("what was measured could not be kept while the run went on, had it been killed: {lost}"));
        }
        frame.notes = notes;
        Ok(match measured {
            Ok(outcome) => frame.record(outcome),
            Err(newest) => frame.broken(newest),
        })
    }
}

/// What happens the moment the measured part begins: from then on the fleet's life passes faster, in generator and emulator
/// alike.
fn begun(
    clock: Arc<ScaledClock>,
    target: &Target,
    rows: Option<Sender<SystemTime>>,
    sampler: oneshot::Sender<Instant>,
) -> io::Result<Begun> {
    let tell = target.begin()?;
    Ok(Box::new(move |moment| {
        clock.begin(moment);
        // Not taken only when nobody samples, or the sampler is gone with the runtime.
        let _ = sampler.send(Instant::now());
        tell(moment);
        if let Some(rows) = rows {
            // Not taken only when the writer is gone, which shows at the end.
            let _ = rows.send(moment);
        }
    }))
}
