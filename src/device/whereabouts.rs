use std::cell::{Cell, RefCell};

use crate::domain::{Lateness, Phase};

/// How many devices are in which phase now, and how late they were with what was due within their attempts. For devices of one
/// thread; a phase that a device is in counts from its beginning, where the times of phases come when it is over.
#[derive(Debug, Default)]
pub struct Whereabouts {
    counts: [Cell<u64>; Phase::COUNT],
    late: RefCell<Vec<Lateness>>,
}

impl Whereabouts {
    /// Devices in each phase, in the order of [`Phase::ALL`].
    pub fn counts(&self) -> [u64; Phase::COUNT] {
        std::array::from_fn(|place| self.counts[place].get())
    }

    /// Takes what was due since the last time, for whoever records it: at the latest when an attempt ends, so that no more waits than
    /// attempts in flight do between two of them.
    pub fn drain_late(&self, mut record: impl FnMut(Lateness)) {
        self.late.borrow_mut().drain(..).for_each(&mut record);
    }

    pub(super) fn did(&self, late: Lateness) {
        self.late.borrow_mut().push(late);
    }

    pub(super) fn moves(&self, from: Option<Phase>, to: Option<Phase>) {
        let change = |phase: Option<Phase>, by: fn(u64) -> u64| {
            if let Some(count) = phase.map(|phase| &self.counts[phase.index()]) {
                count.set(by(count.get()));
            }
        };
        change(from, |count| count.saturating_sub(1));
        change(to, |count| count.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_in_one_phase_at_a_time() {
        let whereabouts = Whereabouts::default();
        let count = |phase: Phase| whereabouts.counts()[phase.index()];
        whereabouts.moves(None, Some(Phase::Tcp));
        whereabouts.moves(None, Some(Phase::Tcp));
        whereabouts.moves(Some(Phase::Tcp), Some(Phase::Tls));
        assert_eq!((count(Phase::Tcp), count(Phase::Tls)), (1, 1));
        whereabouts.moves(Some(Phase::Tls), None);
        whereabouts.moves(Some(Phase::Tcp), None);
        assert_eq!(whereabouts.counts(), [0; Phase::COUNT]);
    }
}
