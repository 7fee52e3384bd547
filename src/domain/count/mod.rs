//! Everything that is counted, declared once: whoever keeps, writes, reads, judges or shows counts goes through this list.

mod by_class;
mod counts;

use crate::domain::FleetTime;

pub use by_class::ByClass;
pub use counts::{Slot, Unknown, Value};

/// What counts are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Devices of a stage; of several stages together, tasks, as a device has one in each of its stages.
    Devices,
    /// Attempts, of which a device may make several.
    Attempts,
    /// Messages and connections.
    Traffic,
}

/// How two of a count are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adding {
    /// As a sum.
    Sum,
    /// As a sum for each class of failures.
    ByClass,
    /// The longer one of two lengths of the fleet's time.
    Longest,
}

/// What a count is kept in.
macro_rules! kept_in {
    (Sum) => {
        u64
    };
    (ByClass) => {
        ByClass
    };
    (Longest) => {
        Option<FleetTime>
    };
}

/// Of what a count is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A stage, and so the run.
    Stage,
    /// A second of a stage.
    Second,
}

/// What a count says when it is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Nothing that anybody must look at.
    None,
    /// Something that may be as it should.
    Warning,
    /// Something that went wrong.
    Bad,
}

/// Whether a count is kept of seconds too.
macro_rules! levels {
    (stages) => {
        &[Level::Stage]
    };
    (seconds) => {
        &[Level::Stage, Level::Second]
    };
}

/// Makes [`Count`] and [`Counts`] out of one row for each.
macro_rules! declare {
    ($($variant:ident $name:ident: $adding:ident, $subject:ident, $level:ident, $concern:ident, $title:literal, $help:literal;)+) => {
        /// One of the things that are counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Count {
            $(#[doc = $help] $variant,)+
        }

        impl Count {
            /// Every count.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The name in files, thresholds and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name),)+ }
            }

            /// What it is called at the head of a column.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// What it counts, as a sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            /// How two of it are added.
            pub const fn adding(self) -> Adding {
                match self { $(Self::$variant => Adding::$adding,)+ }
            }

            /// What it is about.
            pub const fn subject(self) -> Subject {
                match self { $(Self::$variant => Subject::$subject,)+ }
            }

            /// Of what it is kept.
            pub const fn levels(self) -> &'static [Level] {
                match self { $(Self::$variant => levels!($level),)+ }
            }

            /// What it says when it is not zero.
            pub const fn concern(self) -> Concern {
                match self { $(Self::$variant => Concern::$concern,)+ }
            }
        }

        /// Every count of something: of a stage, of a second of it, of a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counts {
            $(#[doc = $help] pub $name: kept_in!($adding),)+
            /// What a record that is older than the count does not tell.
            pub unknown: Unknown,
        }

        impl Counts {
            fn field(&self, count: Count) -> Value<'_> {
                match count { $(Count::$variant => Value::from(&self.$name),)+ }
            }

            fn field_mut(&mut self, count: Count) -> Slot<'_> {
                match count { $(Count::$variant => Slot::from(&mut self.$name),)+ }
            }
        }
    };
}

declare! {
    Planned planned: Sum, Devices, stages, None, "planned", "Devices that take part.";
    Started started: Sum, Devices, seconds, None, "started", "Devices that started.";
    Succeeded succeeded: Sum, Devices, seconds, None, "succeeded", "Devices that succeeded.";
    Failed failed: ByClass, Devices, seconds, Bad, "failed",
        "Devices that failed for good, by the class of the last failure; those cut by the end of the run included.";
    Dropped dropped: Sum, Devices, seconds, Warning, "dropped", "Devices that were due, but could not start in time.";
    NotStarted not_started: Sum, Devices, stages, None, "not started",
        "Devices that were not started when the run was stopped, without being late.";
    Skipped skipped: Sum, Devices, stages, Warning, "skipped",
        "Devices that had nothing to do, as they had no certificate.";
    GaveUp gave_up: Sum, Devices, seconds, Bad, "gave up",
        "Devices that failed because their behaviour allowed them no further attempt, although what failed might have \
         passed; they are among those that failed.";
    Expired expired: Sum, Devices, seconds, Bad, "expired",
        "Devices whose certificate expired before it was replaced; they are among the others too.";
    Attempts attempts: Sum, Attempts, seconds, None, "attempts",
        "Attempts started, further ones of the same device included: what is offered to the service.";
    FailedAttempts failed_attempts: ByClass, Attempts, seconds, Bad, "failed attempts",
        "Attempts that failed, by class, whether others followed or not.";
    Throttled throttled: Sum, Traffic, seconds, Warning, "429s", "Answers 429 received.";
    RetryAfterMax retry_after_max: Longest, Traffic, seconds, None, "longest retry-after",
        "The longest retry-after that a refusal named, in fleet time.";
    Polls polls: Sum, Traffic, seconds, None, "polls", "Status polls sent.";
    Telemetry telemetry: Sum, Traffic, seconds, None, "telemetry", "Telemetry messages that the hub acknowledged.";
    MessagesMissed messages_missed: Sum, Traffic, seconds, Warning, "messages missed",
        "Telemetry messages that were due and could not be sent: the device had no connection, the hub had not acknowledged \
         the one before, or this machine was late.";
    Disconnects disconnects: Sum, Traffic, seconds, Bad, "connections lost",
        "Held connections with the hub that were lost.";
}

impl Count {
    /// The count with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|count| count.name() == name)
    }

    /// Those that are kept at a level.
    pub fn at(level: Level) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |count| count.levels().contains(&level))
    }

    /// The outcomes of devices: every one that was planned has exactly one of them.
    pub const OUTCOMES: [Self; 5] = [Self::Succeeded, Self::Failed, Self::Dropped, Self::NotStarted, Self::Skipped];

    /// Whether it follows from the plan and from how the run ended alone, so that it is not known before the end.
    pub const fn is_of_the_plan(self) -> bool {
        matches!(self, Self::Planned | Self::NotStarted)
    }
}
