//! The summary that `run` prints: at most 100 columns, the verdict first, and last.

mod goodput;
mod head;
mod stages;
mod tables;

use std::fmt::Write as _;

use owo_colors::Style;

use crate::measure::RunRecord;
pub use head::compressed;
pub(super) use head::outcome;
pub(super) use tables::{meaning, print, right, table as columns};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// With ANSI colours.
    pub color: bool,
    /// Columns that lines may take; below 95 the table of phases leaves out what explains them.
    pub columns: u16,
}

/// Widest line printed, where nothing asks for less.
pub const WIDTH: u16 = 100;

/// The summary of a run, ending in a line break.
pub fn summary(record: &RunRecord, look: Look) -> String {
    let mut text = String::new();
    head::title(&mut text, record, look);
    head::verdict(&mut text, record, look);
    tables::thresholds(&mut text, record, look);
    stages::outcomes(&mut text, record, look);
    stages::traffic(&mut text, record, look);
    stages::workloads(&mut text, record, look);
    goodput::over_time(&mut text, record);
    tables::resources(&mut text, record, look);
    head::circumstances(&mut text, record, look);
    for stage in &record.stages {
        tables::phases(&mut text, stage, record.stages.len() > 1, look);
    }
    tables::errors(&mut text, record, look);
    for note in &record.notes {
        line(&mut text, &look.folded("note: ", note));
    }
    if !record.notes.is_empty() {
        line(&mut text, "");
    }
    text.push_str(&closing(record, look));
    text
}

/// What a run came to, in the last lines of [`summary`]: its verdicts, and the thresholds that were not met.
pub fn closing(record: &RunRecord, look: Look) -> String {
    let mut text = String::new();
    head::closing(&mut text, record, look);
    text
}

impl Look {
    /// As wide as [`WIDTH`].
    pub const fn new(color: bool) -> Self {
        Self { color, columns: WIDTH }
    }

    /// This look within so many columns.
    pub const fn within(self, columns: u16) -> Self {
        Self { columns, ..self }
    }

    /// [`wrapped`] within its columns.
    fn folded(self, label: &str, words: &str) -> String {
        wrapped_within(label, words, usize::from(self.columns))
    }

    /// `text` in a style, when colours are wanted.
    pub(super) fn paint(self, text: &str, style: Style) -> String {
        if self.color { style.style(text).to_string() } else { text.to_owned() }
    }
}

pub(super) fn line(text: &mut String, content: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", content.trim_end());
}

/// `label` and `words`, folded at [`WIDTH`] and indented below the label.
pub fn wrapped(label: &str, words: &str) -> String {
    wrapped_within(label, words, usize::from(WIDTH))
}

/// As [`wrapped`], folded at `width`.
pub fn wrapped_within(label: &str, words: &str, width: usize) -> String {
    let mut text = label.to_owned();
    let indent = label.chars().count();
    let mut column = indent;
    for (position, word) in words.split_whitespace().enumerate() {
        let length = word.chars().count();
        if position > 0 && column + 1 + length > width {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if position > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}
