use std::time::Duration;

use crate::domain::{Adding, Count, Counts, FailureClass, Level, Slot};
use crate::measure::{ErrorRow, Interval, ResourceSample, RunRecord, Setting};
use crate::report::Exporter as _;
use crate::report::counted::Column;
use crate::report::csv::IntervalsCsv;
use crate::report::fixture;
use crate::report::html::data::Data;
use crate::report::html::page::page;
use crate::report::html::plots;
use crate::report::html::series::over_time;

fn own(record: &RunRecord) -> String {
    own_of(&page(record).unwrap())
}

/// The page without what is the same in every page: library, script and style.
pub(super) fn own_of(page: &str) -> String {
    let (head, rest) = page.split_once("<style").unwrap();
    let (body, _) = rest.split_once("</style>").unwrap().1.split_once("<script nonce").unwrap();
    format!("{head}{body}")
}

/// Words that would do something if they were markup.
pub(super) const ATTACK: &str = "</script><img src=x onerror=\"alert(1)\">' onload='x <!-- ]]>";

/// Elements, one a line, with their words.
pub(super) fn structure(html: &str) -> String {
    html.split_once("<script id=\"data\"").unwrap().0.replace('<', "\n<").replace("\n</", "</")
}

pub(super) fn assert_whole(html: &str) {
    for element in
        ["section", "table", "thead", "tbody", "tr", "figure", "figcaption", "div", "svg", "g", "ol", "ul", "dl"]
    {
        let opened = html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
        assert_eq!(opened, html.matches(&format!("</{element}>")).count(), "{element}");
    }
}

#[test]
fn structure_of_the_page() {
    let html = own(&fixture::record());
    assert_whole(&html);
    insta::assert_snapshot!("report.html", structure(&html));
}

#[test]
fn structure_of_the_page_of_a_renewal_storm() {
    let html = own(&fixture::renewal_storm());
    assert_whole(&html);
    insta::assert_snapshot!("renewal_storm_report.html", structure(&html));
}

#[test]
fn data_of_the_plots() {
    let data = Data::of(&fixture::renewal_storm()).json().unwrap();
    let mut data: serde_json::Value = serde_json::from_str(&data).unwrap();
    data.sort_all_objects();
    insta::assert_snapshot!("renewal_storm_report_data", format!("{data:#}"));
}

#[test]
fn words_of_a_peer_cannot_break_out() {
    let mut record = fixture::renewal_storm();
    record.scenario = ATTACK.to_owned();
    record.question = Some(ATTACK.to_owned());
    record.target = ATTACK.to_owned();
    record.command.push(ATTACK.to_owned());
    record.notes.push(ATTACK.to_owned());
    record.health.saturated.push(ATTACK.to_owned());
    record.machine.cpu = ATTACK.to_owned();
    record.thresholds[0].text = ATTACK.to_owned();
    record.stages[0].name = ATTACK.to_owned();
    record.stages[0].workload = ATTACK.to_owned();
    record.settings.push(Setting { key: ATTACK.to_owned(), value: ATTACK.to_owned(), ..record.settings[0].clone() });
    let first = Duration::from_secs(1);
    record.errors = vec![ErrorRow {
        class: FailureClass::Rejected,
        code: 1,
        message: ATTACK.to_owned(),
        count: 1,
        first,
        last: first,
    }];
    let html = page(&record).unwrap();
    assert!(!html.contains("<img") && !html.contains("onerror=\"") && !html.contains("onload='"));
    assert_eq!(html.matches("<script").count(), 3, "data, library, script");
    assert_eq!(html.matches("</script>").count(), 3);
    assert!(html.contains("&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;"));
    assert_whole(&own(&record));
}

#[test]
fn the_page_loads_nothing() {
    let html = own(&fixture::renewal_storm());
    for reference in ["src=", "href=\"http", "url(", "@import", "<link", "<iframe", " style="] {
        assert!(!html.contains(reference), "{reference}");
    }
    assert!(html.contains("default-src 'none'"));
    let own_assets = concat!(include_str!("assets/app.js"), include_str!("assets/style.css"));
    assert!(!own_assets.contains("http") && !own_assets.contains("url("));
}

#[test]
fn every_column_has_a_value_per_point_and_the_sums_of_the_intervals() {
    let mut record = fixture::renewal_storm();
    let stage = &mut record.stages[0];
    for (interval, n) in stage.intervals.iter_mut().zip(1..) {
        interval.length = Duration::from_secs(1);
        interval.counts.throttled = 100 * n;
        for (class, of_class) in FailureClass::ALL.into_iter().zip(1..) {
            interval.counts.failed[class] = n * of_class;
        }
    }
    let columns = over_time(stage, 1);
    let points = columns["start_s"].len();
    for (name, values) in &columns {
        assert_eq!(values.len(), points, "{name}");
    }
    let sum = |name: &str| columns[name].iter().filter_map(|n| n.0).sum::<f64>();
    assert!((sum("throttled") - 300.0).abs() < 1e-9);
    for (column, n) in Column::classes(Count::Failed).zip([3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0, 30.0]) {
        assert!((sum(&column.name()) - n).abs() < 1e-9, "{column:?}");
    }
}

#[test]
fn columns_are_named_as_in_the_csv() {
    let mut text = Vec::new();
    IntervalsCsv.write(&fixture::record(), &mut text).unwrap();
    let header = String::from_utf8(text).unwrap().lines().next().unwrap().to_owned();
    let header: Vec<_> = header.split(',').collect();
    for column in Column::at(Level::Second).filter(|column| column.count.adding() != Adding::Longest) {
        assert!(header.contains(&&*column.name()), "{column:?}");
    }
}

#[test]
fn every_count_of_seconds_has_a_plot_where_it_is_not_zero() {
    let mut record = fixture::record();
    for count in Count::at(Level::Second) {
        match record.stages[0].intervals[0].counts.slot(count) {
            Slot::Number(number) => *number = 1,
            Slot::ByClass(failures) => failures[FailureClass::Tls] = 1,
            Slot::Longest(longest) => *longest = Some(crate::domain::FleetTime::from_secs(1)),
        }
    }
    let columns = over_time(&record.stages[0], 1);
    let shown: Vec<_> = plots::over_time(0, &columns).into_iter().flat_map(|plot| plot.series).collect();
    for count in Count::at(Level::Second) {
        let mut names = std::iter::once(Column::of(count)).chain(Column::classes(count)).map(Column::name);
        assert!(names.any(|name| shown.iter().any(|line| line.column == name)), "{count:?}");
    }
    for name in columns.keys().filter(|name| *name != "start_s") {
        assert!(shown.iter().any(|line| line.column == *name), "{name} is carried for nothing");
    }
}

#[test]
fn points_are_bounded_and_keep_their_sums() {
    let mut record = fixture::record();
    let second = record.stages[0].intervals[0].clone();
    let seconds = 86_400;
    let stage = &mut record.stages[0];
    stage.intervals = (0..seconds)
        .map(|n| Interval { start: Duration::from_secs(n), total: Default::default(), ..second.clone() })
        .collect();
    stage.intervals[7].total = second.total;
    let columns = over_time(stage, 1);
    let looked = record.resources[0];
    record.resources = (0..seconds).map(|n| ResourceSample { at: Duration::from_secs(n), ..looked }).collect();
    let points = columns["started"].len();
    assert!((900..=1_000).contains(&points), "{points}");
    let mean = columns["started"].iter().filter_map(|n| n.0).sum::<f64>() / points as f64;
    assert!((mean - second.counts.started as f64).abs() < 0.01, "{mean}");
    assert!(page(&record).unwrap().len() < 2_000_000);
}

#[test]
fn a_long_run_of_many_stages_stays_small() {
    let mut record = fixture::record();
    let stage = record.stages[0].clone();
    record.stages = (0..40)
        .map(|n| {
            let mut stage = stage.clone();
            stage.name = format!("stage-{n}");
            let second = stage.intervals[0].clone();
            stage.intervals = (0..1_000)
                .map(|n| Interval {
                    start: Duration::from_secs(n),
                    due: n * 7,
                    counts: Counts { succeeded: n * 3, ..second.counts },
                    total: Default::default(),
                    ..second.clone()
                })
                .collect();
            stage
        })
        .collect();
    record.errors = vec![record.errors[0].clone(); 5_000];
    let size = page(&record).unwrap().len();
    assert!(size < 2_000_000, "{size}");
}

#[test]
fn a_run_in_which_nothing_happened_has_a_page() {
    let mut record = fixture::record();
    record.stages[0].intervals.clear();
    record.stages[0].phases = Default::default();
    record.errors.clear();
    record.thresholds.clear();
    let html = own(&record);
    assert_whole(&html);
    assert!(html.contains("No attempt failed"));
    record.resources.clear();
    assert!(!own(&record).contains("stage-run"));
    record.stages.clear();
    assert_whole(&own(&record));
}
