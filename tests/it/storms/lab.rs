//! A whole run in virtual time: the engine against the real emulator, over connections in memory, with every duration
//! decided by the scenario and the seed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleetstorm::device::{MemoryConnector, ScaledClock, Settings, SourceAddresses, WallClock};
use fleetstorm::domain::{IdScope, Shard, Transport};
use fleetstorm::emulator::{Config, Counters, Service};
use fleetstorm::engine::{EngineOutcome, Execution, Plan, Progress, Received, RowSink, RunInput, rows, run};
use fleetstorm::measure::{Attempt, Counts, Machine, RunRecord};
use fleetstorm::report::ResultsFolder;
use fleetstorm::report::console::{Look, summary};
use fleetstorm::report::rows::{RowFormat, RowNames, RowWriter};
use fleetstorm::rig::target::EmulatorConfig;
use fleetstorm::rig::target::{Access, Door};
use fleetstorm::scenario::{Scenario, StageKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The seed of every run here.
const SEED: u64 = 7;

/// What shows on every clock when a run begins.
pub(super) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A scenario from text.
pub(super) fn scenario(text: &str) -> Scenario {
    Scenario::parse("storm.toml", &format!("schema = 1\nname = 'storm'\n{text}"), &[]).unwrap_or_else(|problems| {
        panic!("{}\n{text}", problems.iter().map(|p| format!("{p}: {:?}\n", p.remedy())).collect::<String>())
    })
}

/// Runs a scenario from beginning to end, in no time.
pub(super) fn outcome(scenario: &Scenario) -> EngineOutcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(virtual_run(scenario, Manner::default()))
}

/// A shard of it, with every attempt.
pub(super) fn sharded(scenario: &Scenario, shard: Shard) -> (EngineOutcome, Vec<Attempt>) {
    let (outcome, attempts, _) = both_sides(scenario, shard);
    (outcome, attempts)
}

/// The same, with what the emulator counted of it.
pub(super) fn both_sides(scenario: &Scenario, shard: Shard) -> (EngineOutcome, Vec<Attempt>, Counters) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
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
    let (outcome, counters) = runtime.block_on(async {
        // Within the runtime, whose clock does not move by itself.
        let service = Service::new(emulator_config(scenario)).expect("an emulator");
        let manner = Manner { shard, rows: Some(sink), ..Manner::default() };
        (virtual_run_of(&service, scenario, manner).await, service.counters())
    });
    drop(runtime);
    assert_eq!(lost.load(std::sync::atomic::Ordering::Relaxed), 0);
    (outcome, collecting.join().expect("it only collects"), counters)
}

/// It begins at that moment, or as soon as it can.
pub(super) fn outcome_from(scenario: &Scenario, start_at: SystemTime) -> EngineOutcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let manner = Manner { start_at: Some(start_at), ..Manner::default() };
    runtime.block_on(virtual_run(scenario, manner))
}

/// How a scenario is run.
#[derive(Default)]
struct Manner {
    stop: CancellationToken,
    /// How far the clock of the devices is behind that of the service.
    behind: Duration,
    shard: Shard,
    rows: Option<RowSink>,
    start_at: Option<SystemTime>,
    progress: Option<watch::Sender<Progress>>,
}

/// The same, with all that somebody saw who watched it.
pub(super) fn watched(scenario: &Scenario) -> (EngineOutcome, Vec<Progress>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (sender, mut newest) = watch::channel(Progress::default());
        let watching = tokio::spawn(async move {
            let mut seen = Vec::new();
            while newest.changed().await.is_ok() {
                seen.push(newest.borrow_and_update().clone());
            }
            seen
        });
        let outcome = virtual_run(scenario, Manner { progress: Some(sender), ..Manner::default() }).await;
        (outcome, watching.await.expect("it only collects"))
    })
}

/// With devices whose clock is so far behind that of the service.
pub(super) fn outcome_behind(scenario: &Scenario, behind: Duration) -> EngineOutcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(virtual_run(scenario, Manner { behind, ..Manner::default() }))
}

/// The same, stopped by the user after that time of the whole run.
pub(super) fn outcome_until(scenario: &Scenario, stop_after: Duration) -> EngineOutcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(stop_after).await;
            stopping.cancel();
        });
        virtual_run(scenario, Manner { stop, ..Manner::default() }).await
    })
}

async fn virtual_run(scenario: &Scenario, manner: Manner) -> EngineOutcome {
    let service = Service::new(emulator_config(scenario)).expect("an emulator");
    virtual_run_of(&service, scenario, manner).await
}

async fn virtual_run_of(service: &Service, scenario: &Scenario, manner: Manner) -> EngineOutcome {
    let Manner { stop, behind, shard, rows, start_at, progress } = manner;
    let tended = service.clone();
    tokio::spawn(async move { tended.tend().await });
    let (connector, classes, clock) = (
        serve(service),
        classes(scenario, service),
        Arc::new(ScaledClock::starting_at(scenario.time_scale, start() - behind)),
    );
    let classes = classes.into_iter().map(|class| Settings { clock: clock.clone(), ..class }).collect();
    let input = RunInput {
        plan: Plan::of_shard(scenario, SEED, shard).expect("it has devices"),
        scenario: scenario.clone(),
        classes,
        connector: Arc::new(connector),
        open_files: 200_000,
        execution: Execution::Inline,
        start_at,
        begun: Some(Box::new({
            let service = service.clone();
            move |moment| {
                clock.begin(moment);
                service.begin(moment);
            }
        })),
        progress,
        distributions: false,
        snapshots: None,
        rows,
        stop,
        cut: CancellationToken::new(),
        target_gone: CancellationToken::new(),
    };
    let outcome = run(input).await.expect("the generator starts");
    let certificates = outcome.certificates.as_ref().expect("the run ended");
    let devices = u64::from(shard.of(scenario.fleet.devices));
    assert_eq!(certificates.certificates() + certificates.without, devices, "{certificates:?}");
    assert!(certificates.expired <= certificates.certificates());
    outcome
}

fn emulator_config(scenario: &Scenario) -> Config {
    let file = EmulatorConfig::new(scenario, None, SEED).and_then(|config| config.write()).expect("a configuration");
    let text = fs::read_to_string(file.path()).expect("it was written");
    let mut config = Config::read("lab", &text).expect("it was checked");
    config.virtual_time = Some(start());
    config.adr.issue_inline = true;
    config
}

fn clock(scenario: &Scenario) -> ScaledClock {
    ScaledClock::starting_at(scenario.time_scale, start())
}

/// Connections in memory, served by the port that the device wants.
fn serve(service: &Service) -> MemoryConnector {
    let (connector, mut peers) = MemoryConnector::new();
    let service = service.clone();
    tokio::spawn(async move {
        while let Some(peer) = peers.recv().await {
            let service = service.clone();
            let certificates = peer.certificates.into_iter().map(Into::into).collect();
            tokio::spawn(async move {
                if peer.port == Transport::Mqtt.port() {
                    service.serve_connection(peer.stream, certificates).await;
                } else {
                    service.serve_https(peer.stream, certificates).await;
                }
            });
        }
    });
    connector
}

fn classes(scenario: &Scenario, service: &Service) -> Vec<Settings> {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root.pem");
    fs::write(&root, pem::encode(&pem::Pem::new("CERTIFICATE", service.issuing_root()))).expect("a file");
    let access = Access {
        dps_host: "dps".to_owned(),
        mqtt: Door { port: Transport::Mqtt.port(), address: None },
        https: Some(Door { port: Transport::Https.port(), address: None }),
        hub_address: None,
        id_scope: IdScope::new("0ne00000001").expect("an id scope"),
        group_key: Some(service.group_key().clone()),
        // In memory there is no TLS, so that any will do.
        ca_file: root.clone(),
        issuing_root_file: Some(root),
        source: SourceAddresses::System,
    };
    let clock: Arc<dyn WallClock> = Arc::new(clock(scenario));
    access.device_settings(scenario, SEED, &clock).expect("settings")
}

/// What a run writes and prints.
pub(super) struct Written {
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
    pub(super) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("it was written")
    }
}

/// Writes every format; `attempts` become the rows of `devices.csv`.
pub(super) fn written(scenario: &Scenario, outcome: EngineOutcome, attempts: &[Attempt]) -> Written {
    let folder = tempfile::tempdir().expect("a folder");
    let results = ResultsFolder::open(folder.path().to_owned()).expect("an empty folder");
    let names = RowNames::new(scenario, outcome.started_at);
    let record = record(scenario, outcome, Shard::WHOLE).at_rest();
    let failed = results.write(&record);
    assert!(failed.is_empty(), "{failed:?}");
    let file = fs::File::create(folder.path().join("devices.csv")).expect("a file");
    let mut rows = RowWriter::new(RowFormat::Csv, file, names).expect("a file");
    attempts.iter().for_each(|attempt| rows.write(attempt).expect("a row"));
    rows.finish().expect("all rows");
    let operating = scenario.stages.iter().filter(|stage| stage.kind == StageKind::Operate);
    Written {
        console: summary(&record, Look::new(false)),
        totals: record.stages.iter().map(|stage| (stage.name.clone(), stage.totals)).collect(),
        operating: operating.map(|stage| stage.name.clone()).collect(),
        devices: scenario.fleet.devices.into(),
        folder,
    }
}

/// All that a run knows of itself.
pub(super) fn record(scenario: &Scenario, outcome: EngineOutcome, shard: Shard) -> RunRecord {
    let EngineOutcome { started_at, prepare, elapsed, status, generator, health, .. } = outcome;
    let EngineOutcome { thresholds, stages, certificates, errors, notes, .. } = outcome;
    RunRecord {
        scenario: scenario.name.clone(),
        question: None,
        version: String::new(),
        command: Vec::new(),
        target: "memory".to_owned(),
        seed: SEED,
        started_at,
        prepare,
        elapsed,
        status,
        time_scale: scenario.time_scale,
        thresholds,
        settings: scenario.settings.clone(),
        machine: Machine::default(),
        generator,
        emulator: None,
        health,
        stages,
        certificates,
        errors,
        notes,
        resources: Vec::new(),
        shard: (!shard.is_whole()).then_some(shard),
        rows_lost: None,
    }
}

/// A scenario of the library.
pub(super) fn library(path: &Path, sets: &[(&str, &str)]) -> Scenario {
    let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Scenario::load(path, &sets, fleetstorm::emulator::read_within)
        .unwrap_or_else(|problems| panic!("{}: {problems}", path.display()))
}
