//! What can be said about the order of stages from how they begin alone, however long each takes.

use crate::domain::FleetTime;
use crate::scenario::Start;

/// When a stage begins: so long after the end of the last of these stages; without any, after the start of the
/// measured part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenario) struct Origin {
    /// In rising order.
    after: Vec<usize>,
    delay: FleetTime,
}

impl Origin {
    /// `origins`: those of earlier stages. `None` when that of the stage that it goes by is not known.
    pub(in crate::scenario) fn of<'a>(start: &Start, origins: impl Fn(usize) -> Option<&'a Self>) -> Option<Self> {
        Some(match start {
            Start::At(delay) => Self { after: Vec::new(), delay: *delay },
            Start::After { stages, delay } => Self { after: stages.clone(), delay: *delay },
            Start::With { stage, delay } => {
                let with = origins(*stage)?;
                Self { after: with.after.clone(), delay: with.delay + *delay }
            }
        })
    }

    /// Whether a stage of this origin begins together with one of the other or before it, in any case.
    pub(in crate::scenario) fn is_never_after(&self, other: &Self) -> bool {
        self.delay <= other.delay && self.after.iter().all(|stage| other.after.contains(stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: FleetTime = FleetTime::from_secs(1);

    fn after(stages: &[usize], delay: FleetTime) -> Origin {
        Origin { after: stages.to_vec(), delay }
    }

    #[test]
    fn what_begins_beside_a_stage_has_its_origin() {
        let known = [after(&[], SECOND), after(&[0], SECOND)];
        let of = |start| Origin::of(&start, |stage| known.get(stage));
        assert_eq!(of(Start::With { stage: 1, delay: SECOND }), Some(after(&[0], 2 * SECOND)));
        assert_eq!(of(Start::With { stage: 2, delay: SECOND }), None);
        assert_eq!(of(Start::After { stages: vec![0, 1], delay: SECOND }), Some(after(&[0, 1], SECOND)));
        assert_eq!(of(Start::At(SECOND)), Some(after(&[], SECOND)));
    }

    #[test]
    fn an_order_is_only_said_where_it_does_not_depend_on_how_long_stages_take() {
        let zero = FleetTime::ZERO;
        assert!(after(&[0], zero).is_never_after(&after(&[0], zero)));
        assert!(after(&[0], zero).is_never_after(&after(&[0, 1], SECOND)));
        assert!(after(&[], zero).is_never_after(&after(&[1], zero)));
        assert!(!after(&[0], SECOND).is_never_after(&after(&[0], zero)));
        assert!(!after(&[0], zero).is_never_after(&after(&[1], SECOND)), "either may end first");
        assert!(!after(&[0, 1], zero).is_never_after(&after(&[0], zero)));
    }
}
