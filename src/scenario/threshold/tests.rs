use std::time::Duration;

use proptest::prelude::*;

use crate::domain::{
    ComparisonOperator, Count, FailureClass, Fate, Metric, Phase, Quantity, Ratio, Statistic, Threshold, Whose,
};
use crate::scenario::Scenario;

/// Two stages that provision, one that renews and has the name of another kind.
const FILE: &str = r#"
schema = 1
name = "t"
fleet.devices = 10
[[stage]]
name = "first"
kind = "provision"
arrival = "at-once"
[[stage]]
name = "second"
kind = "provision"
arrival = "at-once"
[[stage]]
name = "reconnect"
kind = "renew"
arrival = { process = "from-expiry", strategy = "uniform" }
"#;

fn read(check: &str) -> Result<Threshold, String> {
    let sets = [("thresholds".to_owned(), format!("[{check:?}]"))];
    match Scenario::parse("t.toml", FILE, &sets) {
        Ok(mut scenario) => Ok(scenario.thresholds.remove(0)),
        Err(problems) => {
            let all: Vec<String> =
                problems.iter().map(|p| format!("{p}\n    {}", p.remedy().unwrap_or("NO REMEDY"))).collect();
            Err(all.join("\n"))
        }
    }
}

#[test]
fn each_metric_has_its_unit() {
    let read = |text| {
        let Threshold { stages, metric, comparison, bound, abort_after, .. } = read(text).unwrap();
        assert_eq!(abort_after, None);
        (stages, metric, comparison, bound)
    };
    let phase = |phase, whose, statistic| Metric::Phase { phase, whose, statistic };
    let (succeeded, failed) = (Whose::Of(Fate::Succeeded), Whose::Of(Fate::Failed));
    let quantile = Statistic::Quantile;
    use ComparisonOperator::{AtLeast, AtMost, Equal, Less, More, NotEqual};
    for (text, meaning) in [
        (
            "first.total.p99 < 2s",
            (
                vec![0],
                phase(Phase::Total, Whose::All, quantile(0.99)),
                Less,
                Quantity::Time(Duration::from_nanos(2000000000)),
            ),
        ),
        (
            "first.total.succeeded.p99 < 2s",
            (vec![0], phase(Phase::Total, succeeded, quantile(0.99)), Less, Quantity::Time(Duration::from_secs(2))),
        ),
        (
            "all.total.failed.p50<=1s",
            (
                vec![0, 1, 2],
                phase(Phase::Total, failed, quantile(0.5)),
                AtMost,
                Quantity::Time(Duration::from_nanos(1000000000)),
            ),
        ),
        (
            "provision.hub_tls.p99.9 < 250ms",
            (
                vec![0, 1],
                phase(Phase::HubTls, succeeded, quantile(0.999)),
                Less,
                Quantity::Time(Duration::from_nanos(250000000)),
            ),
        ),
        (
            "reconnect.renew_issue.max < 1min",
            (
                vec![2],
                phase(Phase::RenewIssue, succeeded, Statistic::Max),
                Less,
                Quantity::Time(Duration::from_nanos(60000000000)),
            ),
        ),
        (
            "renew.total.count >= 10",
            (vec![2], phase(Phase::Total, Whose::All, Statistic::Count), AtLeast, Quantity::Number(10.0)),
        ),
        (
            "second.lateness.mean < 3ms",
            (vec![1], Metric::Lateness(Statistic::Mean), Less, Quantity::Time(Duration::from_nanos(3000000))),
        ),
        ("renew.expired == 0", (vec![2], Metric::Count(Count::Expired), Equal, Quantity::Number(0.0))),
        ("all.failed != 3", (vec![0, 1, 2], Metric::Count(Count::Failed), NotEqual, Quantity::Number(3.0))),
        (
            "all.failed.throttled > 1",
            (vec![0, 1, 2], Metric::OfClass(Count::Failed, FailureClass::Throttled), More, Quantity::Number(1.0)),
        ),
        ("first.error_rate < 0.1%", (vec![0], Metric::Ratio(Ratio::ErrorRate), Less, Quantity::Share(0.001))),
        ("first.error_rate == 0", (vec![0], Metric::Ratio(Ratio::ErrorRate), Equal, Quantity::Share(0.0))),
        ("first.success_rate >= 99.9 %", (vec![0], Metric::Ratio(Ratio::SuccessRate), AtLeast, Quantity::Share(0.999))),
        ("first.throughput > 600/min", (vec![0], Metric::Ratio(Ratio::Throughput), More, Quantity::PerSecond(10.0))),
        (
            "first.attempts_per_success < 1.2",
            (vec![0], Metric::Ratio(Ratio::AttemptsPerSuccess), Less, Quantity::Number(1.2)),
        ),
    ] {
        assert_eq!(read(text), meaning, "{text}");
    }
}

#[test]
fn what_is_no_threshold_is_refused_with_a_remedy() {
    let refused: Vec<String> = [
        "",
        "first.total.p99",
        "first.total.p99 = 2s",
        "first.total.p99 <> 2s",
        "first < 2s",
        "first.total < 2s",
        "frist.total.p99 < 2s",
        "operate.total.p99 < 2s",
        "first.totl.p99 < 2s",
        "first.total.avg < 2s",
        "first.total.p100 < 2s",
        "first.total.p99 < 2",
        "first.total.p99 < 2%",
        "first.total.p99 == 2s",
        "first.renew_accept.p99 < 2s",
        "first.failed.p99 == 0",
        "first.failed.throtled == 0",
        "first.planned.max == 0",
        "first.expired == 1.5",
        "first.expired < 0",
        "first.failed >= 0",
        "first.error_rate < 0.1",
        "first.error_rate < 101%",
        "first.success_rate <= 100%",
        "first.throughput > 600",
        "first.attempts_per_success < 1",
        "first.attempts_per_success >= 0.5",
    ]
    .into_iter()
    .map(|text| read(text).map_or_else(|refused| refused, |taken| panic!("taken: {taken:?}")))
    .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

#[test]
fn both_sides_are_there_and_quantiles_lie_between_the_ends() {
    let reason = |text| read(text).unwrap_err().lines().next().unwrap().to_owned();
    for text in ["< 2s", "first.total.p99 <", " == "] {
        assert!(reason(text).ends_with("a side of the comparison is empty"), "{}", reason(text));
    }
    for (text, quantile) in [("first.total.p0 < 2s", "p0"), ("first.total.p100 < 2s", "p100")] {
        assert!(reason(text).ends_with(&format!("\"{quantile}\" is no quantile")), "{}", reason(text));
    }
    assert!(read("first.total.p0.0000000001 < 2s").is_ok() && read("first.total.p99.9999 < 2s").is_ok());
}

#[test]
fn what_names_a_stage_that_could_not_be_read_is_no_problem_of_its_own() {
    let told = |key: &str, value: &str, check: &str| {
        let sets = [(key.to_owned(), value.to_owned()), ("thresholds".to_owned(), format!("[{check:?}]"))];
        let problems = Scenario::parse("t.toml", FILE, &sets).expect_err("one is wrong in any case");
        problems.iter().map(|problem| problem.message().to_owned()).collect::<Vec<_>>()
    };
    for (key, value, check) in
        [("stage.2.kind", "renw", "renew.expired == 0"), ("stage.2.name", "5", "renewals.expired == 0")]
    {
        let all = told(key, value, check);
        assert!(all.len() == 1 && all[0].contains(&value.to_owned()), "{all:?}");
    }
}

#[test]
fn tables_may_abort_the_run() {
    let text = format!("{FILE}\n[[threshold]]\ncheck = \"renew.expired == 0\"\nabort_on_fail = true\n");
    let after = |sets: &[(&str, &str)]| {
        let sets: Vec<(String, String)> = sets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Scenario::parse("t.toml", &text, &sets)
            .map(|scenario| scenario.thresholds[0].abort_after)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(after(&[]), Ok(Some(Duration::from_secs(10))));
    assert_eq!(after(&[("threshold.0.abort_after", "1s")]), Ok(Some(Duration::from_secs(1))));
    assert_eq!(after(&[("threshold.0.abort_on_fail", "false")]), Ok(None));
    let contradiction = after(&[("threshold.0.abort_on_fail", "false"), ("threshold.0.abort_after", "1s")]);
    assert_eq!(contradiction.map_err(|problems| problems.len()), Err(1));
}

#[test]
fn what_a_run_may_miss_at_first_and_meet_later_does_not_end_it() {
    let aborts = |check: &str| {
        let text = format!("{FILE}\n[[threshold]]\ncheck = {check:?}\nabort_on_fail = true\n");
        Scenario::parse("t.toml", &text, &[]).map(|_| ()).map_err(|problems| {
            let told = |p: &crate::settings::Problem| format!("{p}\n    {}", p.remedy().unwrap_or("NO REMEDY"));
            problems.iter().map(told).collect::<Vec<_>>().join("\n")
        })
    };
    for taken in [
        "first.failed == 0",
        "first.succeeded < 3",
        "renew.expired <= 2",
        "first.failed.tls < 1",
        "first.total.failed.count == 0",
        "first.total.max < 2s",
        "first.total.min > 1ms",
        "first.total.p99 > 1s",
        "first.total.p99 < 2s",
        "first.lateness.mean < 1s",
        "first.error_rate < 1%",
        "first.success_rate > 99%",
        "first.throughput >= 10/s",
        "first.attempts_per_success > 2",
    ] {
        assert_eq!(aborts(taken), Ok(()), "{taken}");
    }
    let refused = [
        "first.succeeded >= 1",
        "first.succeeded == 10",
        "first.failed != 0",
        "all.attempts > 3",
        "first.failed.tls != 2",
        "first.total.count >= 10",
        "first.total.max > 2s",
        "first.lateness.max >= 1ms",
        "first.total.min < 1ms",
        "first.planned == 10",
        "first.not_started == 0",
    ];
    let refused = refused.map(|check| aborts(check).expect_err(check));
    insta::assert_snapshot!(refused.join("\n"));
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,40}") {
        let _ = read(&text);
    }

    #[test]
    fn near_thresholds_are_taken_or_refused(text in "(all|first)\\.(total|failed|lateness)(\\.[a-z0-9.]{0,6})?[<=>! ]{0,3}[0-9.]{0,4}[s%/]{0,2}") {
        let _ = read(&text);
    }
}
