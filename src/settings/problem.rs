use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::settings::expect::grouped;

/// A text that settings come from: the scenario file, or one `--set`.
pub(crate) type Source = Arc<Text>;

/// A text with a name, of which is known where its lines begin: thousands of problems are told without reading it for each.
#[derive(Debug)]
pub(crate) struct Text {
    named: NamedSource<String>,
    lines: Vec<usize>,
}

impl Text {
    pub(crate) fn new(name: &str, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { named: NamedSource::new(name, text), lines }
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= byte);
        let begin = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let before = self.named.inner().get(begin..byte).unwrap_or_default();
        (line.max(1), before.chars().count() + 1)
    }
}

/// So many problems are shown to a person, who mends the first ones first; an excerpt of a long file takes its time, too.
const SHOWN: usize = 50;

/// Everything that is wrong with a scenario, file and overrides together. As [`miette::Diagnostic`] it shows each with
/// its excerpt of the source.
#[derive(Debug)]
pub struct Problems {
    name: String,
    problems: Vec<Problem>,
    /// Says how many more there are than are shown.
    more: Option<Box<Problem>>,
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
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, place: None, order: 0 }
    }

    pub(crate) fn at(mut self, order: usize, source: &Source, span: Range<usize>) -> Self {
        self.place = Some((Arc::clone(source), span));
        self.order = order;
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
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
        let (line, column) = source.position(span.start);
        Some((source.named.name(), line, column))
    }
}

impl Problems {
    /// `problems` must hold at least one; they are brought into the order of the source.
    pub(crate) fn new(name: &str, mut problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty());
        problems.sort_by_key(|p| (p.order, p.place.as_ref().map(|(_, span)| span.start)));
        let more = problems.len().checked_sub(SHOWN).filter(|more| *more > 0).map(|more| {
            let more = Problem::new(format!("and {} more", grouped(more as u64)));
            Box::new(more.help("these may go away with the ones above; `check --json` lists them all"))
        });
        Self { name: name.to_owned(), problems, more }
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
        Some(Box::new(self.problems.iter().take(SHOWN).chain(self.more.as_deref()).map(|p| p as &dyn Diagnostic)))
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
        self.place.as_ref().map(|(source, _)| &source.named as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.place.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_line_and_column() {
        let text = Text::new("x", "ab\n\nöäü = 1\n".to_owned());
        let position = |what: &str| text.position(text.named.inner().find(what).unwrap());
        assert_eq!(["a", "b", "ü", "= 1"].map(position), [(1, 1), (1, 2), (3, 3), (3, 5)]);
        assert_eq!((text.position(2), text.position(3), text.position(usize::MAX).0), ((1, 3), (2, 1), 4));
        assert_eq!(Text::new("x", String::new()).position(0), (1, 1));
    }

    #[test]
    fn of_many_problems_the_first_are_shown_and_all_are_listed() {
        let problems = |count: usize| {
            let source = Arc::new(Text::new("x", "\n".repeat(count)));
            let one = |at| Problem::new(format!("wrong {at}")).at(0, &source, at..at);
            Problems::new("x", (0..count).map(one).collect())
        };
        let shown = |problems: &Problems| problems.related().unwrap().map(ToString::to_string).collect::<Vec<_>>();
        let many = problems(30_000);
        assert_eq!((many.iter().count(), many.iter().last().unwrap().location()), (30_000, Some(("x", 30_000, 1))));
        assert_eq!((shown(&many).len(), shown(&many).pop().unwrap()), (SHOWN + 1, "and 29,950 more".to_owned()));
        assert_eq!(shown(&problems(SHOWN)).pop().unwrap(), "wrong 49");
    }
}
