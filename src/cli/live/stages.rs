//! Which stages are over, and whether that was told.

use std::collections::BTreeSet;

use crate::engine::{Progress, StageProgress};

/// The stages whose end was told.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<usize>);

impl Told {
    /// Stages that are over and were not told yet, in the order in which they ended; from now on they are.
    pub(super) fn news<'a>(&mut self, progress: &'a Progress) -> Vec<&'a StageProgress> {
        let mut news: Vec<_> = progress.over.iter().filter(|stage| self.0.insert(stage.stage)).collect();
        news.sort_by_key(|stage| (stage.ended, stage.stage));
        news
    }
}

/// What goes on: as long as it stays the same, nothing new began.
pub(super) fn going_on(progress: &Progress) -> Vec<usize> {
    progress.stages.iter().map(|stage| stage.stage).collect()
}
