use std::borrow::Cow;

use crate::domain::{Adding, Count, Counts, FailureClass, Level, Value};

/// A column of numbers: a count, or the part of it that is of one class of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) count: Count,
    class: Option<FailureClass>,
}

impl Column {
    /// A count, of all classes together.
    pub(super) const fn of(count: Count) -> Self {
        Self { count, class: None }
    }

    /// The classes of a count that is kept by class.
    pub(super) fn classes(count: Count) -> impl Iterator<Item = Self> {
        let classes = FailureClass::ALL.into_iter().filter(move |_| count.adding() == Adding::ByClass);
        classes.map(move |class| Self { count, class: Some(class) })
    }

    /// Every count that is kept at a level, each followed by its classes.
    pub(super) fn at(level: Level) -> impl Iterator<Item = Self> {
        Count::at(level).flat_map(|count| std::iter::once(Self::of(count)).chain(Self::classes(count)))
    }

    /// `failed`, or `failed_tls` for a class of it.
    pub(super) fn name(self) -> Cow<'static, str> {
        match self.class {
            None => Cow::Borrowed(self.count.name()),
            Some(class) => Cow::Owned(format!("{}_{class}", self.count.name())),
        }
    }

    /// What it came to; `None` when that is not known.
    pub(super) fn get(self, counts: &Counts) -> Option<Value<'_>> {
        match self.class {
            None => counts.get(self.count),
            Some(class) => counts.of_class(self.count, class).map(Value::Number),
        }
    }
}
