//! The grammar of thresholds: `<stage | kind | all>.<metric>[.<part>] <comparison> <bound>`.

use crate::domain::{
    Adding, ComparisonOperator, Count, FailureClass, Fate, Metric, Phase, Ratio, StageKind, Statistic, Threshold, Whose,
};
use crate::scenario::stage::Head;
use crate::scenario::threshold::bound::{self, Unit, percent_of_one};
use crate::settings::expect::nearest;

/// Why a text is no threshold, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::scenario) struct Refusal {
    pub(in crate::scenario) reason: String,
    pub(in crate::scenario) help: String,
}

impl Refusal {
    pub(in crate::scenario) fn new(reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self { reason: reason.into(), help: help.into() }
    }
}

const FORM: &str =
    "write STAGE.METRIC COMPARISON BOUND, such as \"provision.total.p99 < 2s\" or \"renew.expired == 0\"";

/// Counts that are numbers: a time that devices were told is one of the fleet, where bounds are real times.
fn counts() -> impl Iterator<Item = Count> {
    Count::ALL.into_iter().filter(|count| count.adding() != Adding::Longest)
}

const STATISTICS: [&str; 8] = ["count", "min", "mean", "max", "p50", "p90", "p99", "p99.9"];

/// What a text means; as far as it says, it is judged at the end only.
pub(in crate::scenario) fn parse(text: &str, stages: &[Head]) -> Result<Threshold, Refusal> {
    let (left, comparison, right) = split(text)?;
    let (subject, metric) =
        left.split_once('.').ok_or_else(|| Refusal::new(format!("\"{left}\" names no metric"), FORM))?;
    let chosen = choose(subject.trim(), stages)?;
    let metric = read_metric(metric.trim())?;
    let bound = bound::read(right, Unit::of(metric))?;
    bound::check(metric, comparison, bound)?;
    check_phase(metric, &chosen, stages)?;
    Ok(Threshold { text: text.trim().to_owned(), stages: chosen, metric, comparison, bound, abort_after: None })
}

fn split(text: &str) -> Result<(&str, ComparisonOperator, &str), Refusal> {
    let at = text.find(['<', '>', '=', '!']).ok_or_else(|| Refusal::new("it compares nothing", FORM))?;
    let (left, rest) = text.split_at(at);
    let found = ComparisonOperator::ALL.into_iter().find_map(|known| Some((known, rest.strip_prefix(known.name())?)));
    let (comparison, right) = found
        .ok_or_else(|| Refusal::new("it has no comparison that is known", "compare with <, <=, >, >=, == or !="))?;
    let (left, right) = (left.trim(), right.trim());
    if right.starts_with(['<', '>', '=', '!']) {
        return Err(Refusal::new("it has no comparison that is known", "compare with <, <=, >, >=, == or !="));
    }
    if left.is_empty() || right.is_empty() {
        return Err(Refusal::new("a side of the comparison is empty", FORM));
    }
    Ok((left, comparison, right))
}

/// A stage's name wins over a kind of the same word.
fn choose(subject: &str, stages: &[Head]) -> Result<Vec<usize>, Refusal> {
    if subject == "all" {
        return Ok((0..stages.len()).collect());
    }
    let named = |stage: &Head| stage.name.as_deref() == Some(subject);
    let of_kind = |stage: &Head| stage.kind.is_some_and(|kind| kind.name() == subject);
    let which = |is: &dyn Fn(&Head) -> bool| -> Vec<usize> {
        stages.iter().enumerate().filter(|(_, stage)| is(stage)).map(|(index, _)| index).collect()
    };
    for found in [which(&named), which(&of_kind)] {
        if !found.is_empty() {
            return Ok(found);
        }
    }
    if stages.iter().any(|stage| stage.name.is_none() || stage.kind.is_none()) {
        // It may be the one that could not be read, whose problem is noted.
        return Ok(Vec::new());
    }
    let mut names: Vec<&str> = stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
    for kind in stages.iter().filter_map(|stage| stage.kind) {
        if !names.contains(&kind.name()) {
            names.push(kind.name());
        }
    }
    names.push("all");
    let reason = format!("there is no stage \"{subject}\" and none of such a kind");
    Err(Refusal::new(reason, meant(subject, &names, "stages and kinds")))
}

fn read_metric(text: &str) -> Result<Metric, Refusal> {
    let (name, part) = text.split_once('.').map_or((text, None), |(name, part)| (name, Some(part)));
    if let Some(ratio) = Ratio::ALL.into_iter().find(|ratio| ratio.name() == name) {
        return alone(name, part, Metric::Ratio(ratio));
    }
    if name == "lateness" {
        return read_statistic(name, part).map(Metric::Lateness);
    }
    if let Some(count) = counts().find(|count| count.name() == name) {
        return match part.filter(|_| count.adding() == Adding::ByClass) {
            Some(class) => read_class(class).map(|class| Metric::OfClass(count, class)),
            None => alone(name, part, Metric::Count(count)),
        };
    }
    if let Some(phase) = Phase::from_name(name) {
        let (of, statistic) = part.map_or((None, None), |part| match part.split_once('.') {
            Some((of, statistic)) => (fate(of), Some(statistic)),
            None => (fate(part), None),
        });
        let whose = of.map_or_else(|| whose_unless_told(phase), Whose::Of);
        let statistic = if of.is_some() { statistic } else { part };
        return read_statistic(name, statistic).map(|statistic| Metric::Phase { phase, whose, statistic });
    }
    let names: Vec<&str> = Ratio::ALL
        .map(Ratio::name)
        .into_iter()
        .chain(["lateness"])
        .chain(counts().map(Count::name))
        .chain(Phase::ALL.map(Phase::name))
        .collect();
    Err(Refusal::new(format!("there is no metric \"{name}\""), meant(name, &names, "metrics")))
}

/// Those whose times can be asked for apart.
fn fate(text: &str) -> Option<Fate> {
    [Fate::Succeeded, Fate::Failed].into_iter().find(|fate| fate.name() == text)
}

/// Whose times a phase has, unless those of one fate are named.
pub(super) const fn whose_unless_told(phase: Phase) -> Whose {
    if phase.is_of_device() { Whose::All } else { Whose::Of(Fate::Succeeded) }
}

fn read_class(class: &str) -> Result<FailureClass, Refusal> {
    let found = FailureClass::ALL.into_iter().find(|known| known.name() == class);
    let names = FailureClass::ALL.map(FailureClass::name);
    let reason = || format!("there is no class of failures \"{class}\"");
    found.ok_or_else(|| Refusal::new(reason(), meant(class, &names, "classes")))
}

/// A metric that is one number.
fn alone(name: &str, part: Option<&str>, metric: Metric) -> Result<Metric, Refusal> {
    match part {
        None => Ok(metric),
        Some(part) => {
            Err(Refusal::new(format!("{name} is one number and has no \"{part}\""), format!("write {name} alone")))
        }
    }
}

fn read_statistic(of: &str, part: Option<&str>) -> Result<Statistic, Refusal> {
    let Some(part) = part else {
        let reason = format!("{of} has many values, and the statistic is missing");
        return Err(Refusal::new(reason, format!("write {of}.p99, or another of {}", STATISTICS.join(", "))));
    };
    match part {
        "count" => return Ok(Statistic::Count),
        "min" => return Ok(Statistic::Min),
        "mean" => return Ok(Statistic::Mean),
        "max" => return Ok(Statistic::Max),
        _ => {}
    }
    if let Some(percent) = part.strip_prefix('p').filter(|percent| percent.starts_with(|c: char| c.is_ascii_digit())) {
        let quantile = percent_of_one(percent).filter(|quantile| *quantile > 0.0 && *quantile < 1.0);
        return quantile.map(Statistic::Quantile).ok_or_else(|| {
            Refusal::new(
                format!("\"{part}\" is no quantile"),
                "quantiles lie between p0 and p100; the ends are min and max",
            )
        });
    }
    Err(Refusal::new(format!("there is no statistic \"{part}\""), meant(part, &STATISTICS, "statistics")))
}

/// Phases of a renewal are not measured anywhere else.
fn check_phase(metric: Metric, chosen: &[usize], stages: &[Head]) -> Result<(), Refusal> {
    let Metric::Phase { phase: phase @ (Phase::RenewAccept | Phase::RenewIssue), .. } = metric else { return Ok(()) };
    let mut kinds = chosen.iter().filter_map(|index| stages.get(*index)).map(|stage| stage.kind);
    if chosen.is_empty() || kinds.any(|kind| kind.is_none_or(|kind| kind == StageKind::Renew)) {
        return Ok(());
    }
    Err(Refusal::new(format!("{phase} is a phase of renewals only"), "name a stage with kind = \"renew\""))
}

fn meant(word: &str, names: &[&str], what: &str) -> String {
    match nearest(word, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("the {what} are {}", names.join(", ")),
    }
}
