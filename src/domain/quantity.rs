use std::cmp::Ordering;
use std::time::Duration;

/// What is measured or compared, with what it is counted in. Those of different units are neither equal, nor is one of them
/// more than the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A real time.
    Time(Duration),
    /// A share of one.
    Share(f64),
    /// Events per second of real time.
    PerSecond(f64),
    /// A count, or a ratio of counts.
    Number(f64),
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => one.partial_cmp(other),
            (Self::Share(one), Self::Share(other))
            | (Self::PerSecond(one), Self::PerSecond(other))
            | (Self::Number(one), Self::Number(other)) => one.partial_cmp(other),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_in_different_units_does_not_compare() {
        let all =
            [Quantity::Time(Duration::ZERO), Quantity::Share(0.0), Quantity::PerSecond(0.0), Quantity::Number(0.0)];
        for (place, one) in all.iter().enumerate() {
            for (other_place, other) in all.iter().enumerate() {
                let order = (place == other_place).then_some(Ordering::Equal);
                assert_eq!(one.partial_cmp(other), order, "{one:?} {other:?}");
            }
        }
        assert!(Quantity::Time(Duration::from_secs(1)) > Quantity::Time(Duration::from_millis(999)));
        assert!(Quantity::Share(0.1) < Quantity::Share(0.2));
    }
}
