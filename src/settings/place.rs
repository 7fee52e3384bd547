//! Where a value stands: which text, which bytes of it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::NamedSource;

use crate::domain::Origin;

/// A text that settings come from (a file, or one value of the command line), of which is known where its lines begin:
/// thousands of problems are told without reading it for each.
pub(crate) struct Text {
    named: NamedSource<String>,
    lines: Vec<usize>,
    origin: Origin,
    order: usize,
}

impl Text {
    /// A text by its name. Problems are told in the `order` of their texts.
    pub(crate) fn new(name: &str, text: String, origin: Origin, order: usize) -> Arc<Self> {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { named: NamedSource::new(name, text), lines, origin, order })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        self.named.name()
    }

    /// What it says.
    pub(crate) fn text(&self) -> &str {
        self.named.inner().as_str()
    }

    pub(super) const fn named(&self) -> &NamedSource<String> {
        &self.named
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= byte);
        let begin = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let before = self.text().get(begin..byte).unwrap_or_default();
        (line.max(1), before.chars().count() + 1)
    }
}

/// Its name: what it says is told elsewhere, and may be long.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

/// Where a value stands; nowhere, if it is built in.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    text: Option<Arc<Text>>,
    span: Range<usize>,
}

impl Place {
    /// In no text: a default.
    pub(crate) const BUILT_IN: Self = Self { text: None, span: 0..0 };

    /// These bytes of a text.
    pub(crate) fn new(text: &Arc<Text>, span: Range<usize>) -> Self {
        Self { text: Some(Arc::clone(text)), span }
    }

    /// The bytes `span` after where this begins.
    pub(crate) fn within(&self, span: Range<usize>) -> Self {
        Self { text: self.text.clone(), span: self.span.start + span.start..self.span.start + span.end }
    }

    /// Whether it is in that text.
    pub(crate) fn is_in(&self, text: &Arc<Text>) -> bool {
        self.text.as_ref().is_some_and(|own| Arc::ptr_eq(own, text))
    }

    pub(crate) fn origin(&self) -> Origin {
        self.text.as_ref().map_or(Origin::Default, |text| text.origin)
    }

    pub(crate) fn text(&self) -> Option<&Text> {
        self.text.as_deref()
    }

    pub(crate) const fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// Name of the text, line and column.
    pub(super) fn location(&self) -> Option<(&str, usize, usize)> {
        let text = self.text()?;
        let (line, column) = text.position(self.span.start);
        Some((text.named.name(), line, column))
    }

    /// What problems are sorted by: texts in their order, places in that of the text.
    pub(super) fn rank(&self) -> (usize, &str, usize) {
        self.text().map_or((usize::MAX, "", 0), |text| (text.order, text.named.name(), self.span.start))
    }
}

/// Of the same text by its name: a scenario that was read twice is the same.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        let name = |place: &Self| place.text().map(|text| text.named.name().to_owned());
        self.span == other.span && name(self) == name(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_line_and_column() {
        let new = |text: &str| Text::new("x", text.to_owned(), Origin::Scenario, 0);
        let text = new("ab\n\nöäü = 1\n");
        let position = |what: &str| text.position(text.text().find(what).unwrap());
        assert_eq!(["a", "b", "ü", "= 1"].map(position), [(1, 1), (1, 2), (3, 3), (3, 5)]);
        assert_eq!((text.position(2), text.position(3), text.position(usize::MAX).0), ((1, 3), (2, 1), 4));
        assert_eq!(new("").position(0), (1, 1));
    }
}
