//! Settings out of TOML, or out of what was made of it.

use super::{Config, Faults};
use crate::domain::Origin;
use crate::settings::declare::{Declared, Written};
use crate::settings::{Findings, Keys, Place, Problems, Section, Table, Text, Value, document};

/// Goes with what is no TOML.
const HELP: &str = "text stands in double quotes; tables begin with [listen], [dps] or [[groups]]";

const NO_PLAN: &str = "this is no plan of faults";

impl Config {
    /// Reads the text of a file; `name` stands for it in messages.
    ///
    /// # Errors
    /// Everything that is wrong at once, each with its line and what would be valid.
    pub fn read(name: &str, text: &str) -> Result<Self, Problems> {
        Self::of(name, &Self::parse(&Text::new(name, text.to_owned(), Origin::CommandLine, 0))?)
    }

    /// A file as a table, of which nothing but that it is TOML is known yet.
    pub(crate) fn parse(text: &std::sync::Arc<Text>) -> Result<Table, Problems> {
        let findings = Findings::default();
        let table = document::parse(&findings, text, HELP).and_then(Value::into_table);
        findings.judge(headline(text.name()), table).map(|(table, _)| table)
    }

    /// Reads a table, whatever was laid over it; `name` stands for all of it in messages.
    pub(crate) fn of(name: &str, table: &Table) -> Result<Self, Problems> {
        read(headline(name), table)
    }

    /// Judges values that were not read from a file as if they were. What is enrolled is judged when it is entered.
    ///
    /// # Errors
    /// Everything that is wrong at once.
    pub fn check(&self) -> Result<(), Problems> {
        let entered = |key: &str| matches!(key, "groups" | "enrollments" | "ca_certificates");
        let mut table = written(self);
        table.0.retain(|entry| !entered(&entry.key));
        read::<Self>("the emulator cannot be configured like this".to_owned(), &table).map(|_| ())
    }
}

impl Faults {
    /// Reads a plan of faults as the control plane gets it.
    ///
    /// # Errors
    /// Everything that is wrong at once.
    pub(crate) fn from_json(json: &serde_json::Map<String, serde_json::Value>) -> Result<Self, Problems> {
        read(NO_PLAN.to_owned(), &Table::from_json(json))
    }

    /// Judges values that were not read as if they were.
    ///
    /// # Errors
    /// Everything that is wrong at once.
    pub fn check(&self) -> Result<(), Problems> {
        read::<Self>(NO_PLAN.to_owned(), &written(self)).map(|_| ())
    }
}

/// Reads the table `[emulator]` of a scenario, whose problems are among those of the scenario.
pub fn read_within(section: Section<'_>) {
    // What comes of it is asked for when everything is laid over each other.
    let _ = Config::read_section(section);
}

/// Every key that was asked for while `text` was read. Those of lists and of latencies are asked for when the text has one.
pub fn keys(text: &str) -> Keys {
    let findings = Findings::default();
    if let Ok(table) = Config::parse(&Text::new("", text.to_owned(), Origin::CommandLine, 0)) {
        let _ = Config::read_section(Section::root(&findings, &table, Place::BUILT_IN));
    }
    findings.into_keys()
}

fn headline(name: &str) -> String {
    format!("{name} is not a configuration of the emulator")
}

fn read<T: Declared>(headline: String, table: &Table) -> Result<T, Problems> {
    let findings = Findings::default();
    let read = T::read_section(Section::root(&findings, table, Place::BUILT_IN));
    findings.judge(headline, read).map(|(read, _)| read)
}

fn written(of: &impl Written) -> Table {
    of.written().map(Value::built_in).and_then(Value::into_table).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key or message with line and remedy.
    fn wrong(text: &str) -> Vec<(String, usize, String)> {
        let problems = Config::read("x.toml", text).unwrap_err();
        let told = problems.iter().map(|problem| {
            let line = problem.location().map_or(0, |(_, line, _)| line);
            (problem.message().to_owned(), line, problem.remedy().unwrap_or_default().to_owned())
        });
        told.collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_with_line_and_remedy() {
        let text = "id_scop = \"0ne1\"\n[[groups]]\ndisabled = true\n[dps]\nretry_after = 3\nmax_operations = \"many\"\n\
                    [model]\nassign.latency = { fixd = { ms = 5 } }\n[faults.pause]\nfor_second = 3\n[adr]\nleaf_validity_days = 91\n";
        let told = wrong(text);
        for (message, line, remedy) in [
            ("unknown key `id_scop`", 1, "did you mean `id_scope`?"),
            ("`groups.0.id` is missing", 2, "add `id = …`"),
            ("unknown key `dps.retry_after`", 5, "did you mean `retry_after_seconds`?"),
            ("`dps.max_operations` cannot be \"many\"", 6, "it must be a whole number from 1 to 10,000,000"),
            ("unknown key `model.assign.latency.fixd`", 8, "did you mean `fixed`?"),
            ("unknown key `faults.pause.for_second`", 10, "did you mean `for_seconds`?"),
            ("`adr.leaf_validity_days` cannot be 91", 12, "it must be a whole number from 1 to 90"),
        ] {
            let found = told.iter().any(|(m, l, r)| m == message && *l == line && r.starts_with(remedy));
            assert!(found, "{message} is not told in line {line}: {told:#?}");
        }
        assert_eq!(told.len(), 7, "{told:#?}");
    }

    #[test]
    fn what_is_missing_hides_no_unknown_key_and_a_wrong_value_is_not_missing_too() {
        for (table, required) in [("groups", 1), ("enrollments", 1), ("ca_certificates", 2)] {
            let told = wrong(&format!("[[{table}]]\ndisabld = true\n[dps]\nzzz = 1\n"));
            assert_eq!(told.iter().filter(|(m, ..)| m.ends_with("is missing")).count(), required, "{told:?}");
            assert_eq!(told.iter().filter(|(m, ..)| m.starts_with("unknown key")).count(), 2, "{told:?}");
        }
        let told = wrong("[[groups]]\nid = 5\n");
        assert!(matches!(told.as_slice(), [(m, 2, _)] if m == "`groups.0.id` cannot be 5"), "{told:?}");
    }

    #[test]
    fn what_is_no_toml_has_its_line() {
        assert!(wrong("seed = 1\nseed = 2\n").iter().any(|(m, line, _)| m.starts_with("not valid TOML") && *line == 2));
        assert_eq!(Config::read("x", "seed = 7").unwrap().seed, 7);
    }
}
