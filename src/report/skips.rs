//! Why devices were skipped, in words.

use crate::measure::{Skip, SkipReason, StageRecord};
use crate::report::units;

/// Why the devices of a stage had nothing to do; `None` when none was skipped. The counts add up to those skipped.
pub(super) fn sentence(stage: &StageRecord) -> Option<String> {
    let skipped = stage.totals.skipped;
    if skipped == 0 {
        return None;
    }
    let had = if skipped == 1 { "device had" } else { "devices had" };
    let told: u64 = stage.skips.iter().map(|skip| skip.devices).sum();
    let mut reasons: Vec<String> =
        stage.skips.iter().map(|skip| format!("{} {}", units::count(skip.devices), words(skip))).collect();
    if told < skipped {
        reasons.push(format!("of {} the record does not know why", units::count(skipped - told)));
    }
    Some(format!("{} {had} no certificate: {}", units::count(skipped), reasons.join(", ")))
}

/// What had become of such devices, to be read after their number.
pub(super) fn words(skip: &Skip) -> String {
    let stage = skip.provisioned_in.as_deref().unwrap_or("no stage");
    match skip.reason {
        SkipReason::Failed => format!("failed in {stage}"),
        SkipReason::Cut => format!("cut off in {stage}"),
        SkipReason::Dropped => format!("dropped in {stage}, as this machine was late"),
        SkipReason::NotStarted => format!("not started in {stage}"),
        SkipReason::GoingOn => format!("not through yet in {stage}"),
        SkipReason::NotBegun => format!("to be provisioned in {stage}, which had not begun"),
        SkipReason::NoStage => "provisioned by no stage".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn reasons_add_up_and_what_is_not_known_is_said() {
        let mut stage = fixture::renewal_storm().stages.remove(1);
        let skip = |reason, devices| Skip { reason, provisioned_in: Some("storm".to_owned()), devices };
        stage.skips = vec![skip(SkipReason::Failed, 9), skip(SkipReason::GoingOn, 5)];
        let told = |stage: &StageRecord| sentence(stage).unwrap();
        assert_eq!(told(&stage), "14 devices had no certificate: 9 failed in storm, 5 not through yet in storm");
        stage.skips.truncate(1);
        assert_eq!(told(&stage), "14 devices had no certificate: 9 failed in storm, of 5 the record does not know why");
        stage.totals.skipped = 0;
        assert_eq!(sentence(&stage), None);
    }

    #[test]
    fn every_reason_has_words_of_its_own() {
        let skip = |reason| words(&Skip { reason, provisioned_in: Some("rollout".to_owned()), devices: 1 });
        let mut all = SkipReason::ALL.map(skip);
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
    }
}
