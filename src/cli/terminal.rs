use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};

use miette::{GraphicalReportHandler, GraphicalTheme, ThemeStyles};

use crate::cli::args::GlobalArgs;
use crate::cli::harmless::harmless;
use crate::cli::{CommandError, Explained};
use crate::report::Tone;

/// stdout cannot be written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot write to stdout: {0}")]
#[diagnostic(help("is the disk of the file that it is redirected to full?"))]
pub struct StdoutError(#[source] io::Error);

impl Explained for StdoutError {}

/// How to talk to the person or program that started us. stdout is for data, stderr for everything else.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Say nothing on stderr but errors.
    pub quiet: bool,
    /// Machine-readable data on stdout.
    pub json: bool,
    /// stdout may be coloured.
    pub color_stdout: bool,
    /// stderr may be coloured.
    pub color_stderr: bool,
    /// stderr is a terminal that can redraw lines.
    pub interactive: bool,
}

impl Terminal {
    /// From the flags, the `NO_COLOR` convention (<https://no-color.org>), what stdout and stderr are, and whether `TERM` says
    /// that they are more than a typewriter.
    pub fn new(global: &GlobalArgs) -> Self {
        let GlobalArgs { no_color, quiet, json } = *global;
        let unwanted = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let obeys = obeys(std::env::var_os("TERM").as_deref());
        let (stdout, stderr) = (obeys && io::stdout().is_terminal(), obeys && io::stderr().is_terminal());
        Self { quiet, json, color_stdout: stdout && !unwanted, color_stderr: stderr && !unwanted, interactive: stderr }
    }

    /// A line of progress or advice on stderr, unless `--quiet`.
    pub fn note(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            stderr(&format!("{line}\n"), self.color_stderr);
        }
    }

    /// Data for stdout. A reader that went away (`| head`) is no error.
    ///
    /// # Errors
    /// stdout cannot be written for another reason.
    pub fn print(&self, text: &str) -> Result<(), StdoutError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(harmless(text, self.color_stdout).as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(StdoutError(error)),
            _ => Ok(()),
        }
    }

    /// Data for stdout as JSON.
    ///
    /// # Errors
    /// As [`Self::print`].
    pub fn print_json(&self, data: &impl serde::Serialize) -> Result<(), StdoutError> {
        let mut text = serde_json::to_string_pretty(data).map_err(|e| StdoutError(e.into()))?;
        text.push('\n');
        self.print(&text)
    }

    /// Data for stdout as JSON in one line, so that several documents can follow each other (NDJSON).
    ///
    /// # Errors
    /// As [`Self::print`].
    pub fn print_json_line(&self, data: &impl serde::Serialize) -> Result<(), StdoutError> {
        let mut text = serde_json::to_string(data).map_err(|e| StdoutError(e.into()))?;
        text.push('\n');
        self.print(&text)
    }

    /// Shows an error on stderr, always.
    pub fn error(&self, error: &CommandError) {
        self.diagnostic(error.report().as_ref());
    }

    /// Shows a diagnostic on stderr, always.
    pub fn diagnostic(&self, diagnostic: &dyn miette::Diagnostic) {
        stderr(&self.render(diagnostic), self.color_stderr);
    }

    /// A diagnostic as text.
    pub fn render(&self, diagnostic: &dyn miette::Diagnostic) -> String {
        let theme = if self.color_stderr { theme() } else { GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        // Every message has its cause in it already, as it stands in logs and results without this rendering.
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).without_cause_chain();
        match handler.render_report(&mut text, diagnostic) {
            Ok(()) => text,
            Err(std::fmt::Error) => format!("error: {diagnostic}\n"),
        }
    }
}

/// Whether a terminal that `TERM` calls so does more than print. Without a name it is what an editor or a job has for one.
fn obeys(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

fn theme() -> GraphicalTheme {
    let mut theme = GraphicalTheme::unicode();
    theme.styles = ThemeStyles {
        error: Tone::Bad.style(),
        warning: Tone::Warning.style(),
        advice: Tone::Accent.style(),
        help: Tone::Accent.style(),
        link: Tone::Accent.style().underline(),
        linum: Tone::Quiet.style(),
        highlights: [Tone::Accent, Tone::Warning, Tone::Good].map(Tone::style).to_vec(),
    };
    theme
}

/// Writes to stderr what a terminal may get, with our colours or without any. When nobody reads it any more (`2>&1 | head`), the
/// work goes on, where `eprintln!` would panic.
pub(super) fn stderr(text: &str, colors: bool) {
    let _ = io::stderr().write_all(harmless(text, colors).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error, miette::Diagnostic)]
    #[error("nothing works")]
    #[diagnostic(help("do something else"))]
    struct Broken;

    #[test]
    fn what_only_prints_gets_no_escape_sequences() {
        assert!(!obeys(None) && !obeys(Some("".as_ref())) && !obeys(Some("dumb".as_ref())));
        assert!(obeys(Some("xterm".as_ref())) && obeys(Some("screen-256color".as_ref())));
    }

    #[test]
    fn errors_have_the_colours_of_everything_else_or_none() {
        let told = |color_stderr| {
            let terminal =
                Terminal { quiet: false, json: false, color_stdout: false, color_stderr, interactive: false };
            terminal.render(&Broken)
        };
        let (plain, colored) = (told(false), told(true));
        assert!(!plain.contains('\x1b'), "{plain:?}");
        assert!(colored.contains("[38;5;131;1m"), "{colored:?}");
        // None of the sixteen that every terminal has its own values for.
        let sequences = colored.split('\x1b').skip(1).filter_map(|rest| rest.split('m').next());
        for sequence in sequences {
            assert!(["[0", "[1"].contains(&sequence) || sequence.starts_with("[38;5;"), "{sequence:?} in {colored:?}");
        }
    }
}
