use indicatif::InMemoryTerm;

use super::*;
use std::sync::Arc;

use crate::cli::live::words::Extent;
use crate::domain::{Counts, FailureClass, Fate, FleetTime, Known, Phase, TimeScale};
use crate::engine::{Distributions, StageProgress};
use crate::measure::{PhaseBuckets, PhaseHistograms};
use crate::report::Tone;

fn about(time_scale: TimeScale) -> About {
    About { stages: vec!["storm".to_owned(), "renewal".to_owned()], time_scale, open_files: 20_000 }
}

fn distributions() -> Arc<Distributions> {
    let mut phases = PhaseHistograms::new();
    for (phase, millis) in [
        (Phase::Queued, 1),
        (Phase::Keygen, 5_000),
        (Phase::Tls, 310),
        (Phase::Register, 25),
        (Phase::PollWait, 1_000),
        (Phase::HubTls, 420),
        (Phase::Total, 1_800),
    ] {
        phases.record_one(phase, Fate::Succeeded, millis * 1_000_000);
    }
    Arc::new(Distributions { phases: PhaseBuckets::of(&phases), ..Distributions::default() })
}

fn storm(second: u64) -> Progress {
    let attempts = 620 * second + 40;
    let mut totals = Counts { planned: 5_000, attempts, throttled: 1_033, ..Counts::default() };
    (totals.failed[FailureClass::Timeout], totals.failed_attempts[FailureClass::Timeout]) = (2, 20);
    totals.succeeded = (600 * second).saturating_sub(2);
    let stage = StageProgress {
        totals,
        in_flight: attempts - 600 * second,
        in_phases: vec![(Phase::Tls, 12), (Phase::Register, 1), (Phase::PollWait, 95), (Phase::HubTls, 30)],
        rate: 600.4,
        p50: Some(Known::Is(Duration::from_millis(1_200))),
        p99: Some(Known::Is(Duration::from_millis(3_400))),
        lateness_p99: Some(Duration::from_micros(1_300)),
        distributions: Some(distributions()),
        ..StageProgress::default()
    };
    Progress {
        part: RunPart::Measure,
        elapsed: Duration::from_secs(second),
        stages: vec![stage],
        connected: 412,
        ..Progress::default()
    }
}

/// What a person sees after five seconds of a storm on a terminal with so many columns.
fn seen(columns: u16, about: &About) -> String {
    let term = InMemoryTerm::new(30, columns);
    let mut drawn = Drawn::on(ProgressDrawTarget::term_like(Box::new(term.clone())), false);
    for second in 0..=5 {
        drawn.update(about, &storm(second), (usize::from(columns), 30));
    }
    // The number of open files is that of the test.
    let contents = term.contents();
    contents.lines().map(|line| line.split(" · started late").next().unwrap_or(line).to_owned() + "\n").collect()
}

#[test]
fn a_storm_at_80_columns() {
    insta::assert_snapshot!(seen(80, &about(TimeScale::REAL)));
}

#[test]
fn a_storm_at_120_columns_with_the_fleets_time() {
    let day = TimeScale::new(FleetTime::from_secs(86_400), Duration::from_secs(1)).expect("a scale");
    insta::assert_snapshot!(seen(120, &about(day)));
}

#[test]
fn a_narrow_terminal_gets_no_line_that_wraps() {
    for columns in [1, 10, 33, 60] {
        let histories = Histories::default();
        let about = about(TimeScale::REAL);
        let surroundings = Surroundings { width: columns, rows: 24, color: true, open_files: Some(19_000) };
        let panel = Panel { about: &about, progress: &storm(3), histories: &histories, surroundings };
        for line in panel.lines() {
            assert!(console::measure_text_width(&line) < columns.max(2), "{columns}: {line}");
        }
    }
}

#[test]
fn a_stage_that_ended_leaves_a_line_and_the_panel_leaves_none() {
    let term = InMemoryTerm::new(30, 80);
    let about = about(TimeScale::REAL);
    let mut drawn = Drawn::on(ProgressDrawTarget::term_like(Box::new(term.clone())), false);
    drawn.update(&about, &storm(3), (80, 30));
    let mut next = storm(4);
    next.stages[0].stage = 1;
    next.over = vec![StageProgress { ended: Some(Duration::from_secs(4)), ..storm(4).stages.remove(0) }];
    next.over[0].totals.succeeded = 4_998;
    drawn.update(&about, &next, (80, 30));
    drawn.update(&about, &next, (80, 30));
    let contents = term.contents();
    let left = "storm over at 4.00 s: 4,998 of 5,000 succeeded, p50 1.20 s, p99 3.40 s, 2 failed (2 timeout), 18 retried, 1,033 times 429";
    // It is folded within 80 columns.
    let contents = contents.replace('\n', " ");
    assert!(contents.starts_with(&format!("{left} renewal")), "{contents}");
    drop(Live { about, show: Show::Panel(Box::new(drawn)) });
    assert_eq!(term.contents().replace('\n', " "), left);
}

/// Stages beside each other, by index, name and when they ended; whatever began is here.
fn beside(second: u64, ended: [Option<u64>; 3]) -> Progress {
    let stage = |stage, ended: Option<u64>| StageProgress {
        stage,
        ended: ended.map(Duration::from_secs),
        totals: Counts { succeeded: 10 + stage as u64, ..Counts::default() },
        ..storm(second).stages.remove(0)
    };
    let all = ended.into_iter().enumerate().map(|(index, ended)| stage(index, ended));
    let (stages, over) = all.partition(|stage| stage.ended.is_none());
    Progress { stages, over, ..storm(second) }
}

#[test]
fn stages_that_end_in_any_order_are_told_once_each_by_their_own_names() {
    // The last ends first, so that those before it come later to the front of the list.
    let seen = [
        beside(1, [None, None, None]),
        beside(3, [None, None, Some(2)]),
        beside(5, [None, Some(4), Some(2)]),
        beside(7, [Some(7), Some(4), Some(2)]),
        beside(7, [Some(7), Some(4), Some(2)]),
    ];
    let about = About { stages: ["a", "b", "c"].map(str::to_owned).to_vec(), ..about(TimeScale::REAL) };
    let mut told = Told::default();
    let told = |progress: &Progress| {
        told.news(&progress.over).into_iter().map(|stage| words::ended(&about, stage)).collect::<Vec<_>>()
    };
    let lines: Vec<String> =
        seen.iter().flat_map(told).map(|line| line.split(" of ").next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["c over at 2.00 s: 12", "b over at 4.00 s: 11", "a over at 7.00 s: 10"]);
    // Several in one look come in the order in which they ended.
    let mut told = Told::default();
    let together: Vec<_> = told.news(&seen[3].over).into_iter().map(|stage| stage.stage).collect();
    assert_eq!(together, [2, 1, 0]);
}

#[test]
fn a_stage_that_never_began_is_not_said_to_be_over() {
    let totals = Counts { planned: 400, not_started: 400, ..Counts::default() };
    let stage = StageProgress { totals, ended: Some(Duration::from_secs(3)), ..StageProgress::default() };
    assert_eq!(words::ended(&about(TimeScale::REAL), &stage), "storm did not begin: 400 devices not started");
}

/// A minute of `operate`, 15 seconds after its begin, beside a storm.
fn life() -> Progress {
    let mut totals = Counts { planned: 4_000, attempts: 4_010, ..Counts::default() };
    totals.failed_attempts[FailureClass::Network] = 20;
    let life = StageProgress {
        stage: 1,
        totals,
        connected: 3_990,
        began: Duration::from_secs(5),
        lasts: Some(Duration::from_secs(60)),
        ..StageProgress::default()
    };
    let mut progress = storm(5);
    progress.stages.push(life);
    Progress { elapsed: Duration::from_secs(20), connected: 3_990, ..progress }
}

#[test]
fn devices_that_operate_are_told_by_time_and_by_who_is_connected() {
    let seen = |about: &About| {
        let surroundings = Surroundings { width: 80, rows: 24, color: false, open_files: None };
        Panel { about, progress: &life(), histories: &Histories::default(), surroundings }.lines().join("\n")
    };
    insta::assert_snapshot!(seen(&about(TimeScale::REAL)));
    // A scenario speaks of fleet time.
    let minutes = about(TimeScale::new(FleetTime::from_secs(60), Duration::from_secs(1)).expect("a scale"));
    assert!(seen(&minutes).contains(" 15 min of 1 h  25 %"), "{}", seen(&minutes));
    assert_eq!(
        words::lines(&about(TimeScale::REAL), &life())[1],
        "renewal (measure) 15.0 s of 1 min 0 s, 3,990 of 4,000 connected, 0/s, 0 failed, 20 retried, 0 in flight, 20.0 s"
    );
}

#[test]
fn it_is_all_there_only_when_the_time_is_over() {
    let share = |seconds, ended| {
        let mut progress = life();
        progress.elapsed = Duration::from_secs(seconds);
        progress.stages[1].ended = ended;
        Extent::of(&about(TimeScale::REAL), &progress, &progress.stages[1]).share(100)
    };
    assert_eq!([share(5, None), share(64, None), share(65, None), share(90, None)], [0, 98, 100, 100]);
    // Stopped after half of it, and looked at later.
    assert_eq!(share(90, Some(Duration::from_secs(35))), 50);
    assert_eq!(Extent::devices(0, 0).share(100), 0);
}

#[test]
fn colours_only_where_they_are_wanted() {
    let about = about(TimeScale::REAL);
    let text = |color| {
        let surroundings = Surroundings { width: 80, rows: 24, color, open_files: None };
        Panel { about: &about, progress: &storm(3), histories: &Histories::default(), surroundings }.lines().join("\n")
    };
    assert!(!text(false).contains('\x1b'));
    assert!(text(true).contains(&Tone::Bad.style().style("2 failed (2 timeout)").to_string()), "{:?}", text(true));
}

#[test]
fn failures_are_told_by_class_the_most_frequent_first() {
    let mut stage = StageProgress::default();
    for (class, count) in [(FailureClass::Tls, 10), (FailureClass::Timeout, 1_200), (FailureClass::Throttled, 50)] {
        stage.totals.failed[class] = count;
    }
    let words: Vec<_> = words::counts(&stage).map(|(words, _)| words).collect();
    assert_eq!(words[0], "1,260 failed (1,200 timeout, 50 throttled, …)");
}

#[test]
fn keys_made_ahead_are_a_bar_too() {
    let progress = Progress { keys_ready: 250, keys_wanted: 1_000, ..Progress::default() };
    let about = about(TimeScale::REAL);
    let surroundings = Surroundings { width: 80, rows: 24, color: false, open_files: None };
    let panel = Panel { about: &about, progress: &progress, histories: &Histories::default(), surroundings };
    let lines = panel.lines();
    assert!(lines[0].starts_with("prepare ━") && lines[0].ends_with(" 250/1,000  25 %"), "{lines:?}");
    assert_eq!(words::lines(&about, &progress), ["prepare 250/1,000 keys made ahead of need, 0 µs"]);
}

#[test]
fn a_plain_line_says_what_a_person_watches_for() {
    assert_eq!(
        words::lines(&about(TimeScale::REAL), &storm(5)),
        [
            "storm (measure) 3,000/5,000, 600/s, p50 1.20 s, p99 3.40 s, 2 failed (2 timeout), 18 retried, 1,033 times 429, \
          412 connections held, 140 in flight (95 poll_wait, 30 hub_tls, 12 tls, …), 5.00 s"
        ]
    );
}

#[test]
fn between_stages_a_plain_line_says_so_and_at_the_end_none_does() {
    let mut progress = storm(5);
    progress.stages[0].ended = Some(Duration::from_secs(5));
    let mut about = about(TimeScale::REAL);
    assert_eq!(words::lines(&about, &progress), ["waiting for a stage to begin, 412 connections held, 5.00 s"]);
    about.stages.truncate(1);
    assert!(words::lines(&about, &progress).is_empty());
}

#[test]
fn plain_lines_become_rarer() {
    let at = |seconds| (RunPart::Measure, vec![0, 1], Duration::from_secs(seconds));
    assert!(due(None, &at(0)));
    assert!(due(Some(&at(0)), &at(1)));
    assert!(!due(Some(&at(12)), &at(13)));
    assert!(due(Some(&at(12)), &at(22)));
    assert!(due(Some(&at(12)), &(RunPart::Drain, vec![0, 1], Duration::from_secs(12))));
    assert!(due(Some(&at(12)), &(RunPart::Measure, vec![0], Duration::from_secs(12))));
}

#[test]
fn a_stage_that_waits_for_its_first_device_says_so() {
    let mut progress = storm(3);
    let totals = Counts { planned: 400, ..Counts::default() };
    progress.stages[0] = StageProgress { totals, ..StageProgress::default() };
    let about = about(TimeScale::REAL);
    let surroundings = Surroundings { width: 80, rows: 24, color: false, open_files: None };
    let panel = Panel { about: &about, progress: &progress, histories: &Histories::default(), surroundings };
    assert_eq!(panel.lines()[1..], ["  no device has started yet", "3.00 s · 412 connections held"]);
}

#[test]
fn a_low_terminal_gets_fewer_lines_of_every_stage() {
    let about = About { stages: (0..40).map(|n| format!("stage-{n}")).collect(), ..about(TimeScale::REAL) };
    let stage = |index| StageProgress { stage: index, ..life().stages.remove(index % 2) };
    let seen = |stages: usize, rows| {
        let progress = Progress { stages: (0..stages).map(stage).collect(), ..life() };
        let surroundings = Surroundings { width: 80, rows, color: false, open_files: None };
        Panel { about: &about, progress: &progress, histories: &Histories::default(), surroundings }.lines()
    };
    for stages in [1, 2, 3, 4, 40] {
        for rows in 4..50 {
            let lines = seen(stages, rows);
            assert!(lines.len() < rows, "{stages} stages, {rows} rows: {lines:#?}");
            let bars = lines.iter().filter(|line| line.starts_with("stage-")).count();
            let more = lines.iter().find_map(|line| line.strip_prefix("and ")?.strip_suffix(" stages more"));
            assert_eq!(bars + more.map_or(0, |more| more.parse().unwrap()), stages, "{rows} rows: {lines:#?}");
            assert!(lines[lines.len() - 1].contains("started late"), "{lines:#?}");
        }
    }
    assert!(seen(2, 24).len() > seen(2, 6).len() && seen(2, 6)[2].contains("3,990 of 4,000 connected"));
}
