//! Every format of one fixed record. A change here changes what people's dashboards read: raise the schema if a column
//! goes away or means something else.

use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::domain::{Adding, Count, FailureClass, Level, Phase, Subject};
use crate::measure::{CpuLimit, ErrorRow, MachineUse, QuotaUse, RunRecord, RunStatus};
use crate::report::console::{Look, WIDTH, summary};
use crate::report::counted::Column;
use crate::report::{EXPORTERS, Exporter, FolderError, ResultsFolder, Verdict, fixture, json, verdicts};

fn exported(file: &str, record: &RunRecord) -> String {
    let exporter = EXPORTERS.iter().find(|exporter| exporter.file_name() == file).unwrap();
    let mut bytes = Vec::new();
    exporter.write(record, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_csv() {
    let record = fixture::record();
    for file in ["summary.csv", "phases.csv", "intervals.csv", "errors.csv", "resources.csv"] {
        insta::assert_snapshot!(file, exported(file, &record));
    }
}

#[test]
fn every_csv_of_a_renewal_storm() {
    let record = fixture::renewal_storm();
    for file in ["summary.csv", "intervals.csv", "thresholds.csv", "resources.csv", "certificates.csv", "skips.csv"] {
        insta::assert_snapshot!(format!("renewal_storm_{file}"), exported(file, &record));
    }
}

#[test]
fn no_text_of_a_csv_is_a_formula() {
    let mut record = fixture::renewal_storm();
    let formulas = ["=HYPERLINK(\"http://evil.example\",\"click\")", "+1+1", "@SUM(1;-1)", "-2+3"];
    record.errors = formulas.map(|words| ErrorRow { message: words.to_owned(), ..record.errors[0].clone() }).to_vec();
    record.stages[0].name = "=storm".to_owned();
    record.thresholds[0].text = "=storm.expired == 0".to_owned();
    let column = |file: &str, column: &str| -> Vec<String> {
        let text = exported(file, &record);
        let mut rows = csv::Reader::from_reader(text.as_bytes());
        let place = rows.headers().unwrap().iter().position(|name| name == column).unwrap();
        rows.records().map(|row| row.unwrap()[place].to_owned()).collect()
    };
    let messages = column("errors.csv", "message");
    assert_eq!(messages, ["'=HYPERLINK(\"http://evil.example\",\"click\")", "'+1+1", "'@SUM(1;'-1)", "'-2+3"]);
    for (file, name) in
        [("summary.csv", "stage"), ("phases.csv", "stage"), ("intervals.csv", "stage"), ("thresholds.csv", "threshold")]
    {
        let texts = column(file, name);
        assert!(texts.iter().any(|text| text.starts_with("'=storm")), "{file}: {texts:?}");
        assert!(texts.iter().all(|text| !text.starts_with('=')), "{file}: {texts:?}");
    }
    // run.json is no table.
    assert!(exported("run.json", &record).contains(r#""message": "+1+1""#));
}

#[test]
fn json_of_a_renewal_storm() {
    let mut run: serde_json::Value = serde_json::from_str(&exported("run.json", &fixture::renewal_storm())).unwrap();
    run.sort_all_objects();
    insta::assert_snapshot!(
        "renewal_storm_run.json",
        ["status", "time_scale", "verdicts", "conditions", "thresholds", "totals"]
            .map(|key| format!("{key}: {:#}", run[key]))
            .join("\n")
    );
    assert_eq!(run["stages"][1]["intervals"][0]["telemetry"], 34_160);
    let skip = serde_json::json!({"reason": "failed", "provisioned_in": "rollout", "devices": 11});
    assert_eq!(run["stages"][1]["skips"][0], skip);
}

#[test]
fn json() {
    let record = fixture::record();
    insta::with_settings!({ filters => vec![(r#"histogram": "HISTF?[^"]+|histogram": "eN[^"]+"#, r#"histogram": "…"#)] }, {
        insta::assert_snapshot!("run.json", exported("run.json", &record));
    });
}

#[test]
fn on_a_narrow_terminal_nothing_is_wider_than_it() {
    for record in [fixture::record(), fixture::renewal_storm()] {
        let text = summary(&record, Look::new(false).within(80));
        let is_drawn = |line: &&str| line.contains("at most") && line.contains("/s ");
        let widest = text.lines().filter(|line| !is_drawn(line)).map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 80), "{text}");
    }
}

#[test]
fn console() {
    insta::assert_snapshot!("console", summary(&fixture::record(), Look::new(false)));
}

#[test]
fn console_of_a_bad_run() {
    let mut record = fixture::record();
    record.status = RunStatus::Aborted;
    record.health.saturated =
        vec!["attempts started 512 ms late at p99, more than 100 ms".to_owned(), "CPU pool behind".to_owned()];
    record.question = None;
    record.emulator = None;
    let stage = &mut record.stages[0];
    stage.totals.failed[FailureClass::Verification] = 1;
    stage.totals.succeeded -= 10;
    stage.totals.not_started = 8;
    let mut second = stage.clone();
    second.name = "second wave, after the first".to_owned();
    record.stages.push(second);
    let text = summary(&record, Look::new(false));
    insta::assert_snapshot!("console_of_a_bad_run", text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "wider than {WIDTH} columns");
}

/// A stage of which this machine was full for 78 %, with a core and a half to use.
fn on_a_full_machine() -> RunRecord {
    let mut record = fixture::record();
    let ms = Duration::from_millis;
    record.machine.cpu_limit = Some(CpuLimit { quota: ms(150), period: ms(100) });
    record.stages[0].machine = Some(MachineUse {
        looked_at: ms(1_950),
        full: ms(1_521),
        core_time: ms(2_282),
        cpu: ms(2_200),
        waited: Some(ms(6_820)),
        quota: Some(QuotaUse::default()),
    });
    record
}

#[test]
fn a_full_machine_is_told_before_any_number_and_fails_nothing() {
    let record = on_a_full_machine();
    let [Verdict::MachineFull { .. }, Verdict::Complete] = &verdicts(&record)[..] else {
        panic!("{:?}", verdicts(&record))
    };
    let text = summary(&record, Look::new(false));
    let head: Vec<_> = text.lines().skip_while(|line| !line.starts_with("MACHINE FULL")).take(7).collect();
    insta::assert_snapshot!("console_of_a_full_machine", head.join("\n"));
    assert!(text.contains("2 cores (CPU limited to 1.5 cores by its cgroup)"), "{text}");
    for (file, told) in [
        ("run.json", "storm: full for 78 % of it"),
        ("run.json", "\"full_us\": 1521000"),
        ("summary.csv", ",machine_full+complete,"),
        ("report.html", "<strong>Machine full</strong>: this machine was full"),
        ("report.html", "in time, but on a full machine"),
    ] {
        assert!(exported(file, &record).contains(told), "{file}: {told}");
    }
    // Without an emulator beside it nothing is said of one, and a saturated generator goes first.
    let mut alone = record.clone();
    alone.emulator = None;
    assert!(!verdicts(&alone)[0].sentence().contains("emulator"));
    alone.health.saturated = vec!["the quota".to_owned()];
    assert_eq!(
        verdicts(&alone).iter().map(Verdict::name).collect::<Vec<_>>(),
        ["saturated", "machine_full", "complete"]
    );
    // Not for so long that it matters, or not told at all.
    let mut spare = record;
    for seen in [None, Some(MachineUse { full: Duration::from_millis(190), ..spare.stages[0].machine.unwrap() })] {
        spare.stages[0].machine = seen;
        assert_eq!(verdicts(&spare), [Verdict::Complete], "{seen:?}");
    }
}

#[test]
fn console_of_a_renewal_storm() {
    let text = summary(&fixture::renewal_storm(), Look::new(false));
    insta::assert_snapshot!("console_of_a_renewal_storm", text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "wider than {WIDTH} columns");
}

#[test]
fn colours_change_no_words() {
    let record = fixture::record();
    let (plain, colored) = (summary(&record, Look::new(false)), summary(&record, Look::new(true)));
    assert!(colored.contains("\u{1b}["));
    let mut escape = false;
    let stripped: String = colored
        .chars()
        .filter(|&c| {
            let keep = !escape && c != '\u{1b}';
            escape = c == '\u{1b}' || (escape && c != 'm');
            keep
        })
        .collect();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&stripped), words(&plain));
}

#[test]
fn latency_log_holds_every_success() {
    let record = fixture::record();
    let text = exported("latency.hlog", &record);
    let mut deserializer = Deserializer::new();
    let mut count = 0;
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            assert_eq!(interval.tag().unwrap().as_str(), "storm");
            let bytes =
                base64::Engine::decode(&base64::engine::general_purpose::STANDARD, interval.encoded_histogram())
                    .unwrap();
            let histogram: hdrhistogram::Histogram<u64> = deserializer.deserialize(&mut bytes.as_slice()).unwrap();
            count += histogram.len();
        }
    }
    assert_eq!(count, record.totals().succeeded);
}

#[test]
fn the_worst_verdict_comes_first() {
    let mut record = fixture::record();
    assert_eq!(verdicts(&record), [Verdict::Complete]);
    record.status = RunStatus::Interrupted;
    record.health.saturated.push("late".to_owned());
    record.stages[0].totals.failed[FailureClass::Verification] = 2;
    let names: Vec<_> = verdicts(&record).iter().map(Verdict::name).collect();
    assert_eq!(names, ["wrong_certificates", "unaccounted", "saturated", "interrupted"]);
    let names: Vec<_> = verdicts(&fixture::renewal_storm()).iter().map(Verdict::name).collect();
    assert_eq!(names, ["thresholds_failed", "stopped"]);
}

#[test]
fn a_shard_and_lost_rows_are_told_in_every_format() {
    let mut record = fixture::record();
    record.shard = crate::domain::Shard::new(2, 4);
    record.rows_lost = Some(233);
    let text = summary(&record, Look::new(false));
    for told in ["seed 42, shard 2 of 4, 2025", "ROWS LOST  233 of 1,233 attempts have no row", "COMPLETE"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
    let page = exported("report.html", &record);
    assert!(
        page.contains("seed 42, shard 2 of 4, <time>") && page.contains("<strong>Rows lost</strong>: 233 of 1,233")
    );
    let run: serde_json::Value = serde_json::from_str(&exported("run.json", &record)).unwrap();
    assert_eq!(run["shard"], serde_json::json!({"index": 2, "count": 4}));
    assert_eq!((&run["rows_lost"], &run["verdicts"][0]["verdict"]), (&233.into(), &"rows_lost".into()));
    assert!(exported("summary.csv", &record).contains(",rows_lost+complete,"));
}

#[test]
fn a_folder_is_written_once_and_an_unused_one_goes_away() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/results");
    drop(ResultsFolder::open(path.clone()).unwrap());
    assert!(!path.exists());

    let folder = ResultsFolder::open(path.clone()).unwrap();
    assert!(folder.write(&fixture::record()).is_empty());
    drop(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(
        files,
        [
            "certificates.csv",
            "errors.csv",
            "intervals.csv",
            "latency.hlog",
            "phases.csv",
            "report.html",
            "resources.csv",
            "run.json",
            "skips.csv",
            "summary.csv",
            "thresholds.csv"
        ],
        "no temporary file is left"
    );
    assert!(matches!(ResultsFolder::open(path), Err(FolderError::Occupied { .. })));
}

#[test]
fn of_several_that_want_a_folder_at_once_one_gets_it() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("results");
    let first = ResultsFolder::open(path.clone()).unwrap();
    assert!(matches!(ResultsFolder::open(path.clone()), Err(FolderError::InUse { .. })));
    assert!(matches!(ResultsFolder::existing(path), Err(FolderError::InUse { .. })));
    drop(first);
    // At the same moment, many times.
    for round in 0..20 {
        let path = parent.path().join(format!("r{round}"));
        let barrier = std::sync::Barrier::new(4);
        let open = || {
            barrier.wait();
            let folder = ResultsFolder::open(path.clone());
            // Nobody goes before all have tried.
            barrier.wait();
            folder.is_ok()
        };
        let got = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|got| *got).count()
        });
        assert_eq!(got, 1);
    }
}

#[test]
fn results_are_for_their_owner_unless_the_folder_says_otherwise() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let own = ResultsFolder::open(parent.path().join("own")).unwrap();
    let fresh = ResultsFolder::fresh(&parent.path().join("results"), SystemTime::now(), "x").unwrap();
    let shared = parent.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o750)).unwrap();
    let shared = ResultsFolder::open(shared).unwrap();
    for (folder, of_folder, most) in [(&own, 0o700, 0o600), (&fresh, 0o700, 0o600), (&shared, 0o750, 0o640)] {
        assert_eq!(mode(folder.path()), of_folder);
        assert!(folder.write(&fixture::record()).is_empty());
        drop(folder.create_file("devices.csv").unwrap());
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let mode = mode(&file.unwrap().path());
            // The umask may take more away.
            assert!(mode & !most == 0 && mode & 0o600 == 0o600, "{mode:o}");
        }
    }
}

/// A format whose writer is broken.
struct Broken;

impl Exporter for Broken {
    fn file_name(&self) -> &'static str {
        "broken.csv"
    }

    fn write(&self, _: &RunRecord, _: &mut dyn std::io::Write) -> std::io::Result<()> {
        panic!("on purpose")
    }
}

#[test]
fn a_writer_that_panics_costs_its_file_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = ResultsFolder::open(parent.path().join("r")).unwrap();
    let errors = folder.write_all(&[&Broken, &json::RunJson], &fixture::record());
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("broken.csv") && errors[0].to_string().contains("panicked"));
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["run.json"], "nothing half-written is left");
}

#[test]
fn a_file_that_cannot_be_written_does_not_stop_the_others() {
    let parent = tempfile::tempdir().unwrap();
    let folder = ResultsFolder::open(parent.path().join("r")).unwrap();
    std::fs::create_dir_all(folder.path().join("phases.csv/x")).unwrap();
    let errors = folder.write(&fixture::record());
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("phases.csv"));
    assert!(folder.path().join("errors.csv").exists());
}

#[test]
fn folders_are_named_by_time_and_scenario() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_740_821_400_250);
    let parent = tempfile::tempdir().unwrap();
    let folders: Vec<_> =
        (0..3).map(|_| ResultsFolder::fresh(&parent.path().join("results"), now, "a storm/here").unwrap()).collect();
    let names: Vec<_> = folders.iter().map(|folder| folder.path().file_name().unwrap().to_str().unwrap()).collect();
    let name = "20250301T093000Z-a-storm-here";
    assert_eq!(names, [name.to_owned(), format!("{name}-2"), format!("{name}-3")]);
}

/// The page of all counts, as the declaration says it.
fn page_of_counts() -> String {
    let mut page = "\
# Counts

Everything that a run counts, made from where it is declared. Each is a column of `summary.csv`, those of seconds one of
`intervals.csv`, a key of the `totals` of every stage in `run.json`, in its `intervals` where it is kept of seconds, a
[metric](metrics.md) and, but for times, the subject of [thresholds](scenarios.md#thresholds). What is counted by class of failures
has its sum under the name, and every class in columns such as `failed_tls`, keys such as `failed_by_class`, thresholds such as
`failed.tls`. Times are in columns and keys in microseconds, as `retry_after_max_us`. What a record does not know, as it was
written before there was the count, is empty or has no key.

| count | of | seconds | what it counts |
|---|---|---|---|
"
    .to_owned();
    for count in Count::ALL {
        let of = match count.subject() {
            Subject::Devices => "devices",
            Subject::Attempts => "attempts",
            Subject::Traffic => "traffic",
        };
        let seconds = if count.levels().contains(&Level::Second) { "yes" } else { "no" };
        let by_class = if count.adding() == Adding::ByClass { ", by class" } else { "" };
        page += &format!("| `{}`{by_class} | {of} | {seconds} | {} |\n", count.name(), count.help());
    }
    page
}

#[test]
fn the_page_of_all_counts_is_what_is_declared() {
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/counts.md");
    let made = page_of_counts();
    if std::env::var_os("FLEETSTORM_BLESS").is_some() {
        std::fs::write(PAGE, &made).unwrap();
    }
    let there = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(there == made, "docs/counts.md is not up to date: run this test once with FLEETSTORM_BLESS=1");
}

/// What docs/results.md says of a file.
fn section<'a>(page: &'a str, file: &str) -> &'a str {
    page.split(&format!("**`{file}`**")).nth(1).unwrap().split("\n**").next().unwrap()
}

#[test]
fn every_column_is_documented() {
    let page = include_str!("../../docs/results.md");
    for file in [
        "summary.csv",
        "phases.csv",
        "intervals.csv",
        "errors.csv",
        "skips.csv",
        "thresholds.csv",
        "resources.csv",
        "certificates.csv",
    ] {
        let section = section(page, file);
        let header = exported(file, &fixture::record()).lines().next().unwrap().to_owned();
        // Those of counts are on a page of their own.
        let is_count = |column: &str| {
            let name = column.strip_suffix("_us").unwrap_or(column);
            Column::at(Level::Stage).any(|count| count.name() == name)
        };
        for column in header.split(',').filter(|column| !is_count(column)) {
            assert!(section.contains(&format!("`{column}`")), "docs/results.md does not document {column} of {file}");
        }
    }
    for phase in Phase::ALL {
        assert!(page.contains(&format!("`{phase}`")), "docs/results.md does not document the phase {phase}");
    }
    for class in FailureClass::ALL {
        assert!(page.contains(&format!("| `{class}` | ")), "docs/results.md does not document the class {class}");
    }
}

/// What a table says of counts must not stand in two places, of which one is written by hand.
#[test]
fn what_counts_are_is_said_on_their_own_page_alone() {
    let scenarios = include_str!("../../docs/scenarios.md");
    let thresholds = scenarios.split("\n## Thresholds\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let is_count = |name: &str| {
        let name = ["_us", "_total"].iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
        let name = name.strip_prefix("devices_").unwrap_or(name);
        Count::from_name(name).is_some()
    };
    let results = include_str!("../../docs/results.md");
    let of_stages = ["summary.csv", "intervals.csv"].map(|file| section(results, file)).concat();
    for (page, text) in
        [("results", &*of_stages), ("metrics", include_str!("../../docs/metrics.md")), ("scenarios", thresholds)]
    {
        assert!(text.contains("(counts.md)"), "docs/{page}.md does not say where counts are");
        // A class of failures has the name of a count, too.
        let tables = text.split("\n\n").filter(|part| !part.starts_with("| class of failures "));
        let rows = tables.flat_map(str::lines).filter(|line| line.starts_with("| `"));
        // By outcome is not how anything is counted: such a metric is put together.
        for row in rows.filter(|row| !row.contains("`outcome`")) {
            let mut named = row.split(" | ").next().unwrap().split('`').skip(1).step_by(2);
            assert!(!named.all(is_count), "docs/{page}.md says by hand what docs/counts.md has: {row}");
        }
    }
    for phase in Phase::ALL {
        assert!(thresholds.contains(&format!("`{phase}`")), "docs/scenarios.md does not tell the phase {phase}");
    }
    for class in FailureClass::ALL {
        assert!(thresholds.contains(&format!("`{class}`")), "docs/scenarios.md does not tell the class {class}");
    }
}

#[test]
fn a_terminal_of_a_few_columns_gets_rows_not_letters() {
    for columns in [1, 20, 40] {
        let text = summary(&fixture::record(), Look::new(false).within(columns));
        let total = text.lines().find(|line| line.starts_with(" total ")).expect("a row of the table of phases");
        let words = total.split_whitespace().filter(|word| *word != ">").count();
        assert_eq!(words, 10, "name, count, and four times with their units: {total}");
    }
}
