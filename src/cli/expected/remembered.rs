//! What earlier runs on this machine took, kept in a small file of the user's state.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::cost::{Cost, Source, Work, work};
use crate::measure::{Machine, RunRecord, used_between};
use crate::report::units;
use crate::scenario::{Scenario, TargetAddress};

/// Name of the file.
const FILE: &str = "machine.json";
/// Stages that are kept of one kind of work, and of all.
const MOST_ALIKE: usize = 20;
const MOST: usize = 500;
/// More than that no such file has.
const MOST_BYTES: u64 = 1 << 20;
/// Devices of a stage below which its start is most of what it took.
const LEAST_DEVICES: u64 = 100;
/// Share of the cores that must have been in use: of a machine that idles, most is what waiting takes.
const LEAST_BUSY: f64 = 0.25;
/// Share of failed attempts up to which what was used is what successes took.
const MOST_FAILED: f64 = 0.1;

/// What is remembered of stages of earlier runs, the newest last. No name, address or secret is among it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    stages: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    cpu: String,
    cores: String,
    /// Whether the build was an optimized one.
    optimized: bool,
    embedded: bool,
    /// What devices did.
    work: String,
    generator_us: u64,
    emulator_us: Option<u64>,
}

impl Remembered {
    /// What the user's state has. A file that is not there, or damaged, remembers nothing.
    pub fn of_user() -> Self {
        folder().map(|folder| Self::read(&folder)).unwrap_or_default()
    }

    fn read(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let is_small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MOST_BYTES);
        let text = if is_small { fs::read_to_string(path).ok() } else { None };
        let mut read: Self = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        read.stages.retain(Entry::is_sound);
        read
    }

    /// What a device takes that does this work, here: by earlier runs, else as it is documented; `None` when neither is known.
    pub(super) fn cost(&self, work: &Work, machine: &Machine, embedded: bool) -> Option<Cost> {
        let optimized = !cfg!(debug_assertions);
        let cores = units::cores(machine.cores_to_use());
        let alike = |entry: &&Entry| {
            (&entry.work, &entry.cpu, &entry.cores) == (&work.name, &machine.cpu, &cores)
                && (entry.embedded, entry.optimized) == (embedded, optimized)
        };
        let mut alike: Vec<_> = self.stages.iter().filter(alike).collect();
        alike.sort_by_key(|entry| entry.both());
        let (Some(median), Some(cheapest), Some(dearest)) = (alike.get(alike.len() / 2), alike.first(), alike.last())
        else {
            return Cost::documented(work, embedded, optimized);
        };
        let factor = |entry: &Entry| entry.both() as f64 / median.both() as f64;
        Some(Cost {
            generator: Duration::from_micros(median.generator_us),
            emulator: median.emulator_us.map(Duration::from_micros),
            source: Source::Runs { runs: alike.len(), factors: [factor(dearest), factor(cheapest)] },
        })
    }

    fn add(&mut self, new: Vec<Entry>) {
        for entry in new {
            let alike = |other: &Entry| other.key() == entry.key();
            if self.stages.iter().filter(|other| alike(other)).count() >= MOST_ALIKE
                && let Some(oldest) = self.stages.iter().position(alike)
            {
                self.stages.remove(oldest);
            }
            self.stages.push(entry);
        }
        let surplus = self.stages.len().saturating_sub(MOST);
        self.stages.drain(..surplus);
    }
}

impl Entry {
    fn both(&self) -> u64 {
        self.generator_us.saturating_add(self.emulator_us.unwrap_or_default())
    }

    fn is_sound(&self) -> bool {
        // No device takes an hour.
        (1..3_600_000_000).contains(&self.both())
    }

    fn key(&self) -> (&str, &str, bool, bool, &str) {
        (&self.cpu, &self.cores, self.optimized, self.embedded, &self.work)
    }
}

/// Keeps what a run tells of this machine. It is worth neither an error nor a wait: another run that writes at this moment goes first.
pub fn remember(record: &RunRecord, scenario: &Scenario) {
    let new = told(record, scenario);
    if let Some(folder) = folder().filter(|_| !new.is_empty()) {
        // What cannot be kept is not known next time.
        let _ = keep(&folder, new);
    }
}

fn keep(folder: &Path, new: Vec<Entry>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Let go of when it is closed, however that comes about.
    let lock = File::open(folder)?;
    lock.try_lock()?;
    let mut remembered = Remembered::read(folder);
    remembered.add(new);
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(&remembered)?)?;
    file.persist(folder.join(FILE))?;
    Ok(())
}

/// What stages of a run tell: those that were alone, with much to do, and with hardly a failure.
fn told(record: &RunRecord, scenario: &Scenario) -> Vec<Entry> {
    let cores = record.machine.cores_to_use();
    let alone = |index: usize| {
        let (from, to) = record.stages[index].span();
        let beside = |(other, stage): (usize, &crate::measure::StageRecord)| {
            let (begin, end) = stage.span();
            other != index && begin < to && from < end
        };
        !record.stages.iter().enumerate().any(beside)
    };
    let entry = |index: usize| {
        let stage = record.stages.get(index)?;
        let devices = stage.totals.succeeded;
        let few_failed = stage.totals.failed_attempts.total() as f64 <= devices as f64 * MOST_FAILED;
        let used = used_between(&record.resources, stage.span())?;
        let embedded = scenario.target.address == TargetAddress::Embedded;
        let (generator, emulator) = (used.generator.cpu?, used.emulator.cpu);
        let both = generator + emulator.unwrap_or_default();
        let busy = both.as_secs_f64() >= used.length.as_secs_f64() * cores * LEAST_BUSY;
        let each = |cpu: Duration| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX) / devices.max(1);
        let is_told = alone(index)
            && devices >= LEAST_DEVICES
            && few_failed
            && busy
            && embedded == emulator.is_some()
            && scenario.stages[index].operate.is_none();
        is_told.then(|| Entry {
            cpu: record.machine.cpu.clone(),
            cores: units::cores(cores),
            optimized: !cfg!(debug_assertions),
            embedded,
            work: work(scenario, index).name,
            generator_us: each(generator),
            emulator_us: emulator.map(each),
        })
    };
    (0..scenario.stages.len()).filter_map(entry).filter(Entry::is_sound).collect()
}

/// Where the state of a user's programs is, by the XDG base directory specification; paths that are not absolute do not count.
fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("fleetstorm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(work: &str, micros: u64) -> Entry {
        Entry {
            cpu: "Example CPU".to_owned(),
            cores: "2".to_owned(),
            optimized: !cfg!(debug_assertions),
            embedded: true,
            work: work.to_owned(),
            generator_us: micros,
            emulator_us: Some(1_000),
        }
    }

    fn machine() -> Machine {
        Machine { cpu: "Example CPU".to_owned(), cores: 2, ..Machine::default() }
    }

    fn scenario() -> Scenario {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 5\n[[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";
        Scenario::parse("x.toml", text, &[]).unwrap()
    }

    #[test]
    fn the_median_of_what_is_alike_counts_with_the_extremes() {
        let work = work(&scenario(), 0);
        let mut remembered = Remembered::default();
        let others = [
            Entry { cores: "4".to_owned(), ..entry(&work.name, 9) },
            Entry { embedded: false, ..entry(&work.name, 9) },
            Entry { optimized: cfg!(debug_assertions), ..entry(&work.name, 9) },
            Entry { cpu: "Other".to_owned(), ..entry(&work.name, 9) },
            entry("other work", 9),
        ];
        let mut all = others.to_vec();
        all.extend([3_000, 1_000, 1_400].map(|micros| entry(&work.name, micros)));
        remembered.add(all);
        let cost = remembered.cost(&work, &machine(), true).unwrap();
        assert_eq!((cost.generator, cost.emulator), (Duration::from_micros(1_400), Some(Duration::from_millis(1))));
        let Source::Runs { runs: 3, factors: [dearest, cheapest] } = cost.source else { panic!("{cost:?}") };
        assert!((dearest - 4.0 / 2.4).abs() < 1e-9 && (cheapest - 2.0 / 2.4).abs() < 1e-9, "{cost:?}");
    }

    #[test]
    fn the_newest_are_kept() {
        let mut remembered = Remembered::default();
        remembered.add((1..=30).map(|micros| entry("a", micros)).collect());
        assert_eq!(remembered.stages.iter().map(|e| e.generator_us).collect::<Vec<_>>(), (11..=30).collect::<Vec<_>>());
        remembered.add((0..MOST).map(|number| entry(&format!("b{number}"), 1)).collect());
        assert_eq!(remembered.stages.len(), MOST);
    }

    #[test]
    fn what_is_kept_is_read_and_damage_is_replaced() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("deep/fleetstorm");
        assert_eq!(Remembered::read(&folder), Remembered::default());
        for damage in ["", "{", "[]", "{\"stages\": 5}", "{\"stages\": [{\"cpu\": 1}]}", "\u{0}\u{1}"] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(FILE), damage).unwrap();
            assert_eq!(Remembered::read(&folder), Remembered::default(), "{damage:?}");
            keep(&folder, vec![entry("a", 5)]).unwrap();
            assert_eq!(Remembered::read(&folder).stages, [entry("a", 5)], "{damage:?}");
        }
        keep(&folder, vec![entry("a", 6), entry("b", 0)]).unwrap();
        assert_eq!(Remembered::read(&folder).stages, [entry("a", 5), entry("a", 6), entry("b", 0)]);
        // What no device takes is left out when it is read.
        let free = Entry { emulator_us: None, ..entry("c", 0) };
        keep(&folder, vec![free, Entry { generator_us: u64::MAX, ..entry("d", 0) }]).unwrap();
        assert_eq!(Remembered::read(&folder).stages.len(), 3);
    }

    #[test]
    fn writers_at_the_same_time_leave_a_whole_file_and_whoever_is_in_the_way_is_not_waited_for() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                scope.spawn(move || {
                    for number in 1..=20 {
                        // Who comes second is not kept.
                        let _ = keep(folder, vec![entry("a", writer * 100 + number)]);
                    }
                });
            }
        });
        let kept = Remembered::read(folder).stages;
        assert!((1..=MOST_ALIKE).contains(&kept.len()) && kept.iter().all(|entry| entry.work == "a"), "{kept:?}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing else is left");
        let held = File::open(folder).unwrap();
        held.lock().unwrap();
        assert!(keep(folder, vec![entry("b", 1)]).is_err());
        assert_eq!(Remembered::read(folder).stages, kept);
    }
}
