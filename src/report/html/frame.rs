use std::fmt::{self, Write};

use crate::measure::StageRecord;
use crate::report::html::escape::Text;
use crate::report::html::plots::Plot;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/app.js");
const UPLOT_STYLE: &str = include_str!("assets/uplot/uPlot.min.css");
const UPLOT: &str = include_str!("assets/uplot/uPlot.iife.min.js");

/// Nothing is loaded from anywhere, and only elements that name the nonce are obeyed: a second wall behind escaping. As the
/// nonce is no secret, the wall stops attributes such as `onerror` and scripts of who does not know this program.
const POLICY: &str = "default-src 'none'; script-src 'nonce-fleetstorm'; style-src 'nonce-fleetstorm'; base-uri 'none'; \
                      form-action 'none'";

/// What every page has around its content.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// Version of fleetstorm that the page names as its maker.
    pub(super) version: &'a str,
    /// What times mean on this page.
    pub(super) times: &'a str,
    /// What the script draws, as [`crate::report::html::escape::json`] made it.
    pub(super) json: &'a str,
}

impl Frame<'_> {
    /// The whole page. `content` writes `<header>` and `<main>`.
    pub(super) fn page(&self, content: impl FnOnce(&mut String) -> fmt::Result) -> Result<String, fmt::Error> {
        let Self { title, version, times, json } = self;
        let (title, version) = (Text(title), Text(version));
        let mut out = String::with_capacity(json.len() + UPLOT.len() + 64 * 1024);
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" \
             content=\"{POLICY}\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta \
             name=\"color-scheme\" content=\"light dark\"><meta name=\"generator\" content=\"fleetstorm {version}\">\
             <title>{title} – fleetstorm</title>\n<style nonce=\"fleetstorm\">{UPLOT_STYLE}{STYLE}</style></head>\n<body>"
        )?;
        content(&mut out)?;
        write!(
            out,
            "\n<footer><p>Made by fleetstorm {version}. {times} Plots by uPlot 1.6.32, © 2022 Leon Sorokin, MIT licence.</p>\
             </footer>\n<script id=\"data\" type=\"application/json\">{json}</script>\n<script \
             nonce=\"fleetstorm\">{UPLOT}</script>\n<script nonce=\"fleetstorm\">{SCRIPT}</script></body></html>\n"
        )?;
        Ok(out)
    }
}

/// How plots are read, and where their data is for who has no script.
pub(super) fn how_to_read(out: &mut String) {
    out.push_str(
        "<noscript><p>The plots need scripting; their data is in the CSV files that each of them names.</p></noscript><p>Point \
         at a plot, or touch it, to read values; drag over a span to enlarge it, click twice to see all again; click a name in \
         a legend to hide its line.</p>",
    );
}

/// One plot with its words; the script draws into it.
pub(super) fn figure(out: &mut String, plot: &Plot) -> fmt::Result {
    let Plot { id, title, words, source, alternative, .. } = plot;
    write!(
        out,
        "<figure><figcaption><h4>{}</h4><p>{}</p></figcaption><div class=\"plot\" id=\"{id}\" role=\"img\" \
         aria-label=\"{}\"></div><p class=\"source\">Data: {}</p></figure>",
        Text(title),
        Text(words),
        Text(alternative),
        Text(source)
    )
}

/// Opens the section of a stage and the grid of its plots. `merged`: intervals that became one point of each.
pub(super) fn stage(out: &mut String, position: usize, stage: &StageRecord, merged: usize) -> fmt::Result {
    write!(
        out,
        "<section class=\"stage\" id=\"stage-{position}\"><h3>Stage {} <small>{}</small></h3>",
        Text(&stage.name),
        Text(stage.kind.name())
    )?;
    if merged > 1 {
        write!(out, "<p>Each point stands for {merged} intervals; intervals.csv has every one of them.</p>")?;
    }
    out.push_str("<div class=\"plots\">");
    Ok(())
}

/// Opens a table in a box that scrolls by itself. A column whose name begins with `#` holds numbers.
pub(super) fn head(out: &mut String, caption: &str, columns: &[&str]) {
    let caption = Text(caption);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table><caption>{caption}</caption><thead><tr>"
    );
    for column in columns {
        let _ = match column.strip_prefix('#') {
            Some(number) => write!(out, "<th scope=\"col\" class=\"n\">{number}</th>"),
            None => write!(out, "<th scope=\"col\">{column}</th>"),
        };
    }
    out.push_str("</tr></thead><tbody>");
}

pub(super) fn foot(out: &mut String) {
    out.push_str("</tbody></table></div>\n");
}
