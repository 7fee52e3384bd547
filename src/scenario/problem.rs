use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// A text that settings come from: the scenario file, or one `--set`.
pub(super) type Source = Arc<NamedSource<String>>;

/// Everything that is wrong with a scenario, file and overrides together. As [`miette::Diagnostic`] it shows each with
/// its excerpt of the source.
#[derive(Debug)]
pub struct Problems {
    name: String,
    problems: Vec<Problem>,
}

/// One thing that is wrong with a scenario.
#[derive(Debug)]
pub struct Problem {
    message: String,
    help: Option<String>,
    place: Option<(Source, Range<usize>)>,
    /// Position of the source among all: the file first, then the overrides.
    order: usize,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, place: None, order: 0 }
    }

    pub(super) fn at(mut self, order: usize, source: &Source, span: Range<usize>) -> Self {
        self.place = Some((Arc::clone(source), span));
        self.order = order;
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, with the dotted key.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be valid.
    pub fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Name of the file (or `--set`), line and column, both from 1; `None` when the file could not be read at all.
    pub fn location(&self) -> Option<(&str, usize, usize)> {
        let (source, span) = self.place.as_ref()?;
        let before = source.inner().get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((source.name(), line, column))
    }
}

impl Problems {
    /// `problems` must hold at least one; they are brought into the order of the source.
    pub(super) fn new(name: &str, mut problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty());
        problems.sort_by_key(|p| (p.order, p.place.as_ref().map(|(_, span)| span.start)));
        Self { name: name.to_owned(), problems }
    }

    /// The problems in the order of the file, those of the command line last. At least one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "{} is not a valid scenario", self.name),
            count => write!(f, "{} is not a valid scenario: {count} problems", self.name),
        }
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|p| p as &dyn Diagnostic)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.place.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span.clone()))))
    }
}
