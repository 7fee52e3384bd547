use std::time::Duration;

use crate::domain::{Failure, FailureClass};
use crate::engine::record::recorder::Errors;

/// Held connections that were lost because the hub did what a protocol does not allow. That a connection ends is a hub's right,
/// and counted as a loss; this is none, and no attempt fails of it that would say so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaches(Errors);

impl Breaches {
    /// Most of them that are told in words.
    const TOLD: usize = 3;

    /// A held connection was lost for that reason.
    pub(crate) fn count(&mut self, failure: &Failure) {
        if failure.class == FailureClass::Protocol {
            self.0.count(failure, Duration::ZERO, 1);
        }
    }

    /// Adds those of other devices.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// What the reader must know.
    pub(crate) fn note(self) -> Option<String> {
        let rows = self.0.into_rows();
        let all: u64 = rows.iter().map(|row| row.count).sum();
        let which = match all {
            0 => return None,
            1 => "1 held connection was".to_owned(),
            _ => format!("{all} held connections were"),
        };
        let told = rows.iter().take(Self::TOLD).map(|row| format!("{} ({})", row.message, row.count));
        let mut told: Vec<String> = told.collect();
        let others: u64 = rows.iter().skip(Self::TOLD).map(|row| row.count).sum();
        if others > 0 {
            told.push(format!("otherwise ({others})"));
        }
        Some(format!("{which} lost because the hub broke the protocol: {}", told.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hubs_did_is_told_the_most_frequent_first_and_ends_of_connections_are_not() {
        let mut breaches = Breaches::default();
        breaches.count(&Failure::new(FailureClass::Network, "the hub closed the connection"));
        assert_eq!(breaches.clone().note(), None);
        for (what, times) in [("one", 1), ("four", 4), ("two", 2), ("three", 3), ("five", 5)] {
            (0..times).for_each(|_| breaches.count(&Failure::new(FailureClass::Protocol, what)));
        }
        let mut all = Breaches::default();
        all.add(&breaches);
        let note = "15 held connections were lost because the hub broke the protocol: five (5), four (4), three (3), otherwise (3)";
        assert_eq!(all.note().as_deref(), Some(note));
    }

    #[test]
    fn one_alone_is_told_in_the_singular_and_without_others() {
        let mut breaches = Breaches::default();
        breaches.count(&Failure::new(FailureClass::Protocol, "a packet of a type that there is not"));
        let note =
            "1 held connection was lost because the hub broke the protocol: a packet of a type that there is not (1)";
        assert_eq!(breaches.note().as_deref(), Some(note));
    }
}
