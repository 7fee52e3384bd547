//! Single values as they are stored, read with their bounds.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::domain::{FailureClass, Origin, Phase};
use crate::measure::{MOST_VALUES, RunStatus, SkipReason};

/// A number of events, so small that sums do not overflow.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(try_from = "u64")]
pub(super) struct Count(pub(super) u64);

impl TryFrom<u64> for Count {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        if count <= MOST_VALUES { Ok(Self(count)) } else { Err(format!("{count} is more than any run counts")) }
    }
}

/// A time of at most 31 years.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "u64")]
pub(super) struct Micros(pub(super) Duration);

impl TryFrom<u64> for Micros {
    type Error = String;

    fn try_from(micros: u64) -> Result<Self, String> {
        if micros <= MOST_VALUES {
            Ok(Self(Duration::from_micros(micros)))
        } else {
            Err(format!("{micros} µs is longer than any run"))
        }
    }
}

/// A moment since 1970.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Moment(pub(super) SystemTime);

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let moment: jiff::Timestamp = text.parse().map_err(|error| format!("{text:?} is no moment: {error}"))?;
        let moment = SystemTime::try_from(moment).map_err(|error| format!("{text:?} is no moment: {error}"))?;
        if moment < SystemTime::UNIX_EPOCH { Err(format!("{text} is before 1970")) } else { Ok(Self(moment)) }
    }
}

/// A value of a fixed set of names.
macro_rules! named {
    ($type:ident, $of:ty, $all:expr, $name:expr) => {
        #[derive(Deserialize, Clone, Copy)]
        #[serde(try_from = "String")]
        pub(in crate::report::json::stored) struct $type(pub(in crate::report::json::stored) $of);

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let name: fn($of) -> &'static str = $name;
                let found = $all.into_iter().find(|value| name(*value) == text);
                found.map(Self).ok_or_else(|| format!("{text:?} is not known to this version"))
            }
        }
    };
}

named!(Class, FailureClass, FailureClass::ALL, FailureClass::name);
named!(PhaseName, Phase, Phase::ALL, Phase::name);
named!(Status, RunStatus, RunStatus::ALL, RunStatus::name);
named!(OriginName, Origin, Origin::ALL, Origin::name);
named!(Reason, SkipReason, SkipReason::ALL, SkipReason::name);

/// Failures per class; a class that is not listed did not occur.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "BTreeMap<String, Count>")]
pub(super) struct ByClass(pub(super) [u64; FailureClass::ALL.len()]);

impl TryFrom<BTreeMap<String, Count>> for ByClass {
    type Error = String;

    fn try_from(map: BTreeMap<String, Count>) -> Result<Self, String> {
        let mut counts = [0; FailureClass::ALL.len()];
        for (name, Count(count)) in map {
            let Class(class) = Class::try_from(name)?;
            counts[class.index()] = count;
        }
        Ok(Self(counts))
    }
}
