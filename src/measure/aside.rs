use std::time::Duration;

use crate::measure::precision::rounded;

/// What is stored beside the counts of a histogram, which hold values to three digits and up to one hour only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aside {
    /// Values above [`crate::measure::Histogram::HIGHEST`], counted there.
    pub above_range: u64,
    /// Smallest value in nanoseconds. `None` when there is none, or when the record is older than this: then it is known as
    /// far as the counts tell it.
    pub min: Option<u64>,
    /// Largest value, in the same way.
    pub max: Option<u64>,
}

impl Aside {
    /// See [`crate::measure::RunRecord::at_rest`].
    #[must_use]
    pub(super) fn at_rest(self) -> Self {
        let at_rest = |nanos| rounded(Duration::from_nanos(nanos)).as_nanos();
        let end = |nanos: Option<u64>| nanos.map(|nanos| u64::try_from(at_rest(nanos)).unwrap_or(u64::MAX));
        Self { above_range: self.above_range, min: end(self.min), max: end(self.max) }
    }
}
