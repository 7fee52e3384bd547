use std::fmt::{self, Write};

use crate::domain::Phase;
use crate::measure::StageRecord;
use crate::report::html::escape::Text;
use crate::report::units;

/// Not part of a device's way: made ahead of need, what is part of another phase, the sums themselves, and the time of a held
/// connection.
const APART: [Phase; 7] =
    [Phase::Late, Phase::Keygen, Phase::Csr, Phase::Sas, Phase::Recover, Phase::Total, Phase::TotalRaw];

/// Tones that the style sheet has. Neighbours differ; beyond these they repeat, and the number in the key tells them apart.
const TONES: usize = 8;
/// Percent of a bar from which a number fits into a segment, on a phone too.
const NUMBERED: f64 = 5.0;

struct Segment {
    number: usize,
    phase: Phase,
    nanos: [u64; 2],
}

/// Where a device's time goes: the phases stacked at p50 and at p99, drawn as bars that need no script.
pub(super) fn phases(out: &mut String, position: usize, stage: &StageRecord) -> fmt::Result {
    let segments: Vec<_> = Phase::ALL
        .into_iter()
        .filter(|phase| !APART.contains(phase))
        .filter_map(|phase| Some((phase, stage.phases.succeeded(phase)?.summary()?)))
        .enumerate()
        .map(|(index, (phase, summary))| Segment { number: index + 1, phase, nanos: [summary.p50, summary.p99] })
        .collect();
    if segments.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "<figure class=\"wide\" id=\"bars-{position}\"><figcaption><h4>Where a device’s time goes</h4><p>The p50 and the p99 \
         of every phase of the attempts that succeeded, stacked, each bar on a scale of its own. They are percentiles of each \
         phase by itself: the device with a slow handshake is not the one with a slow register, so a stack is not the p50 or \
         p99 of the whole and does not add up to it exactly. The whole (total) also holds the failed attempts that a device made \
         before it succeeded, whose phases are not in the stack: where devices tried again, the stack is much shorter. Keys and \
         CSRs are made ahead of need and not part of it.</p></figcaption>"
    )?;
    for (index, quantile) in ["p50", "p99"].into_iter().enumerate() {
        bar(out, &segments, index, quantile, stage)?;
    }
    out.push_str("<ol class=\"key\">");
    for Segment { number, phase, nanos: [p50, p99] } in &segments {
        write!(
            out,
            "<li><svg class=\"tone\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"t{}\" width=\"10\" height=\"10\"/></svg> \
             {number} <b>{phase}</b> {} / {}</li>",
            (number - 1) % TONES,
            units::nanos(*p50),
            units::nanos(*p99)
        )?;
    }
    out.push_str(
        "</ol><p class=\"source\">Data: phases.csv, rows with outcome succeeded: phase, p50_us, p99_us</p></figure>",
    );
    Ok(())
}

fn bar(out: &mut String, segments: &[Segment], index: usize, quantile: &str, stage: &StageRecord) -> fmt::Result {
    let of = |segment: &Segment| segment.nanos.get(index).copied().unwrap_or(0);
    let sum: u64 = segments.iter().map(of).sum();
    let whole = stage.phases.succeeded(Phase::Total).and_then(|h| h.quantile(if index == 0 { 0.50 } else { 0.99 }));
    write!(out, "<p class=\"bar\"><b>{quantile}</b> stack {}", units::nanos(sum))?;
    if let Some(whole) = whole {
        write!(out, ", {quantile} of the whole (total) {}", units::duration(whole))?;
    }
    write!(
        out,
        "</p><svg class=\"stack\" role=\"img\" \
         aria-label=\"{quantile} of each phase, stacked; the values are in the list below\">"
    )?;
    let mut x = 0.0;
    for segment in segments {
        let share = of(segment) as f64 / sum.max(1) as f64;
        let width = share * 100.0;
        write!(
            out,
            "<g><title>{}: {} ({})</title><rect class=\"t{}\" x=\"{x:.2}%\" width=\"{width:.2}%\" height=\"100%\"/>",
            segment.phase,
            units::nanos(of(segment)),
            units::percent(share),
            (segment.number - 1) % TONES
        )?;
        if width >= NUMBERED {
            write!(out, "<text x=\"{:.2}%\" y=\"22\">{}</text>", x + width / 2.0, segment.number)?;
        }
        out.push_str("</g>");
        x += width;
    }
    out.push_str("</svg>");
    Ok(())
}

/// CPU of both sides, as bars against the time that all cores had.
pub(super) fn share(out: &mut String, label: &str, share: f64) -> fmt::Result {
    let width = (share.clamp(0.0, 1.0)) * 100.0;
    write!(
        out,
        "<svg class=\"share\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}: {}\"><title>{}</title>\
         <rect class=\"rest\" width=\"100\" height=\"10\"/><rect class=\"t0\" width=\"{width:.1}\" height=\"10\"/></svg> {}",
        Text(label),
        units::percent(share),
        units::percent(share),
        units::percent(share)
    )
}
