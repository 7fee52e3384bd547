//! Who gets what: how many attempts may be in flight, and which part of that and of the fleet each worker has.

use crate::domain::Shard;
use crate::engine::error::EngineError;

/// Open files of the process itself: standard streams, runtimes, result files, the child's pipes.
const RESERVED_FILES: u64 = 128;

/// One in so many open files stays free: a target on the same machine has the same limit and sees a connection close
/// later than the device does.
const FREE: u64 = 16;

/// The limit on open files that lets `in_flight` attempts be in flight.
pub(crate) const fn open_files_for(in_flight: u64) -> u64 {
    ((in_flight + RESERVED_FILES) * FREE).div_ceil(FREE - 1)
}

/// The bound on attempts in flight and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlightLimit {
    pub(crate) limit: u32,
    pub(crate) from: LimitedBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitedBy {
    OpenFiles(u64),
    MaxInFlight,
}

impl InFlightLimit {
    /// `open_files` is the limit in force.
    pub(crate) fn new(open_files: u64, max_in_flight: Option<u32>) -> Result<Self, EngineError> {
        let by_files = (open_files - open_files / FREE).saturating_sub(RESERVED_FILES);
        if by_files == 0 {
            return Err(EngineError::OpenFiles { limit: open_files, reserved: RESERVED_FILES });
        }
        let by_files = u32::try_from(by_files).unwrap_or(u32::MAX);
        Ok(match max_in_flight {
            Some(max) if max <= by_files => Self { limit: max, from: LimitedBy::MaxInFlight },
            _ => Self { limit: by_files, from: LimitedBy::OpenFiles(open_files) },
        })
    }
}

/// How the devices of this generator are divided among its workers: every n-th of them, by their place in its shard, as every
/// n-th of the fleet might be nobody's or all be one worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) shard: Shard,
    pub(crate) workers: u32,
}

impl Split {
    /// Which worker a device of the shard belongs to.
    pub(crate) const fn worker_of(self, device: u32) -> usize {
        (self.shard.place_of(device) % self.workers) as usize
    }

    /// Every worker's share.
    pub(crate) fn shares(self) -> impl Iterator<Item = WorkerShare> + Clone {
        (0..self.workers).map(move |index| WorkerShare { index, split: self })
    }
}

/// One worker's share: number `index` of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerShare {
    index: u32,
    split: Split,
}

impl WorkerShare {
    /// How many devices of a fleet are this worker's.
    pub(crate) const fn devices(self, fleet: u32) -> u32 {
        self.of(self.split.shard.of(fleet))
    }

    /// The place of one of this worker's devices among them.
    pub(crate) const fn place_of(self, device: u32) -> usize {
        (self.split.shard.place_of(device) / self.split.workers) as usize
    }

    /// This worker's part of `total`; the parts of all workers add up to it.
    pub(crate) const fn of(self, total: u32) -> u32 {
        total / self.split.workers + if self.index < total % self.split.workers { 1 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_add_up_and_every_device_has_one_worker_and_place(
            fleet in 0u32..5_000,
            workers in 1u32..9,
            count in 1u32..9,
            index in 0u32..9,
        ) {
            let shard = Shard::new(index % count + 1, count).unwrap();
            let split = Split { shard, workers };
            let total = shard.of(fleet);
            prop_assert_eq!(split.shares().map(|share| share.of(total)).sum::<u32>(), total);
            let mut places: Vec<Vec<bool>> =
                split.shares().map(|share| vec![false; share.devices(fleet) as usize]).collect();
            for device in shard.devices(fleet) {
                let worker = split.worker_of(device);
                let share = split.shares().nth(worker).unwrap();
                prop_assert!(!std::mem::replace(&mut places[worker][share.place_of(device)], true));
            }
            prop_assert!(places.iter().flatten().all(|taken| *taken));
        }
    }

    proptest! {
        #[test]
        fn the_files_that_a_plan_asks_for_are_enough_and_not_much_more(in_flight in 1u64..1_000_000) {
            let limit = |files| InFlightLimit::new(files, None).map_or(0, |l| u64::from(l.limit));
            let files = open_files_for(in_flight);
            prop_assert!(limit(files) >= in_flight);
            prop_assert!(limit(files - 2) < in_flight);
        }
    }

    #[test]
    fn open_files_bound_what_is_in_flight() {
        let by_files = InFlightLimit::new(1_024, None).unwrap();
        assert_eq!(by_files, InFlightLimit { limit: 832, from: LimitedBy::OpenFiles(1_024) });
        assert_eq!(InFlightLimit::new(1_024, Some(50)).unwrap().from, LimitedBy::MaxInFlight);
        assert_eq!(InFlightLimit::new(1_024, Some(5_000)).unwrap().limit, 832);
        assert!(matches!(InFlightLimit::new(64, None), Err(EngineError::OpenFiles { .. })));
    }
}
