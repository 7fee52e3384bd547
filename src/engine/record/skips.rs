//! Why devices had nothing to do: how many, by reason and by the stage that was to provision them.

use std::collections::BTreeMap;

use crate::engine::plan::PlannedStage;
use crate::measure::{Skip, SkipReason};

/// What a device lacks a certificate for: the reason, and the index of the stage that was to provision it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lack {
    pub(crate) reason: SkipReason,
    pub(crate) stage: Option<u16>,
}

/// Devices by what they lack a certificate for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Skips(BTreeMap<Lack, u64>);

impl Skips {
    pub(crate) fn count(&mut self, lack: Lack) {
        *self.0.entry(lack).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (lack, count) in &other.0 {
            *self.0.entry(*lack).or_default() += count;
        }
    }

    /// All together.
    pub(crate) fn devices(&self) -> u64 {
        self.0.values().sum()
    }

    /// With the names of the stages, most frequent first.
    pub(crate) fn into_rows(self, stages: &[PlannedStage]) -> Vec<Skip> {
        let name = |index: u16| stages.get(usize::from(index)).map(|stage| stage.name.clone());
        let row = |(Lack { reason, stage }, devices)| Skip { reason, provisioned_in: stage.and_then(name), devices };
        let mut rows: Vec<Skip> = self.0.into_iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.devices));
        rows
    }
}
