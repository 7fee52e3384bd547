//! A target is opened once and serves one run after the other, each as if it were the first.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use fleetstorm::domain::Shard;
use fleetstorm::engine::Plan;
use fleetstorm::measure::{Counts, RunRecord, RunStatus};
use fleetstorm::report::{ResultsFolder, Verdict, verdicts};
use fleetstorm::rig::machine::Scarcity;
use fleetstorm::rig::{Observation, Observers, OpenError, Run, RunError, Target, TargetOptions};
use fleetstorm::scenario::Scenario;
use tokio::time::{Instant, sleep_until};

use crate::storms::lab::{SEED, held_against, in_virtual_time, scenario, start, written};

/// Quotas that are used up, capacities, faults with times of the fleet and one that is drawn, certificates that expire.
const HARD: &str = "
    fleet = { devices = 40, behaviour = 'well-behaved', keys = 'seeded' }
    time_scale = '1m = 1s'
    quotas = { registrations_per_minute = 8, hub_connections_per_second = 2 }
    policy = { validity = 'PT2H', renewal_window = 'PT1H' }
    [emulator]
    model.assign = { latency = { log-normal = { median_ms = 400, sigma = 0.6 } }, capacity = 3, queue = 100 }
    [emulator.faults]
    server_error = { probability = 0.3, from_seconds = 10.0, for_seconds = 40.0 }
    hub_outage = { from_seconds = 300.0, for_seconds = 120.0 }
    policy_revoked = { at_seconds = [5000.0] }
    [[stage]]
    name = 'rollout'
    kind = 'provision'
    arrival = { process = 'spread', over = '2m' }
    keep_connected = true
    [[stage]]
    name = 'renewal'
    kind = 'renew'
    with = 'rollout'
    delay = '80m'
    arrival = { process = 'spread', over = '5m' }";

fn run(scenario: &Scenario) -> Run {
    Run::new(scenario.clone(), Plan::new(scenario, SEED))
}

/// All that was counted, and how often each phase was gone through with which outcome. Times are those of timers, which are good to a
/// millisecond.
fn measured(scenario: &Scenario, record: &RunRecord) -> (RunStatus, Vec<Counts>, Vec<String>) {
    let totals = record.stages.iter().map(|stage| stage.totals).collect();
    let phases = written(scenario, record, &[]).text("phases.csv");
    let counts = phases.lines().map(|line| line.split(',').take(4).collect::<Vec<_>>().join(","));
    (record.status, totals, counts.collect())
}

#[test]
fn a_second_run_meets_what_the_first_one_met() {
    let scenario = scenario(HARD);
    let [first, second] = in_virtual_time(async {
        let mut target = Target::in_process(&scenario, SEED, Some(start())).unwrap();
        let begun = Instant::now();
        let first = held_against(&mut target, run(&scenario), Observers::default()).await.0;
        // However much later; whole seconds, so that timers are rounded as they were.
        sleep_until(begun + Duration::from_secs(100_000)).await;
        [first, held_against(&mut target, run(&scenario), Observers::default()).await.0]
    });
    assert!(second.started_at > first.started_at + Duration::from_secs(99_000));
    let totals = first.stages[0].totals;
    assert!(totals.throttled > 0 && totals.failed_attempts.total() > totals.throttled, "{totals:?}");
    assert_eq!(measured(&scenario, &second), measured(&scenario, &first));
}

#[test]
fn a_target_does_not_serve_a_run_whose_time_passes_otherwise() {
    let fast = scenario(HARD);
    let slow = scenario(&HARD.replace("1m = 1s", "1s = 1s"));
    in_virtual_time(async {
        let mut target = Target::in_process(&fast, SEED, Some(start())).unwrap();
        let refused = run(&slow).start(&mut target, &mut Observers::default()).await;
        assert!(matches!(refused, Err(RunError::Target(OpenError::NotEmbedded(_)))), "{refused:?}");
    });
}

/// Of the embedded emulator, which is a process of its own.
#[tokio::test]
async fn a_second_run_against_a_child_process_meets_a_fresh_clock_and_whole_quotas() {
    let devices = 12;
    // Without a fresh clock certificates would begin days after they came; without whole quotas the second half would be refused.
    for time in ["time_scale = '1d = 1s'", "quotas = { registrations_per_minute = 12, certificates_per_minute = 12 }"] {
        let scenario = scenario(&format!(
            "fleet.devices = {devices}\n{time}\nthresholds = ['all.failed == 0']\n\
             [[stage]]\nname = 'storm'\nkind = 'provision'\narrival = 'at-once'\n"
        ));
        let emulator_binary = Some(env!("CARGO_BIN_EXE_fleetstorm").into());
        let options = TargetOptions { emulator_binary, ..TargetOptions::default() };
        let mut target = Target::open(&scenario, (SEED, Shard::WHOLE), &options).await.unwrap();
        for number in 1..=2 {
            let folder = tempfile::tempdir().unwrap();
            let folder_of_results = ResultsFolder::open(folder.path().to_owned()).unwrap();
            let observers = &mut Observers {
                folder: Some(folder_of_results.into()),
                resources: Some(Scarcity::default()),
                ..Observers::default()
            };
            let before = SystemTime::now();
            let record = run(&scenario).start(&mut target, observers).await.unwrap();
            assert!(record.started_at >= before, "{number}");
            assert_eq!(record.status, RunStatus::Complete, "{:?}", record.notes);
            assert_eq!(record.stages[0].totals.succeeded, devices, "{time}, {number}: {:?}", record.errors);
            assert!(record.emulator.is_some() && !record.resources.is_empty(), "{number}");
        }
        target.close().await;
    }
}

/// Files of a machine that was made up, as the system would tell them.
struct MadeUp(tempfile::TempDir);

impl MadeUp {
    /// In a cgroup of a tenth of a core, with one thread of the generator.
    fn new() -> Self {
        let made_up = Self(tempfile::tempdir().unwrap());
        made_up.tell("proc/self/cgroup", "0::/pod\n");
        made_up.tell("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        made_up.tell("sys/fs/cgroup/pod/cpu.max", "10000 100000\n");
        made_up
    }

    fn tell(&self, path: &str, content: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Whole or not at all, as /proc is read while this is written.
        let new = path.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// After so many tenths of a second in which the quota was used up `stopped` times and everybody waited ten times that.
    fn after(&self, tenths: u64, stopped: u64) {
        let stat =
            format!("usage_usec 1\nnr_periods {tenths}\nnr_throttled {stopped}\nthrottled_usec {}\n", stopped * 90_000);
        self.tell("sys/fs/cgroup/pod/cpu.stat", &stat);
        self.tell("sys/fs/cgroup/pod/cpu.pressure", &format!("some avg10=0.00 total={}\n", tenths * 100_000));
        self.tell("proc/self/task/1/schedstat", &format!("1000 {} 1\n", tenths * 1_000_000_000));
    }
}

/// A run of a second or so against an emulator of its own, on a made-up machine whose quota is used up in every `one_in`th period; 0 is
/// never.
async fn on_made_up_machine(one_in: u64, told: bool) -> RunRecord {
    let scenario = scenario(
        "fleet.devices = 30\n[[stage]]\nname = 'line'\nkind = 'provision'\nhub_connect = false\n\
         arrival = { process = 'spread', over = '1500ms' }\n",
    );
    let machine = Rc::new(MadeUp::new());
    machine.after(0, 0);
    let scarcity = if told { Scarcity::below(machine.0.path()) } else { Scarcity::below("/nowhere") };
    let emulator_binary = Some(env!("CARGO_BIN_EXE_fleetstorm").into());
    let options = TargetOptions { emulator_binary, ..TargetOptions::default() };
    let mut target = Target::open(&scenario, (SEED, Shard::WHOLE), &options).await.unwrap();
    let (mut tenths, told) = (0, Rc::clone(&machine));
    let onlooker = move |_: Observation<'_>| {
        tenths += 10;
        told.after(tenths, tenths.checked_div(one_in).unwrap_or_default());
    };
    let mut observers =
        Observers { resources: Some(scarcity), onlooker: Some(Box::new(onlooker)), ..Observers::default() };
    let record = run(&scenario).start(&mut target, &mut observers).await.unwrap();
    target.close().await;
    record
}

#[tokio::test]
async fn a_machine_without_cores_to_spare_is_told_of_and_a_quota_that_was_used_up_saturates() {
    let names = |record: &RunRecord| verdicts(record).iter().map(Verdict::name).collect::<Vec<_>>();
    let stopped = on_made_up_machine(5, true).await;
    assert_eq!(names(&stopped), ["saturated", "machine_full", "complete"], "{:?}", stopped.stages[0].machine);
    let reason = &stopped.health.saturated[0];
    assert!(reason.starts_with("line: the CPU quota of the cgroup (0.1 cores) was used up in "), "{reason}");
    assert_eq!(stopped.machine.cpu_limit.map(|limit| limit.cores()), Some(0.1));
    let full = verdicts(&stopped)[1].sentence();
    assert!(full.contains("line: full for ") && full.contains("the embedded emulator runs on it too"), "{full}");

    let waiting = on_made_up_machine(0, true).await;
    assert_eq!(names(&waiting), ["machine_full", "complete"], "{:?}", waiting.stages[0].machine);

    // A machine that tells nothing is not called fine.
    let unknown = on_made_up_machine(0, false).await;
    let note = unknown.notes.iter().find(|note| note.starts_with("not known of this machine: ")).unwrap();
    for what in ["neither schedstat nor pressure", "whether a CPU quota was used up"] {
        assert!(note.contains(what), "{note}");
    }
}
