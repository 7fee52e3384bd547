//! The JSON Schema of `run.json`, made from the types that are written and read. docs/run.schema.json is it.

use std::fs;

use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use crate::domain::{self, Adding, FailureClass};
use crate::measure::MOST_VALUES;
use crate::report::SCHEMA;
use crate::report::json::counts::{BY_CLASS, Counts, FROM_THE_FIRST, MICROS};
use crate::report::json::run::Run;
use crate::report::json::values::{ByClass, Count, Micros, Moment};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/run.schema.json");

/// Values whose schema is that of what stands in the file for them.
macro_rules! stored_as {
    ($($type:ident: $schema:expr;)*) => {
        $(impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        })*
    };
}
pub(super) use stored_as;

stored_as! {
    Count: number().try_into().unwrap();
    Micros: number().try_into().unwrap();
    Moment: json_schema!({ "type": "string", "format": "date-time" });
    ByClass: by_class();
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": MOST_VALUES })
}

fn by_class() -> Schema {
    let classes: Map<_, _> = FailureClass::ALL.iter().map(|class| (class.name().to_owned(), number())).collect();
    json_schema!({ "type": "object", "properties": classes })
}

impl<const OF_SECONDS: bool> schemars::JsonSchema for Counts<OF_SECONDS> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("CountsOf{:?}", Self::LEVEL).into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        for count in domain::Count::at(Self::LEVEL) {
            let name = count.name();
            let mut told = |key: String, mut schema: Value| {
                schema["description"] = count.help().into();
                properties.insert(key, schema);
            };
            match count.adding() {
                Adding::Sum => told(name.to_owned(), number()),
                Adding::ByClass => {
                    told(name.to_owned(), number());
                    told(format!("{name}{BY_CLASS}"), by_class().to_value());
                }
                Adding::Longest => {
                    let mut time = number();
                    time["type"] = json!(["integer", "null"]);
                    told(format!("{name}{MICROS}"), time);
                }
            }
        }
        let from_the_first = FROM_THE_FIRST.iter().filter(|count| count.levels().contains(&Self::LEVEL));
        let required: Vec<String> = from_the_first
            .map(|count| count.name().to_owned())
            .chain([format!("{}{BY_CLASS}", domain::Count::Failed.name())])
            .collect();
        json_schema!({ "type": "object", "properties": properties, "required": required })
    }
}

/// One of some names.
pub(super) fn names<const N: usize>(names: [&str; N]) -> Schema {
    json_schema!({ "type": "string", "enum": names.as_slice() })
}

fn of(contract: Contract) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.contract = contract);
    settings.into_generator().into_root_schema_for::<Run>().to_value()
}

/// Everything that is written; required of it is what is read, as records of before a key was added do not have it.
fn schema() -> Value {
    let (mut written, read) = (of(Contract::Serialize), of(Contract::Deserialize));
    let definitions = written["$defs"].as_object_mut().unwrap();
    for (name, written) in definitions {
        if let Some(read) = read["$defs"].get(name) {
            require(written, read);
        }
    }
    require(&mut written, &read);
    written["required"].as_array_mut().unwrap().insert(0, "schema".into());
    written["properties"]["schema"] = json!({ "const": SCHEMA });
    without_defaults(&mut written);
    let mut schema = json!({
        "$schema": written["$schema"],
        "title": "run.json of fleetstorm",
        "description": written["description"],
    });
    let rest = written.as_object().unwrap().iter().filter(|(key, _)| schema.get(key).is_none());
    let rest: Vec<_> = rest.map(|(key, value)| (key.clone(), value.clone())).collect();
    schema.as_object_mut().unwrap().extend(rest);
    schema
}

/// What is not there is not known: it is no zero.
fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.shift_remove("default");
            object.values_mut().for_each(without_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}

fn require(written: &mut Value, read: &Value) {
    written["required"] = read.get("required").cloned().unwrap_or_else(|| json!([]));
}

#[test]
fn the_schema_in_the_docs_is_that_of_the_types() {
    let made = format!("{:#}\n", schema());
    if std::env::var_os("FLEETSTORM_BLESS").is_some() {
        fs::write(FILE, &made).unwrap();
    }
    let there = fs::read_to_string(FILE).unwrap_or_default();
    assert!(there == made, "docs/run.schema.json is not up to date: run this test once with FLEETSTORM_BLESS=1");
}
