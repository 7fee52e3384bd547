//! Settings out of TOML, with everything that is wrong with them: deserializing stops at the first mistake, so it is done
//! again without what was found, until nothing is.

use std::fmt;
use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::Config;

/// What is wrong with settings, at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(Vec<ConfigProblem>);

/// One thing that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The dotted key, such as `dps.retry_after`, or that of the table that lacks one; empty where there is no such key.
    pub key: String,
    /// What is wrong and what would be valid.
    pub message: String,
    /// The same with the line that it is in.
    pub drawn: String,
}

/// More mistakes are not looked for.
const MOST: usize = 20;

impl Config {
    /// Reads settings from TOML, without judging what they say: see [`Config::check`].
    ///
    /// # Errors
    /// Everything that is no setting, unknown keys with the one that was probably meant.
    pub fn read(text: &str) -> Result<Self, ConfigProblems> {
        let all = DeTable::parse(text).map_err(|error| ConfigProblems(vec![problem(error, text, String::new())]))?;
        let mut rest = all.clone();
        let mut problems: Vec<ConfigProblem> = Vec::new();
        for _ in 0..MOST {
            let error = match Self::deserialize(Deserializer::from(rest.clone())) {
                Ok(config) if problems.is_empty() => return Ok(config),
                Ok(_) => return Err(ConfigProblems(problems)),
                Err(error) => error,
            };
            // As it is in the text, whatever was taken out before.
            let key = error.span().and_then(|span| key_in_table(all.get_ref(), &span));
            rest = match error.span() {
                Some(span) => Spanned::new(rest.span(), without(rest.into_inner(), &span)),
                None => rest,
            };
            let more = key.is_some();
            let key = key.unwrap_or_default();
            // What was wrong was taken out: it is not missing, nor is what is left of its table wrong for that.
            let found = |begin: &str| problems.iter().any(|problem| problem.key.starts_with(begin));
            let follows = match error.message().strip_prefix("missing field `") {
                Some(name) => found(&format!("{key}.{}", name.trim_end_matches('`'))),
                None => found(&format!("{key}.")),
            };
            if !follows {
                problems.push(problem(error, text, key));
            }
            if !more {
                break;
            }
        }
        Err(ConfigProblems(problems))
    }
}

/// The dotted key of what begins and ends there: a key with its value, or an item of a list. A list of tables begins and ends
/// where its first one does, which is meant then.
fn key_in_table(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let own = || key.get_ref().to_string();
        match key_in_value(value, span) {
            _ if key.span() == *span => Some(own()),
            Some(below) => Some(format!("{}.{below}", own())),
            None => (value.span() == *span).then(own),
        }
    })
}

fn key_in_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => key_in_table(table, span),
        DeValue::Array(items) => items.iter().enumerate().find_map(|(index, item)| match item.span() == *span {
            true => Some(index.to_string()),
            false => key_in_value(item, span).map(|below| format!("{index}.{below}")),
        }),
        _ => None,
    }
}

/// All but that.
fn without<'i>(table: DeTable<'i>, span: &Range<usize>) -> DeTable<'i> {
    let here = |value: &Spanned<DeValue<'_>>| value.span() == *span && key_in_value(value, span).is_none();
    let others = table.into_iter().filter(|(key, value)| key.span() != *span && !here(value));
    others.map(|(key, value)| (key, without_below(value, span))).collect()
}

fn without_below<'i>(value: Spanned<DeValue<'i>>, span: &Range<usize>) -> Spanned<DeValue<'i>> {
    let own = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(without(table, span)),
        DeValue::Array(items) => {
            let others = items.into_iter().filter(|item| item.span() != *span);
            DeValue::Array(others.map(|item| without_below(item, span)).collect())
        }
        other => other,
    };
    Spanned::new(own, value)
}

fn problem(mut error: Error, text: &str, key: String) -> ConfigProblem {
    let meant = meant(error.message()).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    let message = format!("{}{meant}", error.message());
    error.set_input(Some(text));
    let drawn = format!("{}{meant}", error.to_string().trim_end());
    ConfigProblem { key, message, drawn }
}

/// For ``unknown field `x`, expected one of `y`, `z` ``: which of them was probably meant.
fn meant(message: &str) -> Option<&str> {
    let mut names = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let likeness = |name: &str| strsim::jaro_winkler(unknown, name);
    names.filter(|name| likeness(name) > 0.8).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

impl ConfigProblems {
    /// All of them, at least one.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigProblem> {
        self.0.iter()
    }
}

/// With the lines that they are in.
impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { "\n\n" } else { "" }, problem.drawn)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// Without its line: for settings that come from elsewhere than a file.
impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = "id_scop = \"0ne1\"\n[[groups]]\ndisabled = true\n[dps]\nretry_after = 3\nmax_operations = \"many\"\n\
                    [model]\nassign.latency = { fixd = { ms = 5 } }\n[faults.pause]\nfor_second = 3\n";
        let problems = Config::read(text).unwrap_err();
        let mut keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        keys.sort_unstable();
        let wrong = [
            "dps.max_operations",
            "dps.retry_after",
            "faults.pause.for_second",
            "groups.0",
            "id_scop",
            "model.assign.latency.fixd",
        ];
        assert_eq!(keys, wrong);
        let drawn = problems.to_string();
        for told in [
            "line 1",
            "did you mean `id_scope`?",
            "missing field `id`",
            "line 5",
            "did you mean `retry_after_seconds`?",
            "did you mean `fixed`?",
            "did you mean `for_seconds`?",
        ] {
            assert!(drawn.contains(told), "{told} is not told:\n{drawn}");
        }
        let own: Vec<String> = problems.iter().map(ToString::to_string).filter(|p| p.starts_with("groups")).collect();
        assert_eq!(own, ["groups.0: missing field `id`"]);
    }

    #[test]
    fn what_is_missing_hides_no_unknown_key() {
        for table in ["groups", "enrollments", "ca_certificates"] {
            let problems = Config::read(&format!("[[{table}]]\ndisabld = true\n[dps]\nzzz = 1\n")).unwrap_err();
            let keys: Vec<String> = problems.iter().map(|problem| problem.key.clone()).collect();
            assert!(keys.iter().any(|key| *key == format!("{table}.0.disabld")), "{keys:?}");
            assert!(
                keys.iter().any(|key| key == "dps.zzz") && keys.iter().any(|key| *key == format!("{table}.0")),
                "{keys:?}"
            );
        }
    }

    #[test]
    fn a_wrong_value_is_not_missing_too() {
        let problems = Config::read("[[groups]]\nid = 5\n").unwrap_err();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(matches!(all.as_slice(), [one] if one.starts_with("groups.0.id: invalid type")), "{all:?}");
    }

    #[test]
    fn what_is_no_toml_has_its_line() {
        let problems = Config::read("seed = 1\nseed = 2\n").unwrap_err();
        assert!(problems.to_string().contains("line 2"), "{problems}");
        assert_eq!(Config::read("seed = 7").unwrap().seed, 7);
    }
}
