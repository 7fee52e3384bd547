use crate::domain::FleetTime;

use crate::domain::{ByClass, Count, Counts, FailureClass};

/// What a count came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// So many.
    Number(u64),
    /// So many, by the class of the failure.
    ByClass(&'a ByClass),
    /// The longest of times, when there was one.
    Longest(Option<FleetTime>),
}

/// Counts that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unknown {
    /// Bits in the order of [`Count::ALL`].
    counts: u32,
}

impl Unknown {
    const fn bit(count: Count) -> u32 {
        1 << count as u32
    }

    const fn has(self, count: Count) -> bool {
        self.counts & Self::bit(count) != 0
    }
}

const _: () = assert!(Count::ALL.len() <= u32::BITS as usize, "every count has a bit");

/// Where a count is kept, to be written.
#[derive(Debug)]
pub enum Slot<'a> {
    /// Of a number.
    Number(&'a mut u64),
    /// Of failures by class.
    ByClass(&'a mut ByClass),
    /// Of the longest of times.
    Longest(&'a mut Option<FleetTime>),
}

impl Counts {
    /// What a count came to; `None` when it is not known.
    pub fn get(&self, count: Count) -> Option<Value<'_>> {
        (!self.unknown.has(count)).then(|| self.field(count))
    }

    /// A count as a number, of all classes together; `None` when it is not known, or no number.
    pub fn number(&self, count: Count) -> Option<u64> {
        match self.get(count)? {
            Value::Number(number) => Some(number),
            Value::ByClass(failures) => Some(failures.total()),
            Value::Longest(_) => None,
        }
    }

    /// The part of a count that is of one class of failures; `None` when it is not known, or not counted by class.
    pub fn of_class(&self, count: Count, class: FailureClass) -> Option<u64> {
        match self.get(count)? {
            Value::ByClass(failures) => failures.of(class),
            Value::Number(_) | Value::Longest(_) => None,
        }
    }

    /// Where a count is kept. From now on it is known.
    pub fn slot(&mut self, count: Count) -> Slot<'_> {
        self.unknown.counts &= !Unknown::bit(count);
        self.field_mut(count)
    }

    /// From now on it is not known what a count came to, nor what it comes to together with others.
    pub const fn forget(&mut self, count: Count) {
        self.unknown.counts |= Unknown::bit(count);
    }

    /// Adds all of `other`. What one of both does not know, nobody knows of both.
    pub fn add(&mut self, other: &Self) {
        for count in Count::ALL {
            match (self.field_mut(count), other.field(count)) {
                (Slot::Number(sum), Value::Number(part)) => *sum += part,
                (Slot::ByClass(sum), Value::ByClass(part)) => sum.add(part),
                (Slot::Longest(longest), Value::Longest(time)) => *longest = (*longest).max(time),
                _ => {}
            }
        }
        self.unknown.counts |= other.unknown.counts;
    }

    /// Devices that are through: succeeded, failed, dropped or skipped.
    pub fn through(&self) -> u64 {
        self.succeeded + self.failed.total() + self.dropped + self.skipped
    }

    /// Devices with an outcome.
    pub fn accounted(&self) -> u64 {
        self.through() + self.not_started
    }

    /// Whether every planned device has exactly one outcome: `planned = succeeded + failed + dropped + not_started + skipped`.
    pub fn add_up(&self) -> bool {
        self.planned == self.accounted()
    }
}

impl From<&u64> for Value<'_> {
    fn from(number: &u64) -> Self {
        Self::Number(*number)
    }
}

impl<'a> From<&'a ByClass> for Value<'a> {
    fn from(failures: &'a ByClass) -> Self {
        Self::ByClass(failures)
    }
}

impl From<&Option<FleetTime>> for Value<'_> {
    fn from(longest: &Option<FleetTime>) -> Self {
        Self::Longest(*longest)
    }
}

impl<'a> From<&'a mut u64> for Slot<'a> {
    fn from(number: &'a mut u64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a mut ByClass> for Slot<'a> {
    fn from(failures: &'a mut ByClass) -> Self {
        Self::ByClass(failures)
    }
}

impl<'a> From<&'a mut Option<FleetTime>> for Slot<'a> {
    fn from(longest: &'a mut Option<FleetTime>) -> Self {
        Self::Longest(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every count is `n`, in seconds where it is a time.
    fn all(n: u64) -> Counts {
        let mut counts = Counts::default();
        for count in Count::ALL {
            match counts.slot(count) {
                Slot::Number(number) => *number = n,
                Slot::ByClass(failures) => failures[FailureClass::Tls] = n,
                Slot::Longest(longest) => *longest = Some(FleetTime::from_secs(n)),
            }
        }
        counts
    }

    #[test]
    fn every_count_is_added_and_of_times_the_longest_stays() {
        let mut sum = all(2);
        sum.add(&all(5));
        for count in Count::ALL {
            match sum.get(count).expect("it is known") {
                Value::Number(_) | Value::ByClass(_) => assert_eq!(sum.number(count), Some(7), "{count:?}"),
                Value::Longest(longest) => assert_eq!(longest, Some(FleetTime::from_secs(5)), "{count:?}"),
            }
        }
        assert_eq!(sum.of_class(Count::Failed, FailureClass::Tls), Some(7));
        assert_eq!(sum.of_class(Count::Failed, FailureClass::Network), Some(0));
        assert_eq!(sum.of_class(Count::Started, FailureClass::Tls), None, "it is not counted by class");
    }

    #[test]
    fn what_one_of_two_does_not_know_nobody_knows_of_both() {
        for count in Count::ALL {
            let (mut one, mut sum) = (all(1), all(2));
            one.forget(count);
            sum.add(&one);
            let known: Vec<_> = Count::ALL.into_iter().filter(|known| sum.get(*known).is_some()).collect();
            assert!(!known.contains(&count) && known.len() == Count::ALL.len() - 1, "{known:?}");
        }
        let mut failed = ByClass::from([1; FailureClass::ALL.len()]);
        failed.add(&ByClass::unclassed(2));
        assert_eq!((failed.total(), failed.of(FailureClass::Tls)), (2 + FailureClass::ALL.len() as u64, None));
        assert!(failed.classes().is_none());
    }

    #[test]
    fn names_are_unique_and_sentences_are_sentences() {
        for count in Count::ALL {
            assert_eq!(Count::from_name(count.name()), Some(count));
            assert!(count.help().ends_with('.') && !count.title().is_empty(), "{count:?}");
            assert!(
                count.levels().contains(&crate::domain::Level::Stage),
                "{count:?}: a run tells what its seconds do"
            );
        }
    }

    #[test]
    fn planned_devices_have_one_outcome_each() {
        let counts = all(3);
        let outcomes: u64 = Count::OUTCOMES.iter().filter_map(|outcome| counts.number(*outcome)).sum();
        assert_eq!((counts.accounted(), counts.through()), (outcomes, outcomes - counts.not_started));
        assert!(!counts.add_up() && Counts { planned: outcomes, ..counts }.add_up());
    }
}
