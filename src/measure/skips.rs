use crate::domain::named;

named! {
    /// Why a device had nothing to do in a stage, that is, why it had no certificate: what had become of it, when it was asked, in
    /// the stage that was to provision it.
    #[derive(PartialOrd, Ord, Hash)]
    pub enum SkipReason {
        /// It had failed for good.
        Failed = "failed",
        /// It had been cut off: it took longer than the stage was waited for, or the run was stopped.
        Cut = "cut",
        /// It had been dropped: this machine could not start it in time.
        Dropped = "dropped",
        /// It had not been started when the run was stopped.
        NotStarted = "not_started",
        /// It was not through yet: waiting, at work, or not due.
        GoingOn = "going_on",
        /// That stage had not begun.
        NotBegun = "not_begun",
        /// There is no such stage.
        NoStage = "no_stage",
    }
}

/// Devices that had nothing to do in a stage for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Why.
    pub reason: SkipReason,
    /// Name of the stage that was to provision them; `None` when there is none.
    pub provisioned_in: Option<String>,
    /// How many.
    pub devices: u64,
}

/// Adds devices to those of the same reason.
pub(super) fn add(skips: &mut Vec<Skip>, other: &Skip) {
    let same = |skip: &&mut Skip| (skip.reason, &skip.provisioned_in) == (other.reason, &other.provisioned_in);
    match skips.iter_mut().find(same) {
        Some(known) => known.devices += other.devices,
        None => skips.push(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_shown_as_they_are_written() {
        let shown = SkipReason::ALL.map(|reason| reason.to_string());
        assert_eq!(shown, ["failed", "cut", "dropped", "not_started", "going_on", "not_begun", "no_stage"]);
    }
}
