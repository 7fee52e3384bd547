//! Who begins stages, looks after the workers, and says what came of it.

pub(super) mod conductor;
pub(super) mod crew;
pub(super) mod outcome;
pub(super) mod pacer;
pub(super) mod prepare;
pub(super) mod snapshot;
pub(super) mod waiting;

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::device::{Connector, Settings};
use crate::engine::clock::RunClock;
use crate::engine::error::EngineError;
use crate::engine::keys::KeyWorks;
use crate::engine::plan::Plan;
use crate::engine::plan::schedule::StageTimes;
use crate::engine::plan::share::{InFlightLimit, Split};
use crate::engine::record::breaches::Breaches;
use crate::engine::record::early::Early;
use crate::engine::record::rows::RowSink;
use crate::engine::record::serials::Serials;
use crate::engine::run::conductor::Conductor;
use crate::engine::run::crew::{Crew, Execution};
use crate::engine::run::outcome::{EngineOutcome, Measured};
use crate::engine::run::snapshot::{Keeper, Keeping, Snapshots, SoFar};
use crate::engine::watch::progress::Progress;
use crate::engine::watch::usage;
use crate::engine::worker::Worker;
use crate::engine::worker::gauge::Gauge;
use crate::measure::{RunStatus, StageRecord};
use crate::scenario::{KeySource, Scenario, Stage};

/// What is to be done when the measured part begins.
pub type Begun = Box<dyn FnOnce(SystemTime) + Send>;

/// What a run needs.
pub struct RunInput<C> {
    /// What to do.
    pub scenario: Scenario,
    /// The plan made of it.
    pub plan: Plan,
    /// What all devices of a class share, by class. The stages' own settings (time limit, hub, telemetry) are laid over it.
    pub classes: Vec<Settings>,
    /// How devices connect.
    pub connector: Arc<C>,
    /// The limit on open files in force; the soft limit should have been raised before.
    pub open_files: u64,
    /// Where the devices live.
    pub execution: Execution,
    /// When the measured part is to begin, by the wall clock, so that several generators begin together. It begins at once when
    /// that has passed, which is noted.
    pub start_at: Option<SystemTime>,
    /// Called once, at the moment at which the measured part begins, with the wall clock's time then: from here on the fleet's
    /// time may pass faster than real time.
    pub begun: Option<Begun>,
    /// Snapshots about five times a second, when somebody watches.
    pub progress: Option<watch::Sender<Progress>>,
    /// Whether snapshots tell how the times of every phase are distributed, once a second.
    pub distributions: bool,
    /// Takes everything measured so far about twice a second, when somebody keeps it for the case that the run is killed or
    /// breaks.
    pub snapshots: Option<Snapshots>,
    /// Where every attempt goes when it ended, when somebody wants them one by one.
    pub rows: Option<RowSink>,
    /// The user wants to stop: nothing more is started, attempts in flight get a short grace, what was measured stays.
    pub stop: CancellationToken,
    /// After `stop`: attempts in flight do not even get the grace.
    pub cut: CancellationToken,
    /// The target is gone for good: the same, but the run counts as aborted.
    pub target_gone: CancellationToken,
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
    LocalSet::new().run_until(conduct(input)).await
}

async fn conduct<C>(input: RunInput<C>) -> Result<EngineOutcome, EngineError>
where
    C: Connector + Send + Sync + 'static,
{
    let RunInput {
        scenario,
        plan,
        classes,
        connector,
        open_files,
        execution,
        start_at,
        begun,
        progress,
        distributions,
        snapshots,
        rows,
        stop,
        cut,
        target_gone,
    } = input;
    if classes.len() != scenario.fleet.classes.len() {
        return Err(EngineError::Classes { settings: classes.len(), classes: scenario.fleet.classes.len() });
    }
    let limit = InFlightLimit::new(open_files, scenario.limits.max_in_flight)?;
    let cpu_at_start = usage::own();
    let prepare_began = Instant::now();
    let pool = match execution {
        Execution::Inline => None,
        Execution::Threads => Some(key_pool()?),
    };
    let halt = CancellationToken::new();
    // Also ends the workers when the caller drops this future.
    let _halt_at_end = halt.clone().drop_guard();
    let (scenario, plan) = (Arc::new(scenario), Arc::new(plan));
    let works = Arc::new(KeyWorks::new(pool, Arc::clone(&plan), scenario.limits.keys_ahead));
    let (in_flight, connected) = (Arc::new(Gauge::default()), Arc::new(Gauge::default()));
    let serials = Arc::new(Serials::new());
    let workers = execution.workers(&scenario.limits).min(limit.limit).min(plan.own_devices()).max(1);
    let split = Split { shard: plan.shard, workers };
    let workers = split.shares().map(|share| Worker {
        scenario: Arc::clone(&scenario),
        seed: plan.seed,
        connector: Arc::clone(&connector),
        serials: Arc::clone(&serials),
        works: Arc::clone(&works),
        share,
        slots: share.of(limit.limit) as usize,
        in_flight: Arc::clone(&in_flight),
        connected: Arc::clone(&connected),
        rows: rows.clone(),
    });
    let mut conductor = Conductor {
        crew: Crew::start(execution, workers.collect(), split).await?,
        times: watch::Sender::new(vec![StageTimes::default(); scenario.stages.len()]),
        classes,
        works,
        execution,
        connected: Arc::clone(&connected),
        progress,
        distributions,
        keeps: snapshots.is_some(),
        so_far: Arc::new(SoFar::new(Arc::clone(&plan))),
        halt: halt.clone(),
        cut,
        displays: RefCell::default(),
        defect: RefCell::default(),
        plan,
        scenario: Arc::clone(&scenario),
    };
    if scenario.fleet.any(|class| class.keys == KeySource::Seeded) {
        let note = "keys = \"seeded\": whoever knows the seed knows the private keys; never on real devices";
        conductor.so_far.note(note.to_owned());
    }
    let ends = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => { halt.cancel(); RunStatus::Interrupted }
            () = target_gone.cancelled() => { halt.cancel(); RunStatus::Aborted }
        }
    };
    tokio::pin!(ends);
    let mut status = None;
    let prepared = while_ending(conductor.prepare(), ends.as_mut(), &mut status).await;
    let prepare = prepare_began.elapsed();
    if let Some(moment) = start_at
        && status.is_none()
        && let Some(missed) = while_ending(conductor.wait_for(moment), ends.as_mut(), &mut status).await
    {
        let missed = missed.as_secs_f64();
        let note = format!("the run began {missed:.3} s after the moment of --start-at: preparing it took longer");
        conductor.so_far.note(note);
    }
    let cpu_at_begin = usage::own();
    let started_at = conductor.classes.first().map_or(SystemTime::UNIX_EPOCH, |class| class.clock.now());
    let clock = RunClock::start();
    if let Some(begun) = begun {
        begun(started_at);
    }
    let begun = Arc::new(outcome::Begun {
        scenario: Arc::clone(&scenario),
        started_at,
        prepare,
        cpu_at_start,
        cpu_at_begin,
        limit,
        in_flight,
        connected,
        execution,
    });
    let keeping = snapshots
        .map(|snapshots| {
            let (begun, so_far) = (Arc::clone(&begun), Arc::clone(&conductor.so_far));
            Keeper { snapshots, begun, so_far, clock }.start(execution)
        })
        .transpose()
        .map_err(EngineError::Keeper)?;
    conductor.works.start(clock);
    conductor.crew.begin(clock);
    let all = async {
        let stages = prepared.into_iter().enumerate().map(|(index, prepared)| conductor.stage(index, prepared, clock));
        tokio::select! {
            biased;
            merged = join_all(stages) => merged,
            () = conductor.watch(clock) => Vec::new(),
        }
    };
    let merged = while_ending(all, ends.as_mut(), &mut status).await;
    if let Some(progress) = &conductor.progress {
        progress.send_replace(conductor.snapshot(clock.now()));
    }
    let elapsed = clock.now();
    let now = conductor.classes.first().map_or(SystemTime::UNIX_EPOCH, |class| class.clock.now());
    let certificates = conductor.crew.expiries(now).await.map_err(|error| conductor.breaks(error)).ok();
    let Conductor { crew, so_far, defect, .. } = conductor;
    let mut defect = defect.into_inner();
    let lost = |worker| {
        defect.get_or_insert(EngineError::WorkerLost(worker));
    };
    let ends = crew.end(lost).await;
    let (mut notes, broken) = (so_far.notes(), so_far.broken());
    match keeping.map(Keeping::end) {
        // Nothing was kept of what a worker lost.
        None => defect.take().map_or(Ok(()), Err)?,
        Some(true) => {}
        Some(false) => notes.push(
            "what was measured was not kept while the run went on, had it been killed: its thread broke, which is a defect in \
             fleetstorm"
                .to_owned(),
        ),
    }
    notes.extend(defect.as_ref().map(|defect| format!("{defect}: the results go up to there, please report it")));
    let lost: u64 = ends.iter().map(|end| end.lost_between_stages).sum();
    if lost > 0 {
        notes.push(format!("{lost} held connections with the hub were lost while no stage used them"));
    }
    notes.extend(
        scenario.stages.iter().zip(&merged).filter_map(|(stage, merged)| gave_up(&scenario, stage, &merged.stage)),
    );
    let mut early = Early::default();
    ends.iter().for_each(|end| early.add(&end.early));
    notes.extend(early.note());
    let mut breaches = Breaches::default();
    ends.iter().for_each(|end| breaches.add(&end.breaches));
    notes.extend(breaches.note());
    let status = match (&defect, &broken, status) {
        (Some(_), ..) => RunStatus::Broken,
        (None, Some(_), _) => RunStatus::ThresholdFailed,
        (None, None, Some(status)) => status,
        (None, None, None) => RunStatus::Complete,
    };
    let busiest = ends.iter().map(|end| end.cpu).max().unwrap_or_default();
    Ok(begun.outcome(Measured {
        elapsed,
        status,
        stages: merged,
        certificates,
        errors: so_far.errors(),
        notes,
        broken,
        busiest,
    }))
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

/// Does `work`; `ends` may bid it end, which it then does by itself.
async fn while_ending<T>(
    work: impl Future<Output = T>,
    mut ends: Pin<&mut impl Future<Output = RunStatus>>,
    status: &mut Option<RunStatus>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            how = ends.as_mut(), if status.is_none() => *status = Some(how),
            done = &mut work => return done,
        }
    }
}

fn key_pool() -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .thread_name(|index| format!("keys-{index}"))
        // The panic was already printed; the device that waits for the key learns that there will be none.
        .panic_handler(|_| {})
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::merge::Merged;
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
