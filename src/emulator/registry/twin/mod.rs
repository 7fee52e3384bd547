//! Device twins. Source: Microsoft Learn, "Understand and use device twins in IoT Hub".

mod rules;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use rules::Invalid;
use rules::{SectionLimits, check_patch, size, uncounted};

/// Tags, desired and reported properties of a device. What it reports and what is desired are sections of their own,
/// each with a version that every change increases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Twin {
    /// What the back end wants.
    pub(crate) desired: TwinSection,
    /// What the device says.
    pub(crate) reported: TwinSection,
    /// What the back end notes and the device does not see.
    pub(crate) tags: Map<String, Value>,
    /// Version of the whole.
    pub(crate) version: u64,
}

/// Properties and their version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TwinSection {
    /// The properties.
    pub(crate) properties: Map<String, Value>,
    /// How often they were changed, plus one.
    pub(crate) version: u64,
}

impl Default for TwinSection {
    fn default() -> Self {
        Self { properties: Map::new(), version: 1 }
    }
}

impl Default for Twin {
    fn default() -> Self {
        Self { desired: TwinSection::default(), reported: TwinSection::default(), tags: Map::new(), version: 1 }
    }
}

impl TwinSection {
    /// The properties with `$version`, as devices and back ends see them.
    pub(crate) fn to_value(&self) -> Value {
        with_version(self.properties.clone(), self.version)
    }

    /// Merges a patch.
    fn patch(&mut self, patch: Map<String, Value>) -> Result<(), Invalid> {
        patched(&mut self.properties, patch, &SectionLimits::PROPERTIES)?;
        self.version += 1;
        Ok(())
    }
}

impl Twin {
    /// The twin that an enrollment gives a device at its first registration: `{"tags":{…},"properties":{"desired":{…}}}`.
    pub(crate) fn initial(twin: &Value) -> Result<Self, Invalid> {
        let object = |value: Option<&Value>| match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object.clone())),
            Some(_) => Err(Invalid::NotAnObject),
        };
        let properties = object(twin.get("properties"))?.unwrap_or_default();
        let (tags, desired) = (object(twin.get("tags"))?, object(properties.get("desired"))?);
        let mut changed = Self::default();
        changed.change(tags, desired)?;
        changed.desired.version = 1;
        Ok(Self { version: 1, ..changed })
    }

    /// Desired and reported properties: what the device sees.
    pub(crate) fn device_view(&self) -> Value {
        let sections = [("desired", &self.desired), ("reported", &self.reported)];
        Value::Object(sections.map(|(name, section)| (name.to_owned(), section.to_value())).into_iter().collect())
    }

    /// The device reports; the new version of what it reported.
    pub(crate) fn report(&mut self, patch: Map<String, Value>) -> Result<u64, Invalid> {
        self.reported.patch(patch)?;
        self.version += 1;
        Ok(self.reported.version)
    }

    /// The back end changes tags and desired properties, both or neither; the notification for the device when there
    /// are desired properties in it.
    pub(crate) fn change(
        &mut self,
        tags: Option<Map<String, Value>>,
        desired: Option<Map<String, Value>>,
    ) -> Result<Option<Notification>, Invalid> {
        let mut new = self.clone();
        if let Some(tags) = tags {
            patched(&mut new.tags, tags, &SectionLimits::TAGS)?;
        }
        let notification = match desired {
            None => None,
            Some(desired) => {
                let patch = rules::without_read_only(desired);
                new.desired.patch(patch.clone())?;
                let version = new.desired.version;
                Some(Notification { version, body: with_version(patch, version).to_string() })
            }
        };
        new.version += 1;
        *self = new;
        Ok(notification)
    }
}

/// What a device is told of a change of its desired properties: the patch as it was made, with the new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Version of the desired properties.
    pub(crate) version: u64,
    /// JSON.
    pub(crate) body: String,
}

/// The version comes last: clients that read JSON as a stream take what comes before it for the properties.
fn with_version(mut properties: Map<String, Value>, version: u64) -> Value {
    properties.insert("$version".to_owned(), version.into());
    Value::Object(properties)
}

/// Merges `patch` into `properties` if the result keeps to the rules, else changes nothing.
fn patched(
    properties: &mut Map<String, Value>,
    patch: Map<String, Value>,
    limits: &SectionLimits,
) -> Result<(), Invalid> {
    let patch = rules::without_read_only(patch);
    check_patch(&patch)?;
    let mut merged = properties.clone();
    merge(&mut merged, patch);
    // What became smaller is never refused.
    let beyond = |measure: fn(&Map<String, Value>) -> usize, limit| {
        let after = measure(&merged);
        (after > limit && after > measure(properties)).then_some(after)
    };
    if let Some(size) = beyond(size, limits.size) {
        return Err(Invalid::TooLarge { size, limit: limits.size });
    }
    if let Some(count) = beyond(uncounted, limits.uncounted) {
        return Err(Invalid::Uncounted { count, limit: limits.uncounted });
    }
    *properties = merged;
    Ok(())
}

/// Adds and replaces members; `null` removes one; objects are merged. Members stay where they are, new ones come behind.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.shift_remove(&name);
            }
            Value::Object(patch) => {
                let member = target.entry(name).or_insert(Value::Null);
                if !member.is_object() {
                    *member = Value::Object(Map::new());
                }
                if let Value::Object(member) = member {
                    merge(member, patch);
                }
            }
            value => {
                target.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_new_twin_has_versions_only() {
        let view = Twin::default().device_view();
        assert_eq!(view, json!({"desired": {"$version": 1}, "reported": {"$version": 1}}));
    }

    #[test]
    fn patches_merge_and_null_removes() {
        let mut twin = Twin::default();
        assert_eq!(twin.report(object(json!({"a": {"b": 1, "c": 2}, "d": [1], "e": "x"}))), Ok(2));
        assert_eq!(twin.report(object(json!({"a": {"b": null, "f": true}, "d": [2], "e": {"g": {"h": null}}}))), Ok(3));
        let expected = json!({"a": {"c": 2, "f": true}, "d": [2], "e": {"g": {}}, "$version": 3});
        assert_eq!(twin.reported.to_value(), expected);
        assert_eq!(twin.report(object(json!({"$version": 1, "$metadata": {}, "a": null}))), Ok(4));
        assert_eq!(twin.reported.to_value(), json!({"d": [2], "e": {"g": {}}, "$version": 4}));
    }

    #[test]
    fn a_change_by_the_back_end_is_made_whole_or_not_at_all() {
        let mut twin = Twin::default();
        let told = twin.change(Some(object(json!({"site": 7}))), Some(object(json!({"interval": 5, "gone": null}))));
        let told = told.unwrap().unwrap();
        assert_eq!((told.version, told.body.as_str()), (2, r#"{"interval":5,"gone":null,"$version":2}"#));
        assert_eq!((twin.version, &twin.tags), (2, &object(json!({"site": 7}))));
        let before = twin.clone();
        assert!(twin.change(Some(object(json!({"site": 8}))), Some(object(json!({"a.b": 1})))).is_err());
        assert_eq!(twin, before);
        assert_eq!(twin.change(Some(object(json!({"site": null}))), None), Ok(None));
        assert_eq!((twin.desired.version, twin.version, twin.tags.len()), (2, 3, 0));
    }

    #[test]
    fn a_section_grows_up_to_its_limit() {
        let mut twin = Twin::default();
        let filler = "x".repeat(4000);
        for i in 0..8 {
            twin.report(object(json!({format!("{i}"): filler}))).unwrap();
        }
        assert_eq!(twin.report(object(json!({"8": filler}))), Err(Invalid::TooLarge { size: 36009, limit: 32768 }));
        assert_eq!(twin.reported.version, 9);
        assert!(twin.report(object(json!({"1": null, "8": filler}))).is_ok(), "as large as before");
        let tags: Map<_, _> = (0..3).map(|i| (format!("{i}"), filler.clone().into())).collect();
        assert!(matches!(twin.change(Some(tags), None), Err(Invalid::TooLarge { limit: 8192, .. })));
    }

    #[test]
    fn a_section_has_its_limit_to_the_byte_and_one_beyond_it_may_shrink() {
        // Names of one byte and texts of 4,095 are 4 KiB each.
        let full = |more: usize| {
            let mut properties: Map<_, _> = (0..8).map(|i| (i.to_string(), "x".repeat(4095).into())).collect();
            if more > 0 {
                properties.insert("m".to_owned(), "x".repeat(more - 1).into());
            }
            properties
        };
        assert_eq!(Twin::default().report(full(0)), Ok(2));
        assert_eq!(Twin::default().report(full(1)), Err(Invalid::TooLarge { size: 32_769, limit: 32_768 }));
        // As an earlier version may have stored it.
        let mut twin = Twin { reported: TwinSection { properties: full(100), version: 1 }, ..Twin::default() };
        assert_eq!(twin.report(object(json!({"m": "y".repeat(99)}))), Ok(2), "as large as before");
        assert_eq!(
            twin.report(object(json!({"m": "y".repeat(100)}))),
            Err(Invalid::TooLarge { size: 32_869, limit: 32_768 })
        );
        assert_eq!(twin.report(object(json!({"m": "y"}))), Ok(3));

        let empty = |count: usize| object(json!({"list": vec![Value::Null; count - 1]}));
        assert_eq!(Twin::default().report(empty(8192)), Ok(2));
        assert_eq!(Twin::default().report(empty(8193)), Err(Invalid::Uncounted { count: 8193, limit: 8192 }));
        assert_eq!(Twin::default().change(Some(empty(2048)), None), Ok(None));
        let refused = Twin::default().change(Some(empty(2049)), None);
        assert_eq!(refused, Err(Invalid::Uncounted { count: 2049, limit: 2048 }));
    }

    #[test]
    fn what_does_not_count_is_bounded_too() {
        let many = |value: Value| json!({"a": vec![value; 12_000]});
        let control = json!({"a": vec!["\u{1}".repeat(4096); 3]});
        for nothing in [many(json!(null)), many(json!("")), many(json!([])), many(json!({})), control] {
            let mut twin = Twin::default();
            let refused = twin.report(object(nothing)).unwrap_err();
            assert!(matches!(refused, Invalid::Uncounted { limit: 8192, .. }), "{refused}");
            assert_eq!(twin, Twin::default());
        }
        // Little by little it comes to no more.
        let mut twin = Twin::default();
        let some = json!(vec![json!([]); 1000]);
        let taken = (0..1000).filter(|i| twin.report(object(json!({i.to_string(): some}))).is_ok()).count();
        assert_eq!(taken, 8);
        // All that counts is taken, however small its parts are.
        for (smallest, many) in [(json!(true), 8000), (json!(1), 4000), (json!("x"), 32_000)] {
            let mut twin = Twin::default();
            assert_eq!(twin.report(object(json!({"a": vec![smallest; many]}))), Ok(2));
        }
    }
}
