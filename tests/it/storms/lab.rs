//! A whole run in virtual time: the engine against the real emulator, over connections in memory, with every duration
//! decided by the scenario and the seed.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use fleetstorm::device::ScaledClock;
use fleetstorm::domain::Shard;
use fleetstorm::emulator::Counters;
use fleetstorm::engine::{Plan, Progress, Received, rows};
use fleetstorm::measure::{Attempt, Counts, RunRecord};
use fleetstorm::report::ResultsFolder;
use fleetstorm::report::console::{Look, summary};
use fleetstorm::report::rows::{RowFormat, RowNames, RowWriter};
use fleetstorm::rig::{Observation, Observers, Rows, Run, Target};
use fleetstorm::scenario::{Scenario, StageKind};

/// The seed of every run here.
pub(crate) const SEED: u64 = 7;

/// What shows on every clock when a run begins.
pub(crate) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A scenario from text.
pub(crate) fn scenario(text: &str) -> Scenario {
    Scenario::parse("storm.toml", &format!("schema = 1\nname = 'storm'\n{text}"), &[]).unwrap_or_else(|problems| {
        panic!("{}\n{text}", problems.iter().map(|p| format!("{p}: {:?}\n", p.remedy())).collect::<String>())
    })
}

/// Does `work` in virtual time.
pub(crate) fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// A run of a shard of a scenario.
fn run_of(scenario: &Scenario, shard: Shard) -> Run {
    Run::new(scenario.clone(), Plan::of_shard(scenario, SEED, shard).expect("it has devices"))
}

/// Holds a run against an emulator of its own, in no time.
fn held(run: impl FnOnce() -> Run, observers: Observers) -> (RunRecord, Counters) {
    // Within the runtime, whose clock does not move by itself.
    in_virtual_time(async {
        let run = run();
        let mut target = Target::in_process(&run.scenario, SEED, Some(start())).expect("an emulator");
        held_against(&mut target, run, observers).await
    })
}

/// Holds a run against a target, which may have served others before.
pub(crate) async fn held_against(target: &mut Target, run: Run, mut observers: Observers) -> (RunRecord, Counters) {
    let devices = u64::from(run.plan.shard.of(run.scenario.fleet.devices));
    let record = run.start(target, &mut observers).await.expect("the generator starts");
    let certificates = record.certificates.as_ref().expect("the run ended");
    assert_eq!(certificates.certificates() + certificates.without, devices, "{certificates:?}");
    assert!(certificates.expired <= certificates.certificates());
    (record, target.service().expect("it is in this process").counters())
}

/// Runs a scenario from beginning to end.
pub(super) fn outcome(scenario: &Scenario) -> RunRecord {
    held(|| run_of(scenario, Shard::WHOLE), Observers::default()).0
}

/// Runs it on a machine that does nothing at all for `halt` after every `works`.
pub(super) fn outcome_of_a_halting_machine(scenario: &Scenario, works: Duration, halt: Duration) -> RunRecord {
    in_virtual_time(async {
        let run = run_of(scenario, Shard::WHOLE);
        let mut target = Target::in_process(&run.scenario, SEED, Some(start())).expect("an emulator");
        let machine = async {
            loop {
                tokio::time::sleep(works).await;
                tokio::time::advance(halt).await;
            }
        };
        tokio::select! {
            (record, _) = held_against(&mut target, run, Observers::default()) => record,
            () = machine => unreachable!("it goes on as long as the run"),
        }
    })
}

/// A shard of it, with every attempt.
pub(super) fn sharded(scenario: &Scenario, shard: Shard) -> (RunRecord, Vec<Attempt>) {
    let (record, attempts, _) = both_sides(scenario, shard);
    (record, attempts)
}

/// A shard of it, with every attempt and with what the emulator counted of it.
pub(super) fn both_sides(scenario: &Scenario, shard: Shard) -> (RunRecord, Vec<Attempt>, Counters) {
    let (sink, source, lost) = rows();
    let collecting = std::thread::spawn(move || {
        let mut all = Vec::new();
        loop {
            match source.next(Duration::from_secs(1)) {
                Received::Rows(attempts) => all.extend(attempts),
                Received::Nothing => {}
                Received::End => return all,
            }
        }
    });
    let observers = Observers { rows: Some(Rows::Sink(sink)), ..Observers::default() };
    let (record, counters) = held(|| run_of(scenario, shard), observers);
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    (record, collecting.join().expect("it only collects"), counters)
}

/// It begins at that moment, or as soon as it can.
pub(super) fn outcome_from(scenario: &Scenario, start_at: SystemTime) -> RunRecord {
    held(|| Run { start_at: Some(start_at), ..run_of(scenario, Shard::WHOLE) }, Observers::default()).0
}

/// With all that somebody saw who watched it.
pub(super) fn watched(scenario: &Scenario) -> (RunRecord, Vec<Progress>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let see = Rc::clone(&seen);
    let onlooker = move |what: Observation<'_>| {
        if let Observation::Progress(progress) = what {
            see.borrow_mut().push(progress.clone());
        }
    };
    let observers = Observers { onlooker: Some(Box::new(onlooker)), ..Observers::default() };
    let (record, _) = held(|| run_of(scenario, Shard::WHOLE), observers);
    (record, seen.take())
}

/// With devices whose clock is so far behind that of the service.
pub(super) fn outcome_behind(scenario: &Scenario, behind: Duration) -> RunRecord {
    let clock = || Arc::new(ScaledClock::starting_at(scenario.time_scale, start() - behind));
    held(|| Run { clock: Some(clock()), ..run_of(scenario, Shard::WHOLE) }, Observers::default()).0
}

/// Stopped by the user after that time of the whole run.
pub(super) fn outcome_until(scenario: &Scenario, stop_after: Duration) -> RunRecord {
    let stopped = || {
        let run = run_of(scenario, Shard::WHOLE);
        let halt = run.halt.clone();
        tokio::spawn(async move {
            tokio::time::sleep(stop_after).await;
            halt.sooner();
        });
        run
    };
    held(stopped, Observers::default()).0
}

/// What a run writes and prints.
pub(crate) struct Written {
    folder: tempfile::TempDir,
    /// The summary for the terminal.
    pub(super) console: String,
    /// Counts of every stage.
    pub(super) totals: Vec<(String, Counts)>,
    /// Stages in which devices operate.
    pub(super) operating: Vec<String>,
    /// Devices of the fleet.
    pub(super) devices: u64,
}

impl Written {
    /// A file of the results.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its text.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("it was written")
    }
}

/// Writes every format; `attempts` become the rows of `devices.csv`.
pub(crate) fn written(scenario: &Scenario, record: &RunRecord, attempts: &[Attempt]) -> Written {
    let folder = tempfile::tempdir().expect("a folder");
    let results = ResultsFolder::open(folder.path().to_owned()).expect("an empty folder");
    let names = RowNames::new(scenario, record.started_at);
    let failed = results.write(record);
    assert!(failed.is_empty(), "{failed:?}");
    let file = fs::File::create(folder.path().join("devices.csv")).expect("a file");
    let mut rows = RowWriter::new(RowFormat::Csv, file, names).expect("a file");
    attempts.iter().for_each(|attempt| rows.write(attempt).expect("a row"));
    rows.finish().expect("all rows");
    let operating = scenario.stages.iter().filter(|stage| stage.kind == StageKind::Operate);
    Written {
        console: summary(record, Look::new(false)),
        totals: record.stages.iter().map(|stage| (stage.name.clone(), stage.totals)).collect(),
        operating: operating.map(|stage| stage.name.clone()).collect(),
        devices: scenario.fleet.devices.into(),
        folder,
    }
}

/// A scenario of the library.
pub(super) fn library(path: &Path, sets: &[(&str, &str)]) -> Scenario {
    let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Scenario::load(path, &sets, fleetstorm::emulator::read_within)
        .unwrap_or_else(|problems| panic!("{}: {problems}", path.display()))
}
