use crate::domain::{Fate, Phase};
use crate::measure::{Histogram, PhaseHistograms};

/// How often a time was at most so long: a [`Histogram`] in few steps, for those who cannot take a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Buckets {
    /// Times up to the bound of that place and above the one before; the last place is for those above every bound.
    pub counts: [u64; Self::BOUNDS.len() + 1],
    /// Sum of the times in nanoseconds.
    pub sum: f64,
}

impl Buckets {
    /// Upper bounds in nanoseconds, each included: 1, 2 and 5 of every power of ten from 100 µs to 1,000 s, and an hour.
    pub const BOUNDS: [u64; 23] = {
        let mut bounds = [Histogram::HIGHEST; 23];
        let (mut place, mut power) = (0, 100_000);
        while place + 1 < bounds.len() {
            bounds[place] = power * [1, 2, 5][place % 3];
            place += 1;
            if place % 3 == 0 {
                power *= 10;
            }
        }
        bounds
    };

    /// Upper bounds of the buckets in seconds.
    pub fn bounds_in_seconds() -> impl Iterator<Item = f64> {
        Self::BOUNDS.iter().map(|nanos| *nanos as f64 / 1e9)
    }

    /// Of the values in `histogram`, each as exact as that is.
    pub fn of(histogram: &Histogram) -> Self {
        let mut buckets = Self::default();
        let hdr = histogram.as_hdr();
        let mut place = 0;
        for cell in hdr.iter_recorded() {
            // The middle of the cell: a value that is a bound itself lies in a cell that goes beyond it.
            let value = hdr.median_equivalent(cell.value_iterated_to());
            while Self::BOUNDS.get(place).is_some_and(|bound| hdr.lowest_equivalent(value) > *bound) {
                place += 1;
            }
            buckets.counts[place] += cell.count_since_last_iteration();
            buckets.sum += value as f64 * cell.count_since_last_iteration() as f64;
        }
        // They are in the histogram as if they were an hour.
        let [.., hour, above] = &mut buckets.counts;
        let longer = histogram.saturated().saturating_sub(*above).min(*hour);
        *hour -= longer;
        *above += longer;
        buckets
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum += other.sum;
    }

    /// Times counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// The [`Buckets`] of every phase that occurred, by how it ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhaseBuckets {
    by_fate: [[Option<Buckets>; Phase::COUNT]; Fate::COUNT],
}

impl PhaseBuckets {
    /// Of all that `phases` holds.
    pub fn of(phases: &PhaseHistograms) -> Self {
        let of = |fate| Phase::ALL.map(|phase| phases.get(phase, fate).map(Buckets::of));
        Self { by_fate: Fate::ALL.map(of) }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.by_fate.as_flattened_mut().iter_mut().zip(other.by_fate.as_flattened()) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().add(theirs);
            }
        }
    }

    /// Phases that occurred, how they ended, and how long they took.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Fate, &Buckets)> {
        Fate::ALL.into_iter().zip(&self.by_fate).flat_map(|(fate, set)| {
            let phases = Phase::ALL.into_iter().zip(set);
            phases.filter_map(move |(phase, buckets)| Some((phase, fate, buckets.as_ref()?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_rise_from_100_microseconds_to_an_hour() {
        assert!(Buckets::BOUNDS.is_sorted_by(|a, b| a < b), "{:?}", Buckets::BOUNDS);
        assert_eq!(Buckets::BOUNDS[..7], [100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000]);
        assert_eq!(Buckets::BOUNDS[21], 1_000_000_000_000);
        assert_eq!(Buckets::BOUNDS.last(), Some(&Histogram::HIGHEST));
    }

    #[test]
    fn buckets_of_every_phase_are_added_to_their_own() {
        let mut histogram = Histogram::new();
        histogram.record(5_000_000);
        let buckets = Buckets::of(&histogram);
        let mut some = PhaseBuckets::default();
        some.by_fate[Fate::Succeeded as usize][Phase::Total.index()] = Some(buckets);
        let mut others = some.clone();
        others.by_fate[Fate::Failed as usize][Phase::Tls.index()] = Some(buckets);
        some.add(&others);
        let counts: Vec<_> = some.iter().map(|(phase, fate, buckets)| (phase, fate, buckets.count())).collect();
        assert_eq!(counts, [(Phase::Total, Fate::Succeeded, 2), (Phase::Tls, Fate::Failed, 1)]);
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for (place, bound) in Buckets::BOUNDS.into_iter().enumerate() {
            let mut histogram = Histogram::new();
            histogram.record(bound);
            histogram.record(bound + bound / 100);
            let buckets = Buckets::of(&histogram);
            assert!(buckets.counts[place] >= 1, "{bound} ns: {buckets:?}");
            assert_eq!(buckets.counts[..place].iter().sum::<u64>(), 0, "{bound} ns: {buckets:?}");
        }
    }

    #[test]
    fn what_is_longer_than_an_hour_has_a_bucket_of_its_own() {
        let mut histogram = Histogram::new();
        let hour = Histogram::HIGHEST;
        [hour, hour, hour + 1, hour + hour / 100, u64::MAX].iter().for_each(|nanos| histogram.record(*nanos));
        let Buckets { counts, .. } = Buckets::of(&histogram);
        assert_eq!((counts.len(), counts[22], counts[23]), (24, 2, 3));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_sum_is_right(values in prop::collection::vec(0..=Histogram::HIGHEST, 0..60)) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.record(*value));
            let buckets = Buckets::of(&histogram);
            prop_assert_eq!(buckets.count(), values.len() as u64);
            let sum: f64 = values.iter().map(|value| *value as f64).sum();
            prop_assert!((buckets.sum - sum).abs() <= sum / 500.0 + 1e3 * values.len() as f64);
            let mut twice = buckets;
            twice.add(&buckets);
            prop_assert_eq!(twice.count(), 2 * buckets.count());
            prop_assert!((twice.sum - 2.0 * buckets.sum).abs() <= buckets.sum / 1e9);
        }
    }
}
