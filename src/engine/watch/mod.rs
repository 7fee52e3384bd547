//! What is held against a run that goes on and one that is over: thresholds, the state of the generator itself, progress.

pub(super) mod display;
pub(super) mod health;
pub(super) mod judge;
pub(super) mod progress;
pub(super) mod saturation;
pub(super) mod thresholds;
pub(super) mod usage;
