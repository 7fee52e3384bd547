use std::cmp::Reverse;
use std::fmt::{self, Write};

use crate::domain::{Known, Phase};
use crate::report::compare::{PERCENTILES, Row, word};
use crate::report::html::comparison::data::{change, differs};
use crate::report::html::comparison::tables::tone;
use crate::report::html::escape::Text;

/// Phases in the figure of one stage; the table has all.
const SHOWN: usize = 8;
/// Heights in pixels: of a phase with its name and two lines, of the axis, and of its text from the bottom.
const ROW: usize = 58;
const AXIS: usize = 24;
/// Percent of the width left free at either end, for the words of the axis.
const MARGIN: f64 = 7.0;

/// Phases of one stage with p50, p90 and p99 of both sides on one scale, drawn without a script. Those that differ come
/// first.
pub(super) fn figure(out: &mut String, stage: usize, rows: &[Row]) -> fmt::Result {
    let shown = chosen(rows);
    let values = || shown.iter().flat_map(|(row, _)| &row.values).flat_map(|values| values.sides.map(place));
    let (Some(least), Some(most)) = (values().reduce(f64::min), values().reduce(f64::max)) else { return Ok(()) };
    let scale = Scale::new(least, most);
    let all = rows.iter().filter(|row| row.what.phase().is_some()).count();
    write!(
        out,
        "<figure class=\"wide\" id=\"dots-{stage}\"><figcaption><h4>Phases</h4><p>p50, p90 and p99 of each phase of either side, \
         on one logarithmic scale: the phases that differ first, the furthest apart at the top, then those that take longest{}. A line that goes on to the edge \
         has no p99: too few got through. Point at a phase to read its values; percentiles of each phase by itself do not add up to those of the whole.</p></figcaption><ol class=\"key\">\
         <li><span class=\"side a\">A</span> solid</li><li><span class=\"side b\">B</span> dashed</li><li>● p50</li><li>○ p90</li>\
         <li>| p99</li></ol>",
        match all.saturating_sub(shown.len()) {
            0 => String::new(),
            more => format!("; {more} more are in the table above"),
        }
    )?;
    let height = shown.len() * ROW + AXIS;
    write!(
        out,
        "<svg class=\"dots\" height=\"{height}\" role=\"img\" aria-label=\"p50, p90 and p99 of {} phases of both sides; the values \
         are in the table\">",
        shown.len()
    )?;
    for (nanos, words) in scale.ticks() {
        let x = scale.x(nanos);
        write!(
            out,
            "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"{}\"/><text class=\"tick\" x=\"{x:.2}%\" \
             y=\"{}\">{words}</text>",
            height - AXIS,
            height - 7
        )?;
    }
    for (number, (row, of)) in shown.iter().enumerate() {
        phase(out, number * ROW, row, *of, &scale)?;
    }
    out.push_str(
        "</svg><p class=\"source\">Data: phases.csv of either side, rows with outcome succeeded, of backoff, recover and total \
         those with outcome all: p50_us, p90_us, p99_us (of several runs: of their sum); comparison.json, phases</p></figure>",
    );
    Ok(())
}

/// Those that differ, furthest apart first; then the whole, and of the others those that take longest.
fn chosen(rows: &[Row]) -> Vec<(&Row, Phase)> {
    let times = rows.iter().filter_map(|row| Some((row, row.what.phase()?)));
    let (mut shown, mut rest): (Vec<_>, Vec<_>) = times.partition(|(row, _)| differs(row));
    shown.sort_by(|(a, _), (b, _)| change(b).total_cmp(&change(a)));
    let longest = |row: &Row| row.values.iter().take(1).flat_map(|p50| p50.sides.map(place)).fold(0.0, f64::max) as u64;
    rest.sort_by_key(|(row, phase)| (*phase != Phase::Total, Reverse(longest(row))));
    shown.extend(rest);
    shown.truncate(SHOWN);
    shown
}

/// Where a time is on the scale; one that is not known, where it begins to be possible.
fn place(time: Known<f64>) -> f64 {
    time.least().max(1_000.0)
}

fn phase(out: &mut String, top: usize, row: &Row, of: Phase, scale: &Scale) -> fmt::Result {
    let told = |side: usize| {
        let names = ["p50", "p90", "p99"].into_iter().zip(&row.values);
        let told =
            names.map(|(name, values)| format!("{name} {}", row.what.told(values.sides[side], row.counts[side])));
        told.collect::<Vec<_>>().join(", ")
    };
    write!(
        out,
        "<g><title>{of}: A {}; B {}</title><rect class=\"hit\" x=\"0\" y=\"{top}\" width=\"100%\" height=\"{ROW}\"/><text x=\"4\" \
         y=\"{}\"><tspan class=\"name\">{of}</tspan> <tspan class=\"{}\">{}</tspan></text>",
        Text(&told(0)),
        Text(&told(1)),
        top + 16,
        tone(row.judgement).0,
        word(row)
    )?;
    for (side, class) in ["a", "b"].into_iter().enumerate() {
        write!(out, "<g class=\"{class}\">")?;
        line(out, top + 29 + side * 15, row.values.iter().map(|values| values.sides[side]), scale)?;
        out.push_str("</g>");
    }
    out.push_str("</g>");
    Ok(())
}

/// The percentiles of one side.
fn line(out: &mut String, y: usize, times: impl Iterator<Item = Known<f64>>, scale: &Scale) -> fmt::Result {
    let times: Vec<(Known<f64>, f64)> = times.map(|time| (time, scale.x(place(time)))).collect();
    let [(p50, from), (p90, middle), (p99, end)] = times[..] else { return Ok(()) };
    let known = |time: Known<f64>| time.exact().is_some();
    let to = if known(p99) { end } else { 100.0 };
    write!(out, "<line x1=\"{from:.2}%\" x2=\"{to:.2}%\" y1=\"{y}\" y2=\"{y}\"/>")?;
    if known(p99) {
        let (top, bottom) = (y - 6, y + 6);
        write!(out, "<line class=\"end\" x1=\"{end:.2}%\" x2=\"{end:.2}%\" y1=\"{top}\" y2=\"{bottom}\"/>")?;
    }
    if known(p90) {
        write!(out, "<circle class=\"hollow\" cx=\"{middle:.2}%\" cy=\"{y}\" r=\"4\"/>")?;
    }
    if known(p50) {
        write!(out, "<circle cx=\"{from:.2}%\" cy=\"{y}\" r=\"4.5\"/>")?;
    }
    Ok(())
}

/// Where times are, in percent of the width.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From the smallest to the greatest of the values, in nanoseconds above zero; at least a fifth apart.
    fn new(least: f64, most: f64) -> Self {
        let (low, high) = (least.log10(), most.log10());
        let widen = ((0.08 - (high - low)) / 2.0).max(0.0);
        Self { low: low - widen, high: high + widen }
    }

    fn x(&self, nanos: f64) -> f64 {
        MARGIN + (100.0 - 2.0 * MARGIN) * (nanos.log10() - self.low) / (self.high - self.low)
    }

    /// Powers of ten; between them too when there are few.
    fn ticks(&self) -> Vec<(f64, String)> {
        let within: &[f64] = if self.high - self.low < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        let all = decades.flat_map(|decade| within.iter().map(move |n| n * 10_f64.powi(decade)));
        all.filter(|nanos| (self.low..=self.high).contains(&nanos.log10())).map(|nanos| (nanos, tick(nanos))).collect()
    }
}

/// A round time: `20 µs`, `1 s`.
fn tick(nanos: f64) -> String {
    match nanos {
        n if n < 0.999e6 => format!("{:.0} µs", n / 1e3),
        n if n < 0.999e9 => format!("{:.0} ms", n / 1e6),
        n => format!("{:.0} s", n / 1e9),
    }
}

const _: () = assert!(PERCENTILES.len() == 3, "a dot, a circle and an end");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_time_is_inside(mut values in prop::collection::vec(1_000u64..=3_600_000_000_000, 1..9)) {
            values.sort_unstable();
            let scale = Scale::new(values[0] as f64, values[values.len() - 1] as f64);
            for value in values {
                prop_assert!((MARGIN - 1e-6..=100.0 - MARGIN + 1e-6).contains(&scale.x(value as f64)));
            }
            prop_assert!(scale.ticks().len() <= 10);
        }
    }

    #[test]
    fn ticks_are_round() {
        let words = |least, most| Scale::new(least, most).ticks().into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(words(15e3, 4e9), ["100 µs", "1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(words(15e6, 240e6), ["20 ms", "50 ms", "100 ms", "200 ms"]);
    }
}
