use std::io::IsTerminal as _;

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::cli::CommandError;
use crate::cli::args::GlobalArgs;

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
    /// From the flags, the `NO_COLOR` convention (<https://no-color.org>) and what stdout and stderr are.
    pub fn new(global: &GlobalArgs) -> Self {
        let GlobalArgs { no_color, quiet, json } = *global;
        let unwanted = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self { quiet, json, color_stdout: stdout && !unwanted, color_stderr: stderr && !unwanted, interactive: stderr }
    }

    /// A line of progress or advice on stderr, unless `--quiet`.
    pub fn note(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Shows an error on stderr, always.
    pub fn error(&self, error: &CommandError) {
        eprint!("{}", self.render(error.report().as_ref()));
    }

    /// A diagnostic as text.
    pub fn render(&self, diagnostic: &dyn miette::Diagnostic) -> String {
        let theme = if self.color_stderr { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        match GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut text, diagnostic) {
            Ok(()) => text,
            Err(std::fmt::Error) => format!("error: {diagnostic}\n"),
        }
    }
}
