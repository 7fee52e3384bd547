//! The table `[emulator]`: settings of the embedded emulator. What they mean is known there; here they are kept, recorded,
//! and kept apart from what the scenario says itself.

use super::quotas;
use crate::settings::{Problem, Section, Table};

/// Judges the table `[emulator]`, whose keys scenarios do not know: it reads the section, and whatever is wrong is noted there.
pub type JudgeEmulator = fn(Section<'_>);

/// Settings that a run makes itself, with the key to use instead.
const OWNED: [(&str, &str); 5] = [
    ("time_scale", "set `time_scale` of the scenario: generator and emulator must agree on it"),
    ("quota", "set `quotas.profile` of the scenario"),
    ("adr.leaf_validity_days", "set `policy.validity` of the scenario"),
    ("adr.leaf_validity_seconds", "set `policy.validity` of the scenario"),
    ("listen", "leave it out: the run chooses its own free ports of loopback"),
];

pub(super) fn read(root: &mut Section<'_>, judge: Option<JudgeEmulator>) -> Table {
    let section = root.section("emulator");
    let findings = root.findings();
    let table = section.table().cloned().unwrap_or_default();
    for (key, value) in table.leaves() {
        findings.setting(format!("emulator.{key}"), value);
    }
    let refuse = |key: &str, instead: &str| {
        if let Some(entry) = table.find(key) {
            let problem = Problem::new(format!("`emulator.{key}` is set by the run")).help(instead);
            findings.problem(&entry.key_place, problem);
        }
    };
    OWNED.iter().for_each(|(key, instead)| refuse(key, instead));
    for limit in quotas::LIMITS {
        refuse(&format!("quotas.{limit}"), &format!("set `quotas.{limit}` of the scenario"));
    }
    if let Some(judge) = judge {
        findings.without_settings(|| judge(section));
    }
    table
}
