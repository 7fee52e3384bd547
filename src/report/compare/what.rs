use std::borrow::Cow;
use std::iter::once;

use crate::domain::{Counts, FailureClass, Known, Phase};
use crate::measure::StageRecord;
use crate::report::compare::statistics::Block;
use crate::report::units;

/// What a row compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Times of a phase in nanoseconds, at [`crate::report::compare::PERCENTILES`]: of the attempts that succeeded; of a
    /// time that belongs to devices, of all who began.
    Time(Phase),
    /// The share of the devices that began that are through in the end.
    Through,
    /// The share of the lost connections that are back in the end.
    Recovered,
    /// Attempts that were made for each device that succeeded.
    AttemptsPerSuccess,
    /// Answers 429 for each device that started.
    Throttled,
    /// The share of devices whose certificate expired before it was replaced.
    Expired,
    /// The share of devices that failed for good or were dropped.
    FailedOrDropped,
    /// The share of devices that failed for good, and did so last.
    FailedAs(FailureClass),
    /// The share of devices that were dropped.
    Dropped,
}

impl What {
    /// All that has one value.
    pub(super) fn measures() -> impl Iterator<Item = Self> {
        let before = [Self::Through, Self::Recovered, Self::AttemptsPerSuccess, Self::Throttled, Self::Expired];
        let failures = once(Self::FailedOrDropped).chain(FailureClass::ALL.map(Self::FailedAs));
        before.into_iter().chain(failures).chain(once(Self::Dropped))
    }

    /// The phase, when times are compared.
    pub const fn phase(self) -> Option<Phase> {
        if let Self::Time(phase) = self { Some(phase) } else { None }
    }

    /// The name in JSON, which never changes.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Time(phase) => phase.name(),
            Self::Through => "through",
            Self::Recovered => "recovered",
            Self::AttemptsPerSuccess => "attempts_per_success",
            Self::Throttled => "throttled_per_device",
            Self::Expired => "expired",
            Self::FailedOrDropped => "failed_or_dropped",
            Self::FailedAs(class) => return Cow::Owned(format!("failed_{class}")),
            Self::Dropped => "dropped",
        })
    }

    /// For a person.
    pub fn title(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Time(phase) => phase.name(),
            Self::Through => "through in the end",
            Self::Recovered => "connected again",
            Self::AttemptsPerSuccess => "attempts per success",
            Self::Throttled => "429s per device",
            Self::Expired => "certificate expired",
            Self::FailedOrDropped => "failed or dropped",
            Self::FailedAs(class) => return Cow::Owned(format!("failed: {class}")),
            Self::Dropped => "dropped",
        })
    }

    /// What the second side is called when it is worse, and when it is better.
    pub const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Time(_) => ["slower", "faster"],
            Self::Through | Self::Recovered => ["fewer", "more"],
            _ => ["more", "fewer"],
        }
    }

    /// The unit in JSON.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Time(_) => "us",
            Self::AttemptsPerSuccess => "attempts",
            Self::Throttled => "answers",
            _ => "share",
        }
    }

    /// Whether values are shares of one.
    pub const fn is_share(self) -> bool {
        !matches!(self, Self::Time(_) | Self::AttemptsPerSuccess | Self::Throttled)
    }

    /// Whether a larger value is the better one.
    const fn is_good(self) -> bool {
        matches!(self, Self::Through | Self::Recovered)
    }

    /// How bad a value is.
    pub(super) fn badness(self, value: f64) -> f64 {
        if self.is_good() { 1.0 - value } else { value }
    }

    /// A value for a person; of so many.
    pub fn told(self, value: Known<f64>, count: u64) -> String {
        match (self, value) {
            (Self::Time(_), value) => units::known(value.map(|nanos| std::time::Duration::from_nanos(nanos as u64))),
            (Self::AttemptsPerSuccess | Self::Throttled, Known::Is(number)) => units::number(number),
            (_, Known::Above(number)) => format!("> {}", units::number(number)),
            (_, Known::Is(share)) => {
                let part = units::count((share * count as f64).round() as u64);
                format!("{part} of {} ({})", units::count(count), units::percent(share))
            }
        }
    }

    /// What is bad among so many, in a whole stage. Nothing in times.
    pub(super) fn in_stage(self, stage: &StageRecord) -> Block {
        let left = |phase| {
            let times = stage.of_all(phase);
            times.map_or(Block::NONE, |times| {
                let count = times.began() as f64;
                let above = (1.0 - times.share()) * count;
                // Shares are sums of many.
                Block { count, above: if above < 1e-6 { 0.0 } else { above } }
            })
        };
        match self {
            Self::Through => left(Phase::Total),
            Self::Recovered => left(Phase::Recover),
            _ => self.in_counts(&stage.totals).unwrap_or(Block::NONE),
        }
    }

    /// What is bad among so many, as counts tell it. `None`: they do not.
    pub(super) fn in_counts(self, counts: &Counts) -> Option<Block> {
        let failed = counts.failed.total();
        let ended = counts.succeeded + failed + counts.dropped;
        let (above, count) = match self {
            Self::Time(_) | Self::Recovered => return None,
            Self::Through => (failed, counts.succeeded + failed),
            // That of attempts which brought no device through: known where none did, too.
            Self::AttemptsPerSuccess => {
                let attempts = counts.attempts as f64;
                return Some(Block { count: attempts, above: attempts - counts.succeeded as f64 });
            }
            Self::Throttled => (counts.throttled, counts.started),
            Self::Expired => (counts.expired, ended),
            Self::FailedOrDropped => (failed + counts.dropped, ended),
            Self::FailedAs(class) => (counts.failed[class], ended),
            Self::Dropped => (counts.dropped, ended),
        };
        Some(Block { count: count as f64, above: above as f64 })
    }

    /// The value that is told of so many bad ones among so many.
    pub(super) fn value(self, Block { count, above }: Block) -> Known<f64> {
        match self {
            Self::AttemptsPerSuccess if count - above <= 0.0 => Known::Above(count),
            Self::AttemptsPerSuccess => Known::Is(count / (count - above)),
            _ if self.is_good() => Known::Is(1.0 - above / count),
            _ => Known::Is(above / count),
        }
    }
}
