use crate::engine::record::recorder::Recorder;

/// What a stage brings back from one worker.
#[derive(Debug, Default)]
pub(crate) struct StageShare {
    pub(crate) recorder: Recorder,
    /// Devices that were due and waited for a slot, or for their key.
    pub(crate) waited_for_slot: u64,
    pub(crate) waited_for_key: u64,
    /// Nobody got through any more, so that it was ended before all came.
    pub(crate) stalled: bool,
}
