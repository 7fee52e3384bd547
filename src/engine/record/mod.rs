//! What a worker writes down of a stage, and how that of all workers becomes one record.

pub(super) mod at_work;
pub(super) mod breaches;
pub(super) mod early;
pub(super) mod merge;
pub(super) mod publication;
pub(super) mod recorder;
pub(super) mod rows;
pub(super) mod serials;
pub(super) mod skips;
pub(super) mod stage_share;
pub(super) mod times;
