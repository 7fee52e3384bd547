//! The tables `[[threshold]]`, and the list `thresholds` that is short for them.

use std::time::Duration;

use crate::scenario::Threshold;
use crate::scenario::stage::Head;
use crate::scenario::threshold::early;
use crate::scenario::threshold::parse::{self, Condition};
use crate::settings::Place;
use crate::settings::Problem;
use crate::settings::Section;
use crate::settings::expect::{self, boolean, duration};

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn read_all(root: &mut Section<'_>, stages: &[Head]) -> Option<Vec<Threshold>> {
    let valid = "a condition such as \"provision.total.p99 < 2s\"";
    let mut complete = true;
    let mut thresholds = Vec::new();
    match root.list("thresholds", &expect::text(valid)) {
        Some(list) => {
            for (text, path, place) in list {
                match read_condition(root, &text, &path, &place, stages) {
                    Some(condition) => thresholds.push(threshold(&text, condition, None)),
                    None => complete = false,
                }
            }
        }
        None => complete = false,
    }
    let how = "write `[[threshold]]` with `check = \"provision.total.p99 < 2s\"`";
    for mut section in root.sections_if_any("threshold", how) {
        let text = section.required("check", &expect::text(valid));
        let condition = text.as_ref().and_then(|text| {
            let (path, place) = section.locate("check");
            read_condition(&section, text, &path, &place, stages)
        });
        let aborts = section.or("abort_on_fail", "false", &boolean());
        let abort_after = if aborts == Some(false) {
            let why = "has no meaning: the threshold is judged at the end";
            section.refuse("abort_after", why, "set abort_on_fail = true, or leave it out");
            Some(None)
        } else {
            section.or("abort_after", "10s", &duration(Duration::ZERO..=HOUR)).map(Some)
        };
        let judged_early = condition.as_ref().filter(|_| aborts == Some(true));
        if let (Some(text), Some(Err(refusal))) = (&text, judged_early.map(early::check)) {
            let message = format!("cannot be true for {text:?}: {}", refusal.reason);
            section.problem("abort_on_fail", &message, &refusal.help);
            complete = false;
        }
        section.finish();
        match (text, condition, aborts, abort_after) {
            (Some(text), Some(condition), Some(_), Some(abort_after)) => {
                thresholds.push(threshold(&text, condition, abort_after));
            }
            _ => complete = false,
        }
    }
    complete.then_some(thresholds)
}

fn read_condition(section: &Section<'_>, text: &str, path: &str, place: &Place, stages: &[Head]) -> Option<Condition> {
    parse::parse(text, stages)
        .inspect_err(|refusal| {
            let problem = Problem::new(format!("`{path}` cannot be {text:?}: {}", refusal.reason));
            section.findings().problem(place, problem.help(refusal.help.as_str()));
        })
        .ok()
}

fn threshold(text: &str, condition: Condition, abort_after: Option<Duration>) -> Threshold {
    let Condition { stages, metric, comparison, bound } = condition;
    Threshold { text: text.trim().to_owned(), stages, metric, comparison, bound, abort_after }
}
