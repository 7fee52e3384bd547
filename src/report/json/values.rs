//! Single values as they are stored, read with their bounds.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::{
    self, ComparisonOperator, Count as Counted, FailureClass, Fate, Origin, Phase, Ratio, StageKind, Whose,
};
use crate::measure::{MOST_VALUES, RunStatus, SkipReason};
use crate::report::csv::duration_micros;
use crate::report::units;

/// A number of events, so small that sums do not overflow.
#[derive(Serialize, Deserialize, Clone, Copy, Default)]
#[serde(try_from = "u64")]
pub(super) struct Count(pub(super) u64);

impl TryFrom<u64> for Count {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        if count <= MOST_VALUES { Ok(Self(count)) } else { Err(format!("{count} is more than any run counts")) }
    }
}

/// A time of at most 31 years, in whole microseconds.
#[derive(Serialize, Deserialize, Clone, Copy, Default)]
#[serde(try_from = "u64", into = "u64")]
pub(super) struct Micros(pub(super) Duration);

impl Micros {
    pub(super) const fn of_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }
}

impl From<Micros> for u64 {
    fn from(micros: Micros) -> Self {
        duration_micros(micros.0)
    }
}

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
#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Moment(pub(super) SystemTime);

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        units::rfc3339(moment.0)
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let moment: jiff::Timestamp = text.parse().map_err(|error| format!("{text:?} is no moment: {error}"))?;
        let moment = SystemTime::try_from(moment).map_err(|error| format!("{text:?} is no moment: {error}"))?;
        if moment < SystemTime::UNIX_EPOCH { Err(format!("{text} is before 1970")) } else { Ok(Self(moment)) }
    }
}

/// A value of a fixed set of names.
macro_rules! by_name {
    ($type:ident, $of:ident) => {
        #[derive(Serialize, Deserialize, Clone, Copy)]
        #[serde(try_from = "String", into = "&'static str")]
        pub(in crate::report::json) struct $type(pub(in crate::report::json) $of);

        #[cfg(test)]
        crate::report::json::schema::stored_as! {
            $type: crate::report::json::schema::names($of::ALL.map($of::name));
        }

        impl From<$type> for &'static str {
            fn from(value: $type) -> Self {
                value.0.name()
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let found = $of::from_name(&text);
                found.map(Self).ok_or_else(|| format!("{text:?} is not known to this version"))
            }
        }
    };
}

by_name!(Class, FailureClass);
by_name!(PhaseName, Phase);
by_name!(Status, RunStatus);
by_name!(OriginName, Origin);
by_name!(Reason, SkipReason);
by_name!(Kind, StageKind);
by_name!(ComparisonSign, ComparisonOperator);
by_name!(CountName, Counted);
by_name!(RatioName, Ratio);
by_name!(Outcome, Fate);
by_name!(WhoseName, Whose);

/// Failures per class, one key for each; a class that is not listed did not occur.
#[derive(Deserialize, Clone, Copy, Default)]
#[serde(try_from = "BTreeMap<String, Count>")]
pub(super) struct ByClass(pub(super) domain::ByClass);

impl Serialize for ByClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(FailureClass::ALL.into_iter().map(|class| (class.name(), self.0[class])))
    }
}

impl TryFrom<BTreeMap<String, Count>> for ByClass {
    type Error = String;

    fn try_from(map: BTreeMap<String, Count>) -> Result<Self, String> {
        let mut counts = domain::ByClass::default();
        for (name, Count(count)) in map {
            let Class(class) = Class::try_from(name)?;
            counts[class] = count;
        }
        Ok(Self(counts))
    }
}

/// No scenario has a name of several lines, which would pass for lines of the report.
pub(super) fn in_one_line(name: String) -> String {
    if name.contains(['\n', '\r']) { name.split_whitespace().collect::<Vec<_>>().join(" ") } else { name }
}
