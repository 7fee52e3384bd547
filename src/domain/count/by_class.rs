use std::ops::{Index, IndexMut};

use crate::domain::FailureClass;

/// A count of failures, class by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByClass {
    classes: [u64; FailureClass::ALL.len()],
    /// Of classes that a record of before they were counted does not tell.
    unclassed: u64,
}

impl ByClass {
    /// Failures of which it is not known of what class they are.
    pub fn unclassed(failures: u64) -> Self {
        Self { unclassed: failures, ..Self::default() }
    }

    /// All classes together.
    pub fn total(&self) -> u64 {
        self.classes.iter().sum::<u64>() + self.unclassed
    }

    /// The failures of a class; `None` when it is not known.
    pub fn of(&self, class: FailureClass) -> Option<u64> {
        (self.unclassed == 0).then(|| self[class])
    }

    /// Every class with its failures; `None` when it is not known.
    pub fn classes(&self) -> Option<impl Iterator<Item = (FailureClass, u64)> + use<>> {
        (self.unclassed == 0).then(|| FailureClass::ALL.into_iter().zip(self.classes))
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in self.classes.iter_mut().zip(other.classes) {
            *sum += part;
        }
        self.unclassed += other.unclassed;
    }
}

impl From<[u64; FailureClass::ALL.len()]> for ByClass {
    /// In the order of [`FailureClass::ALL`].
    fn from(classes: [u64; FailureClass::ALL.len()]) -> Self {
        Self { classes, unclassed: 0 }
    }
}

impl Index<FailureClass> for ByClass {
    type Output = u64;

    fn index(&self, class: FailureClass) -> &u64 {
        &self.classes[class.index()]
    }
}

impl IndexMut<FailureClass> for ByClass {
    fn index_mut(&mut self, class: FailureClass) -> &mut u64 {
        &mut self.classes[class.index()]
    }
}
