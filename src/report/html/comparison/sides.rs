use std::fmt::{self, Write};

use crate::measure::RunRecord;
use crate::report::html::comparison::Side;
use crate::report::html::comparison::tables::chip;
use crate::report::html::escape::Text;
use crate::report::html::frame::{foot, head};
use crate::report::{tasks, units};

/// Different values of one thing that are named, and runs of a side that have a row.
const NAMED: usize = 4;
const LISTED: usize = 20;

/// Who is A and who is B.
pub(super) fn sides(out: &mut String, sides: [Side<'_>; 2]) -> fmt::Result {
    out.push_str("<div class=\"sides\">");
    for (name, side) in ["A", "B"].into_iter().zip(sides) {
        let Side { name: folder, runs } = side;
        let role = if name == "A" { "the baseline" } else { "held against it" };
        write!(out, "<section><h3>{} <code>{}</code> <small>{role}</small></h3><dl>", chip(name), Text(folder))?;
        let began = {
            let mut moments: Vec<_> = runs.iter().map(|run| run.started_at).collect();
            moments.sort_unstable();
            match (moments.first(), moments.last()) {
                (Some(first), Some(last)) if first != last => {
                    format!("{} to {}", units::rfc3339(*first), units::rfc3339(*last))
                }
                (Some(first), _) => units::rfc3339(*first),
                _ => String::new(),
            }
        };
        for (label, value) in [
            ("Runs", units::count(runs.len() as u64)),
            ("Began", began),
            ("Version", distinct(runs, |run| format!("fleetstorm {}", run.version))),
            ("Seed", distinct(runs, |run| run.seed.to_string())),
            ("Target", distinct(runs, |run| run.target.clone())),
            (
                "Machine",
                distinct(runs, |run| {
                    let machine = &run.machine;
                    format!(
                        "{}, {} cores, {}, {}",
                        machine.cpu,
                        machine.cores,
                        units::bytes(machine.memory),
                        machine.os
                    )
                }),
            ),
            ("Command", distinct(runs, |run| run.command.join(" "))),
        ] {
            write!(out, "<div><dt>{label}</dt><dd>{}</dd></div>", Text(&value))?;
        }
        out.push_str("</dl></section>");
    }
    out.push_str("</div>");
    runs(out, sides)
}

fn runs(out: &mut String, sides: [Side<'_>; 2]) -> fmt::Result {
    let of = sides.iter().flat_map(|side| side.runs).next().map_or("devices", tasks::nouns);
    let succeeded = format!("#{of} that succeeded");
    head(
        out,
        "Runs",
        &["side", "#run", "#seed", &succeeded, "#failed", "#dropped", "#attempts", "#429s", "#rate", "#took"],
    );
    for (name, side) in ["A", "B"].into_iter().zip(sides) {
        for (number, run) in (1..).zip(side.runs.iter().take(LISTED)) {
            let totals = run.totals();
            write!(out, "<tr><td>{}</td><td class=\"n\">{number}</td>", chip(name))?;
            for value in [
                run.seed.to_string(),
                format!("{} of {}", units::count(totals.succeeded), units::count(totals.planned)),
                units::count(totals.failed.total()),
                units::count(totals.dropped),
                units::count(totals.attempts),
                units::count(totals.throttled),
                units::rate(totals.succeeded, run.elapsed),
                units::duration(run.elapsed),
            ] {
                write!(out, "<td class=\"n\">{value}</td>")?;
            }
            out.push_str("</tr>");
        }
    }
    foot(out);
    let hidden: usize = sides.iter().map(|side| side.runs.len().saturating_sub(LISTED)).sum();
    if hidden > 0 {
        write!(out, "<p>{} runs more were compared and are not listed.</p>", units::count(hidden as u64))?;
    }
    out.push_str("<p class=\"source\">Data: run.json of every run</p>");
    Ok(())
}

/// What the runs of a side have of something; all of one mind in most cases.
fn distinct(runs: &[RunRecord], of: impl Fn(&RunRecord) -> String) -> String {
    let mut values: Vec<String> = Vec::new();
    for value in runs.iter().map(of) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let more = values.len().saturating_sub(NAMED);
    values.truncate(NAMED);
    let named = values.join("; ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}
