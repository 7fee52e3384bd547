use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::{self, FleetTime, Level, Slot, Value};
use crate::report::json::values::{ByClass, Count, Micros};
use crate::report::units::{self, rounded};

/// The counts of a stage, or of one of its seconds, each under its own name: `polls`, `retry_after_max_us`, and of what is
/// counted by class the sum and every class, `failed` and `failed_by_class`. What is not known has no key.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts<const OF_SECONDS: bool>(pub(super) domain::Counts);

/// The counts of a stage, or of all stages together, and what follows from them.
#[derive(Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Totals {
    #[serde(flatten)]
    pub(super) counts: Counts<false>,
    /// Absent when nothing succeeded.
    #[serde(skip_deserializing)]
    attempts_per_success: Option<f64>,
}

impl Totals {
    pub(super) fn of(counts: &domain::Counts) -> Self {
        let attempts_per_success = units::ratio(counts.attempts, counts.succeeded).map(rounded);
        Self { counts: Counts(*counts), attempts_per_success }
    }
}

/// Counts that every record has; of seconds, those of them that are kept of seconds.
pub(super) const FROM_THE_FIRST: [domain::Count; 6] = [
    domain::Count::Planned,
    domain::Count::Started,
    domain::Count::Succeeded,
    domain::Count::Dropped,
    domain::Count::NotStarted,
    domain::Count::Throttled,
];

/// Counts of what did not exist before it was counted, so that a record without them had none.
const NONE_BEFORE: [domain::Count; 6] = [
    domain::Count::Skipped,
    domain::Count::GaveUp,
    domain::Count::Expired,
    domain::Count::RetryAfterMax,
    domain::Count::Disconnects,
    domain::Count::Telemetry,
];

pub(super) const BY_CLASS: &str = "_by_class";
pub(super) const MICROS: &str = "_us";

impl<const OF_SECONDS: bool> Counts<OF_SECONDS> {
    pub(super) const LEVEL: Level = if OF_SECONDS { Level::Second } else { Level::Stage };
}

impl<const OF_SECONDS: bool> Serialize for Counts<OF_SECONDS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for count in domain::Count::at(Self::LEVEL) {
            let name = count.name();
            match self.0.get(count) {
                Some(Value::Number(number)) => map.serialize_entry(name, &number)?,
                Some(Value::ByClass(failures)) => {
                    map.serialize_entry(name, &failures.total())?;
                    if failures.classes().is_some() {
                        map.serialize_entry(&format!("{name}{BY_CLASS}"), &ByClass(*failures))?;
                    }
                }
                Some(Value::Longest(longest)) => {
                    map.serialize_entry(&format!("{name}{MICROS}"), &longest.map(|time| Micros(time.length())))?;
                }
                None => {}
            }
        }
        map.end()
    }
}

impl<'de, const OF_SECONDS: bool> Deserialize<'de> for Counts<OF_SECONDS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys::<OF_SECONDS>)
    }
}

struct Keys<const OF_SECONDS: bool>;

impl<'de, const OF_SECONDS: bool> Visitor<'de> for Keys<OF_SECONDS> {
    type Value = Counts<OF_SECONDS>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut counts = domain::Counts::default();
        let (mut told, mut told_by_class) = (Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let name = key.strip_suffix(BY_CLASS).or(key.strip_suffix(MICROS)).unwrap_or(&key);
            let count = domain::Count::from_name(name);
            let Some(count) = count.filter(|count| count.levels().contains(&Counts::<OF_SECONDS>::LEVEL)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match counts.slot(count) {
                Slot::Number(number) => *number = map.next_value::<Count>()?.0,
                Slot::ByClass(failures) if key.ends_with(BY_CLASS) => {
                    *failures = map.next_value::<ByClass>()?.0;
                    told_by_class.push(count);
                }
                Slot::ByClass(failures) => {
                    let Count(number) = map.next_value()?;
                    if !told_by_class.contains(&count) {
                        *failures = domain::ByClass::unclassed(number);
                    }
                }
                Slot::Longest(longest) => {
                    *longest = map.next_value::<Option<Micros>>()?.map(|time| FleetTime::new(time.0));
                }
            }
            told.push(count);
        }
        if !told_by_class.contains(&domain::Count::Failed) {
            return Err(Error::missing_field("failed_by_class"));
        }
        for count in domain::Count::at(Counts::<OF_SECONDS>::LEVEL).filter(|count| !told.contains(count)) {
            match count {
                // As long as every device had one attempt, attempts were not counted apart.
                domain::Count::Attempts => counts.attempts = counts.started,
                domain::Count::FailedAttempts => counts.failed_attempts = counts.failed,
                missing if FROM_THE_FIRST.contains(&missing) => return Err(Error::missing_field(missing.name())),
                without if NONE_BEFORE.contains(&without) => {}
                unknown => counts.forget(unknown),
            }
        }
        Ok(Counts(counts))
    }
}
