//! The tables `[[threshold]]`, and the list `thresholds` that is short for them.

use std::time::Duration;

use crate::domain::Threshold;
use crate::scenario::stage::Head;
use crate::scenario::threshold::parse;
use crate::scenario::threshold::{LATEST_ABORT, early};
use crate::settings::Place;
use crate::settings::Problem;
use crate::settings::Section;
use crate::settings::expect::{self, boolean, duration};

pub(super) fn read_all(root: &mut Section<'_>, stages: &[Head]) -> Option<Vec<Threshold>> {
    let valid = "a condition such as \"provision.total.p99 < 2s\"";
    let mut complete = true;
    let mut thresholds = Vec::new();
    match root.list("thresholds", &expect::text(valid)) {
        Some(list) => {
            for (text, path, place) in list {
                match read_check(root, &text, &path, &place, stages) {
                    Some(threshold) => thresholds.push(threshold),
                    None => complete = false,
                }
            }
        }
        None => complete = false,
    }
    let how = "write `[[threshold]]` with `check = \"provision.total.p99 < 2s\"`";
    for mut section in root.sections_if_any("threshold", how) {
        let text = section.required("check", &expect::text(valid));
        let threshold = text.as_ref().and_then(|text| {
            let (path, place) = section.locate("check");
            read_check(&section, text, &path, &place, stages)
        });
        let aborts = section.or("abort_on_fail", "false", &boolean());
        let abort_after = if aborts == Some(false) {
            let why = "has no meaning: the threshold is judged at the end";
            section.refuse("abort_after", why, "set abort_on_fail = true, or leave it out");
            Some(None)
        } else {
            section.or("abort_after", "10s", &duration(Duration::ZERO..=LATEST_ABORT)).map(Some)
        };
        let judged_early = threshold.as_ref().filter(|_| aborts == Some(true));
        if let (Some(text), Some(Err(refusal))) = (&text, judged_early.map(early::check)) {
            let message = format!("cannot be true for {text:?}: {}", refusal.reason);
            section.problem("abort_on_fail", &message, &refusal.help);
            complete = false;
        }
        section.finish();
        match (threshold, aborts, abort_after) {
            (Some(threshold), Some(_), Some(abort_after)) => thresholds.push(Threshold { abort_after, ..threshold }),
            _ => complete = false,
        }
    }
    complete.then_some(thresholds)
}

fn read_check(section: &Section<'_>, text: &str, path: &str, place: &Place, stages: &[Head]) -> Option<Threshold> {
    parse::parse(text, stages)
        .inspect_err(|refusal| {
            let problem = Problem::new(format!("`{path}` cannot be {text:?}: {}", refusal.reason));
            section.findings().problem(place, problem.help(refusal.help.as_str()));
        })
        .ok()
}
