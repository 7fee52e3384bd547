//! Which stages are over, and whether that was told.

use std::collections::BTreeSet;

use crate::engine::{Progress, StageProgress};

/// The stages whose end was told.
#[derive(Debug, Default)]
pub struct Told(BTreeSet<usize>);

impl Told {
    /// Those of `stages` that are over and were not told yet, in the order in which they ended; from now on they are.
    pub fn news<'a>(&mut self, stages: impl IntoIterator<Item = &'a StageProgress>) -> Vec<&'a StageProgress> {
        let over = stages.into_iter().filter(|stage| stage.ended.is_some());
        let mut news: Vec<_> = over.filter(|stage| self.0.insert(stage.stage)).collect();
        news.sort_by_key(|stage| (stage.ended, stage.stage));
        news
    }
}

/// What goes on: as long as it stays the same, nothing new began.
pub fn going_on(progress: &Progress) -> Vec<usize> {
    progress.stages.iter().map(|stage| stage.stage).collect()
}
