use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::expect::grouped;
use super::place::Place;

/// So many problems are shown to a person, who mends the first ones first; an excerpt of a long file takes its time, too.
const SHOWN: usize = 50;

/// Everything that is wrong with settings, files and overrides together. As [`miette::Diagnostic`] it shows each with
/// its excerpt of the source.
#[derive(Debug)]
pub struct Problems {
    headline: String,
    problems: Vec<Problem>,
    /// Says how many more there are than are shown.
    more: Option<Box<Problem>>,
}

/// One thing that is wrong with settings.
#[derive(Debug)]
pub struct Problem {
    message: String,
    help: Option<String>,
    place: Place,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, place: Place::BUILT_IN }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place = place.clone();
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

    /// Name of the file (or `--set`), line and column, both from 1; `None` for what stands nowhere, as when the file could not
    /// be read at all.
    pub fn location(&self) -> Option<(&str, usize, usize)> {
        self.place.location()
    }
}

impl Problems {
    /// `problems` must hold at least one; they are brought into the order of the sources. `headline` says what is not valid.
    pub(crate) fn new(headline: String, mut problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty());
        problems.sort_by(|a, b| a.place.rank().cmp(&b.place.rank()));
        let more = problems.len().checked_sub(SHOWN).filter(|more| *more > 0).map(|more| {
            let more = Problem::new(format!("and {} more", grouped(more as u64)));
            Box::new(more.help("these may go away with the ones above; `check --json` lists them all"))
        });
        Self { headline, problems, more }
    }

    /// The problems in the order of the file, those of the command line last. At least one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str(&self.headline),
            count => write!(f, "{}: {count} problems", self.headline),
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
        self.place.text().map(|text| text.named() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.place.text()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.place.span().clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Origin;
    use crate::settings::place::Text;

    #[test]
    fn of_many_problems_the_first_are_shown_and_all_are_listed() {
        let problems = |count: usize| {
            let text = Text::new("x", "\n".repeat(count), Origin::Scenario, 0);
            let one = |at| Problem::new(format!("wrong {at}")).at(&Place::new(&text, at..at));
            Problems::new("x is wrong".to_owned(), (0..count).map(one).collect())
        };
        let shown = |problems: &Problems| problems.related().unwrap().map(ToString::to_string).collect::<Vec<_>>();
        let many = problems(30_000);
        assert_eq!((many.iter().count(), many.iter().last().unwrap().location()), (30_000, Some(("x", 30_000, 1))));
        assert_eq!((shown(&many).len(), shown(&many).pop().unwrap()), (SHOWN + 1, "and 29,950 more".to_owned()));
        assert_eq!(shown(&problems(SHOWN)).pop().unwrap(), "wrong 49");
    }
}
