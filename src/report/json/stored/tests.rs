use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::json;

use crate::domain::{FailureClass, Fate, Known, Origin, Phase, Quantity, Setting, Shard, StageKind, Threshold};
use crate::measure::{
    CompactHistogram, CpuLimit, Histogram, MachineUse, MergeError, QuotaUse, RunRecord, RunStatus, merge,
};
use crate::report::console::{Look, summary};
use crate::report::{EXPORTERS, FolderError, ReadError, ResultsFolder, fixture, read, verdicts};
use crate::scenario::thresholds_of_settings;

/// Every format of a record, and the summary.
fn everything(record: &RunRecord) -> Vec<(String, String)> {
    let files = EXPORTERS.iter().map(|exporter| {
        let mut bytes = Vec::new();
        exporter.write(record, &mut bytes).unwrap();
        (exporter.file_name().to_owned(), String::from_utf8_lossy(&bytes).into_owned())
    });
    files.chain([("summary".to_owned(), summary(record, Look::new(false)))]).collect()
}

fn stored(record: &RunRecord, folder: &Path) {
    let folder = ResultsFolder::existing(folder.to_owned()).unwrap();
    assert!(folder.write(record).is_empty());
}

fn there_and_back(record: &RunRecord) -> RunRecord {
    let folder = tempfile::tempdir().unwrap();
    stored(record, folder.path());
    read(folder.path()).unwrap()
}

/// A record with numbers as a run has them, not as a person writes them.
fn untidy(nanos: u64, numbers: [f64; 3], times: &[u64]) -> RunRecord {
    let mut record = fixture::renewal_storm();
    let odd = Duration::from_nanos(nanos);
    record.started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_740_821_400) + odd;
    (record.prepare, record.elapsed) = (odd / 3, odd);
    (record.generator.user, record.generator.system) = (odd / 7, odd / 11);
    record.health.peak_connected = 17;
    record.machine.cpu_limit = Some(CpuLimit { quota: Duration::from_micros(nanos), period: Duration::from_secs(1) });
    for sample in &mut record.resources {
        (sample.at, sample.length, sample.generator.cpu) = (odd / 2, odd / 13, Some(odd / 17));
        (sample.generator.waited, sample.pressure) = (Some(odd / 19), Some(odd / 23));
        sample.quota = Some(QuotaUse { periods: nanos, used_up: nanos / 2, stopped: odd / 29 });
    }
    let mut lateness = record.health.lateness.decode();
    times.iter().for_each(|nanos| lateness.record(*nanos));
    record.health.lateness = CompactHistogram::new(&lateness);
    let observed = [
        Some(Known::Is(Quantity::Share(numbers[0]))),
        Some(Known::Is(Quantity::PerSecond(numbers[1]))),
        Some(Known::Is(Quantity::Number(numbers[2]))),
    ];
    for (threshold, observed) in record.thresholds.iter_mut().zip(observed) {
        threshold.observed = observed;
    }
    let mut total = Histogram::new();
    times.iter().for_each(|nanos| total.record(*nanos));
    for (stage, name) in record.stages.iter_mut().zip(["first, of two", "second\tof two"]) {
        stage.name = name.to_owned();
        stage.elapsed = odd / 2;
        stage.machine = Some(MachineUse {
            looked_at: odd / 2,
            full: odd / 3,
            core_time: odd / 5,
            cpu: odd / 7,
            waited: Some(odd / 11),
            quota: Some(QuotaUse { periods: nanos, used_up: 1, stopped: odd / 13 }),
        });
        for interval in &mut stage.intervals {
            interval.length = odd / 5;
            interval.total = CompactHistogram::new(&total);
        }
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_written(
        nanos in 1u64..100_000_000_000_000,
        numbers in prop::array::uniform3(0.0f64..1e6),
        times in prop::collection::vec(0u64..2 * Histogram::HIGHEST, 0..50),
    ) {
        let record = untidy(nanos, numbers, &times).at_rest();
        let read = there_and_back(&record);
        prop_assert_eq!(everything(&read), everything(&record));
        prop_assert_eq!(&read.health, &record.health);
        prop_assert_eq!(&read.conditions, &record.conditions);
        prop_assert_eq!(&read.thresholds, &record.thresholds);
        prop_assert_eq!(&read.resources, &record.resources);
        let machines = |record: &RunRecord| record.stages.iter().map(|stage| stage.machine).collect::<Vec<_>>();
        prop_assert_eq!((machines(&read), &read.machine), (machines(&record), &record.machine));
        let intervals = |record: &RunRecord| -> Vec<_> {
            record.stages.iter().flat_map(|s| s.intervals.iter().map(|i| (i.start, i.length, i.total.clone()))).collect()
        };
        prop_assert_eq!(intervals(&read), intervals(&record));
    }

    #[test]
    fn damaged_files_are_refused_or_read_but_never_panic(
        file in 0usize..2,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        stored(&fixture::renewal_storm(), folder.path());
        if file == 1 {
            distributions_apart(folder.path());
        }
        let path = folder.path().join(["run.json", "latency.hlog"][file]);
        let mut bytes = fs::read(&path).unwrap();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(record) = read(folder.path()) {
            everything(&record);
        }
    }
}

#[test]
fn a_run_that_was_killed_is_read_from_its_last_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsFolder::open(folder.path().join("r")).unwrap();
    let record = fixture::record().at_rest();
    results.keep(&record).unwrap();
    results.keep(&record).unwrap();
    let lost = read(results.path()).unwrap();
    assert_eq!(lost.status, RunStatus::Lost);
    assert_eq!(verdicts(&lost).last().unwrap().name(), "lost");
    let mut same = lost.clone();
    same.status = record.status;
    assert_eq!(everything(&same), everything(&record));
    // Its report takes the place of the snapshot.
    assert!(results.write(&lost).is_empty());
    assert!(!results.path().join("partial.json").exists());
    assert_eq!(everything(&read(results.path()).unwrap()), everything(&lost));
}

#[test]
fn records_of_before_have_no_resources_over_time() {
    let folder = tempfile::tempdir().unwrap();
    let record = fixture::record();
    stored(&record, folder.path());
    let path = folder.path().join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    run.as_object_mut().unwrap().remove("resources").unwrap();
    fs::write(&path, run.to_string()).unwrap();
    let read = read(folder.path()).unwrap();
    assert!(read.resources.is_empty());
    assert_eq!(read.generator, record.generator);
}

/// As versions wrote it before the fleet had a place of its own.
#[test]
fn the_size_of_the_fleet_and_what_was_merged_are_read_from_settings_where_there_is_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let parts = [fixture::renewal_storm(), RunRecord { seed: 43, ..fixture::renewal_storm() }];
    let sum = merge(&parts).unwrap();
    stored(&sum, folder.path());
    let whole = read(folder.path()).unwrap();
    assert_eq!((&whole.fleet, whole.fleet.parts.len()), (&sum.fleet, 2));

    let path = folder.path().join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    run.as_object_mut().unwrap().remove("fleet").unwrap();
    fs::write(&path, run.to_string()).unwrap();
    let read = read(folder.path()).unwrap();
    assert_eq!((read.fleet.devices, &read.fleet.parts), (sum.fleet.devices, &sum.fleet.parts));
    assert!(read.fleet.classes.is_empty());
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(folder.path()), Err(ReadError::Nothing { .. })));
    stored(&fixture::record(), folder.path());
    let path = folder.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let told = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        read(folder.path()).expect_err(to).to_string()
    };
    assert!(
        told("\"schema\": 1", "\"schema\": 2, \"scenario\": 7").contains("has schema 2, this fleetstorm reads up to 1")
    );
    assert!(told("\"planned\": 1234", "\"planned\": 18446744073709551615").contains("more than any run counts"));
    assert!(told("\"status\": \"complete\"", "\"status\": \"done\"").contains("\"done\" is not known"));
    assert!(told("\"count\": 1230,", "\"count\": 1231,").contains("phase queued: count is 1231"));
}

/// What the two stages of the fixture may have to meet.
fn asked(texts: &[&str]) -> Vec<Threshold> {
    let setting = |(place, text): (usize, &&str)| setting(&format!("thresholds.{place}"), text);
    let settings: Vec<_> = texts.iter().enumerate().map(setting).collect();
    let (asked, not_read) =
        thresholds_of_settings(&settings, &[("storm", StageKind::Renew), ("hold", StageKind::Operate)]);
    assert_eq!(not_read, Vec::<String>::new());
    asked
}

fn setting(key: &str, value: &str) -> Setting {
    Setting { key: key.to_owned(), value: value.to_owned(), origin: Origin::Scenario }
}

#[test]
fn what_a_run_had_to_meet_is_read_as_it_was_written() {
    let mut record = fixture::renewal_storm();
    record.conditions = asked(&[
        "all.total.p99.9 < 1s 1ns",
        "storm.total.failed.min >= 250ns",
        "hold.lateness.mean <= 18446744073s",
        "storm.renew_issue.max > 500us",
        "storm.queued.count != 9007199254740992",
        "all.failed == 0",
        "hold.failed_attempts.throttled <= 12",
        "storm.error_rate < 0.123456789%",
        "storm.success_rate > 99.999%",
        "storm.throughput > 1000/min",
        "storm.attempts_per_success < 1.2",
    ]);
    record.conditions[0].abort_after = Some(Duration::from_millis(1_500));
    assert_eq!(there_and_back(&record).conditions, record.conditions);
}

/// As versions wrote it before conditions were told part by part.
#[test]
fn what_a_run_had_to_meet_is_read_from_settings_where_there_is_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = fixture::renewal_storm();
    let texts = ["storm.total.p99 < 2s", "storm.error_rate < 0.1%", "storm.throughput > 500/s"];
    record.settings.extend((0..).zip(texts).map(|(n, text): (usize, _)| setting(&format!("thresholds.{n}"), text)));
    for (table, check, aborts) in [(0, "storm.expired == 0", "true"), (1, "hold.recover.p99 < 1s", "false")] {
        let of = |key: &str, value: &str| setting(&format!("threshold.{table}.{key}"), value);
        record.settings.extend([of("check", check), of("abort_on_fail", aborts), of("abort_after", "10s")]);
    }
    record.settings.push(setting("thresholds.3", "storm.expired == 5s"));
    stored(&record, folder.path());
    assert_eq!(read(folder.path()).unwrap().notes, record.notes, "nothing is read from settings");
    let path = folder.path().join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    run.as_object_mut().unwrap().remove("conditions").unwrap();
    fs::write(&path, run.to_string()).unwrap();
    let old = read(folder.path()).unwrap();
    assert_eq!(old.conditions, record.conditions);
    let told = "threshold storm.expired == 5s cannot be judged again: \"5s\" is not what this is counted in";
    assert_eq!(old.notes, [&record.notes[..], &[told.to_owned()]].concat());
    // Once it is written anew, there is something else.
    stored(&old, folder.path());
    let again = read(folder.path()).unwrap();
    assert_eq!((again.conditions, again.notes), (old.conditions, old.notes));
}

#[test]
fn what_no_run_has_to_meet_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    stored(&fixture::renewal_storm(), folder.path());
    let path = folder.path().join("run.json");
    let run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let phase = |statistic| json!({ "phase": { "phase": "total", "whose": "all", "statistic": statistic } });
    for (key, value, reason) in [
        ("stages", json!([]), "condition \"storm.total.p99 < 2s\": the stages [] are not some of 2, in order"),
        ("stages", json!([2]), "the stages [2] are not some of 2"),
        ("stages", json!([0, 0]), "the stages [0, 0] are not some of 2"),
        ("stages", json!([-1]), "invalid value"),
        ("metric", json!("total.p99"), "unknown variant"),
        ("metric", json!({ "ratio": "luck" }), "\"luck\" is not known"),
        ("metric", json!({ "count": "retry_after_max" }), "no such number is counted"),
        ("metric", json!({ "of_class": { "count": "planned", "class": "tls" } }), "no such number is counted"),
        ("metric", phase(json!({ "quantile": 1.0 })), "1 is no quantile"),
        ("metric", phase(json!({ "quantile": -1e300 })), "is no quantile"),
        ("metric", phase(json!("count")), "no run could meet it"),
        (
            "metric",
            json!({ "phase": { "phase": "tls", "whose": "all", "statistic": "max" } }),
            "tls has no times of all",
        ),
        (
            "metric",
            json!({ "phase": { "phase": "total", "whose": "censored", "statistic": "max" } }),
            "total has no times of censored",
        ),
        ("comparison", json!("=<"), "\"=<\" is not known"),
        ("comparison", json!("=="), "what is measured is never exactly that"),
        ("bound", json!(-1e300), "no run could meet it"),
        ("bound", json!(null), "invalid type"),
        ("unit", json!("furlongs"), "there is no unit \"furlongs\""),
        ("unit", json!("share"), "no run could meet it"),
        ("abort_after_us", json!(u64::MAX), "is longer than any run"),
    ] {
        let mut run = run.clone();
        run["conditions"][0][key] = value;
        fs::write(&path, run.to_string()).unwrap();
        let error = read(folder.path()).expect_err(reason);
        assert!(error.to_string().contains(reason), "{error}");
        assert!(miette::Diagnostic::help(&error).is_some());
    }
}

/// As versions wrote it before run.json had all.
fn distributions_apart(folder: &Path) {
    let path = folder.join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let stages = run["stages"].as_array_mut().unwrap().iter_mut();
    for interval in stages.flat_map(|stage| stage["intervals"].as_array_mut().unwrap()) {
        interval.as_object_mut().unwrap().remove("histogram").unwrap();
    }
    fs::write(&path, serde_json::to_string_pretty(&run).unwrap()).unwrap();
}

#[test]
fn run_json_alone_is_enough_but_for_records_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let (log, run) = (folder.path().join("latency.hlog"), folder.path().join("run.json"));
    stored(&fixture::renewal_storm(), folder.path());
    let with_log = everything(&read(folder.path()).unwrap());
    let apart = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert_eq!(everything(&read(folder.path()).unwrap()), with_log);

    distributions_apart(folder.path());
    assert!(read(folder.path()).unwrap_err().to_string().contains("latency.hlog"));
    fs::write(&log, apart).unwrap();
    assert_eq!(everything(&read(folder.path()).unwrap()), with_log);
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replacen("\"start_us\": 1000000", "\"start_us\": 2000000", 1)).unwrap();
    assert!(read(folder.path()).unwrap_err().to_string().contains("latency.hlog"));
}

#[test]
fn a_record_that_could_not_be_written_is_not_that_of_a_killed_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r");
    let results = ResultsFolder::open(path.clone()).unwrap();
    results.keep(&fixture::record()).unwrap();
    // Something is in the way of it.
    fs::create_dir_all(path.join("run.json/x")).unwrap();
    assert!(!results.write(&fixture::record()).is_empty());
    drop(results);
    fs::remove_dir_all(path.join("run.json")).unwrap();
    let unwritten = read(&path).unwrap();
    assert_eq!((unwritten.status, path.join("partial.json").exists()), (RunStatus::Unwritten, false));
    assert!(matches!(ResultsFolder::open(path.clone()), Err(FolderError::Occupied { .. })));
    let results = ResultsFolder::existing(path.clone()).unwrap();
    assert!(results.write(&unwritten).is_empty() && !path.join("unwritten.json").exists());
    assert_eq!(read(&path).unwrap().status, RunStatus::Unwritten);
}

#[test]
fn merging_adds_certificates_keeps_the_longest_retry_after_and_invents_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    stored(&fixture::renewal_storm(), folder.path());
    let path = folder.path().join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for interval in run["stages"][0]["intervals"].as_array_mut().unwrap() {
        interval.as_object_mut().unwrap().remove("failed_attempts_by_class").unwrap();
    }
    fs::write(&path, run.to_string()).unwrap();
    let record = read(folder.path()).unwrap();
    let second = &record.stages[0].intervals[0];
    assert_eq!(
        (second.counts.failed_attempts.total(), second.counts.failed_attempts.of(FailureClass::Tls)),
        (1_000, None)
    );
    let twin = RunRecord { seed: 43, ..fixture::renewal_storm() };
    let sum = merge(&[record, twin]).unwrap();
    let second = &sum.stages[0].intervals[0];
    assert_eq!(
        (second.counts.failed_attempts.total(), second.counts.failed_attempts.of(FailureClass::Tls)),
        (2_000, None),
        "half of them is not all"
    );
    let certificates = sum.certificates.unwrap();
    assert_eq!((certificates.certificates(), certificates.without, certificates.expired), (2 * 1_220, 28, 2 * 14));
    assert_eq!(
        sum.stages[0].totals.retry_after_max,
        Some(crate::domain::FleetTime::from_secs(90)),
        "the longest of both"
    );
}

fn part(seed: u64, times: &[u64]) -> RunRecord {
    let mut record = fixture::record();
    record.seed = seed;
    let mut total = Histogram::new();
    times.iter().for_each(|nanos| total.record(*nanos));
    record.stages[0].intervals[0].total = CompactHistogram::new(&total);
    record.stages[0].phases.set(Phase::Total, Fate::Succeeded, &total);
    record
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn merging_loses_nothing_and_the_order_does_not_matter(
        times in prop::collection::vec(prop::collection::vec(1u64..2 * Histogram::HIGHEST, 1..30), 1..4),
    ) {
        let parts: Vec<_> = (0..).zip(&times).map(|(seed, times)| part(seed, times)).collect();
        let sum = merge(&parts).unwrap();
        let reversed = merge(&parts.iter().rev().cloned().collect::<Vec<_>>()).unwrap();
        let mut all = Histogram::new();
        times.concat().iter().for_each(|nanos| all.record(*nanos));
        prop_assert_eq!(&sum.stages[0].phases.succeeded(Phase::Total).unwrap(), &all);
        prop_assert_eq!(&sum.stages[0].intervals[0].total.decode(), &all);
        prop_assert!(sum.totals().add_up());
        prop_assert_eq!(sum.totals().planned, 1_234 * parts.len() as u64);
        prop_assert_eq!(sum.resources.len(), 2);
        prop_assert_eq!(sum.resources[0].generator.cpu, Some(Duration::from_millis(730) * parts.len() as u32));
        prop_assert_eq!(sum.resources[1].emulator.memory, Some(81_498_112));
        prop_assert_eq!(&reversed.resources, &sum.resources);
        prop_assert_eq!(sum.errors.iter().map(|row| row.count).sum::<u64>(), 3 * parts.len() as u64);
        prop_assert_eq!(reversed.totals(), sum.totals());
        prop_assert_eq!(&reversed.stages[0].intervals[0].total, &sum.stages[0].intervals[0].total);
        prop_assert_eq!(&reversed.errors, &sum.errors);
        // What is merged is a result like any other, and knows what it is made of.
        let read = there_and_back(&sum.at_rest());
        let overlaps = matches!(merge(&[read, parts[0].clone()]), Err(MergeError::Overlap { .. }));
        prop_assert!(overlaps);
    }
}

#[test]
fn totals_of_several_stages_count_tasks_and_those_of_the_fleet_devices() {
    let told = |record: &RunRecord| summary(record, Look::new(false)).replace("\n         ", " ");
    let (one, two) = (fixture::record(), fixture::renewal_storm());
    assert!(told(&one).contains("1,230 of 1,234 devices succeeded"), "{}", told(&one));
    assert!(told(&two).contains("2,450 of 2,468 tasks of 1,234 devices succeeded"), "{}", told(&two));
    let other = RunRecord { seed: 43, ..two.clone() };
    let sum = there_and_back(&merge(&[two.clone(), other.clone()]).unwrap().at_rest());
    assert!(told(&sum).contains("4,900 of 4,936 tasks of 2,468 devices succeeded"), "{}", told(&sum));
    // How many devices two fleets of different sizes have is not known.
    let mut larger = other;
    larger.fleet.devices = Some(1_300);
    let sum = merge(&[two, larger]).unwrap();
    assert_eq!(sum.devices(), None);
    assert!(told(&sum).contains("4,900 of 4,936 tasks succeeded"), "{}", told(&sum));
}

#[test]
fn the_largest_and_the_smallest_are_those_of_the_rows_in_every_file_and_in_sums() {
    // In the steps of the histogram they would be 1,148,190 to 1,149,239 and 101,056 to 101,119.
    let parts = [part(1, &[1_148_239_000, 500_000_000]), part(2, &[101_070_000, 700_000_000])];
    let sum = merge(&parts.map(|part| there_and_back(&part.at_rest()))).unwrap().at_rest();
    let folder = tempfile::tempdir().unwrap();
    stored(&sum, folder.path());
    let text = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let column = |file: &str, column: &str, of: &[(&str, &str)]| -> u64 {
        let mut rows = csv::Reader::from_path(folder.path().join(file)).unwrap();
        let names = rows.headers().unwrap().clone();
        let place = |name: &str| names.iter().position(|known| known == name).unwrap();
        let is = |row: &csv::StringRecord| of.iter().all(|(name, value)| &row[place(name)] == *value);
        let row = rows.records().map(Result::unwrap).find(is).unwrap();
        row[place(column)].parse().unwrap()
    };
    let total = [("phase", "total"), ("outcome", "succeeded")];
    for (file, of) in [("phases.csv", total.as_slice()), ("intervals.csv", &[])] {
        assert_eq!((column(file, "min_us", of), column(file, "max_us", of)), (101_070, 1_148_239), "{file}");
        assert!(column(file, "p99_us", of) <= 1_148_239, "{file}");
    }
    // The longest of all that began is not known: some failed, one of them after this time.
    let all = [("phase", "total"), ("outcome", "all")];
    assert_eq!(column("phases.csv", "min_us", &all), 101_070);
    for (file, column_of, of) in
        [("phases.csv", "unknown_above_us", all.as_slice()), ("summary.csv", "total_unknown_above_us", &[])]
    {
        assert_eq!(column(file, column_of, of), 1_521_000, "{file}");
    }
    let run: serde_json::Value = serde_json::from_str(&text("run.json")).unwrap();
    let stage = &run["stages"][0];
    let phase = stage["phases"].as_array().unwrap().iter().find(|phase| phase["phase"] == "total").unwrap();
    for row in [phase, &stage["intervals"][0]] {
        assert_eq!((&row["min_us"], &row["max_us"]), (&101_070.into(), &1_148_239.into()));
    }
    assert!(text("report.html").contains("1.15 s"));
    // A snapshot of a run that goes on keeps them too.
    let results = ResultsFolder::open(folder.path().join("going-on")).unwrap();
    results.keep(&sum).unwrap();
    let lost = read(results.path()).unwrap();
    assert_eq!(lost.stages[0].intervals[0].total.aside(), sum.stages[0].intervals[0].total.aside());
}

#[test]
fn shards_that_began_apart_are_told_and_their_peaks_add_up() {
    let shard = |index, seconds| {
        let mut record = part(7, &[1_000]);
        record.shard = Shard::new(index, 3);
        record.started_at += Duration::from_secs(seconds);
        record.health.saturated = vec!["late".to_owned()];
        record.rows_lost = (index == 2).then_some(9);
        record
    };
    let sum = merge(&[shard(1, 0), shard(2, 1), part(8, &[1_000])]).unwrap();
    assert!(sum.notes.iter().all(|note| !note.contains("apart")), "{:?}", sum.notes);
    assert_eq!(
        (sum.health.peak_in_flight, sum.health.in_flight_limit),
        (2_000, 19_800),
        "those of another seed are not"
    );
    assert_eq!(sum.health.saturated, ["shard 1 of 3: late", "shard 2 of 3: late"]);
    assert_eq!((sum.part_of_fleet().as_deref(), sum.rows_lost), (Some("shards 1, 2 of 3"), Some(9)));
    // Stored, read back and merged with the rest it is whole.
    let sum = merge(&[there_and_back(&sum.at_rest()), shard(3, 4)]).unwrap();
    assert!(sum.notes.iter().any(|note| note.contains("began up to 4.0 s apart")), "{:?}", sum.notes);
    assert_eq!((sum.part_of_fleet(), sum.shard), (None, None));
    assert!(!sum.is_made_of_shards(), "there are two seeds");
    let overlap = merge(&[sum, shard(2, 0)]).unwrap_err().to_string();
    assert!(overlap.contains("seed 7, shard 2 of 3 and in seed 7, shard 2 of 3"), "{overlap}");
}

#[test]
fn what_does_not_belong_together_is_not_merged() {
    let record = fixture::record();
    let told = |change: fn(&mut RunRecord)| {
        let mut other = record.clone();
        other.seed = 43;
        change(&mut other);
        merge(&[record.clone(), other]).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(told(|_| {}), Ok(()));
    for (change, words) in [
        ((|other| other.seed = 42) as fn(&mut RunRecord), "the same devices"),
        (|other| other.scenario = "other".to_owned(), "scenario differs"),
        (|other| other.time_scale = fixture::renewal_storm().time_scale, "time_scale differs"),
        (|other| other.stages[0].name = "other".to_owned(), "list of stages differs"),
        (|other| other.stages[0].totals.dropped = 0, "1234 were planned"),
    ] {
        assert!(told(change).unwrap_err().contains(words), "{words}");
    }
    assert!(matches!(merge(&[]), Err(MergeError::Nothing)));
}
