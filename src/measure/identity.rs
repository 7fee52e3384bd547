//! Which devices a record is about, so that the same ones are never added twice.

use std::fmt;

use crate::domain::Shard;
use crate::measure::{Origin, RunRecord, Setting};

/// Settings that show what a merged record is made of.
const PART: &str = "merged.";
/// The setting that shows how many devices a fleet has.
const DEVICES: &str = "fleet.devices";

/// The fleet of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fleet {
    /// Devices of the whole fleet; absent when fleets of different sizes were merged.
    pub devices: Option<u32>,
    /// Its classes of devices; empty in records of before they were told.
    pub classes: Vec<FleetClass>,
    /// What the record was merged from; empty when it is that of a run.
    pub parts: Vec<Identity>,
}

/// A class of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetClass {
    /// Name given in the scenario.
    pub name: String,
    /// Devices of the whole fleet that are of it.
    pub devices: u32,
}

/// What a generator ran: scenario and seed say who the devices are, the shard which of them came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The seed of the run.
    pub seed: u64,
    /// The part of its fleet.
    pub shard: Shard,
}

impl Identity {
    /// Whether the same devices are in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.seed == other.seed && self.shard.overlaps(other.shard)
    }

    /// As the settings of a merged record show it.
    fn written(self) -> String {
        let Self { seed, shard } = self;
        if shard.is_whole() { seed.to_string() } else { format!("{seed} shard {}/{}", shard.index(), shard.count()) }
    }

    /// Reads what a setting of a merged record shows. Records of before their parts were told apart have nothing else.
    pub fn read(text: &str) -> Option<Self> {
        let (seed, shard) = match text.split_once(" shard ") {
            Some((seed, shard)) => (seed, shard.parse().ok()?),
            None => (text, Shard::WHOLE),
        };
        Some(Self { seed: seed.parse().ok()?, shard })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, shard } = self;
        if shard.is_whole() { write!(f, "seed {seed}") } else { write!(f, "seed {seed}, {shard}") }
    }
}

/// What a record is made of: one, or what was merged.
pub(super) fn identities(record: &RunRecord) -> Vec<Identity> {
    let own = || Identity { seed: record.seed, shard: record.shard.unwrap_or(Shard::WHOLE) };
    if record.fleet.parts.is_empty() { vec![own()] } else { record.fleet.parts.clone() }
}

/// Writes into a record what it is made of.
pub(super) fn set_identities(record: &mut RunRecord, identities: &[Identity]) {
    record.settings.retain(|setting| !setting.key.starts_with(PART));
    let part = |(number, identity): (usize, &Identity)| Setting {
        key: format!("{PART}{number}"),
        value: identity.written(),
        origin: Origin::CommandLine,
    };
    record.settings.extend((1..).zip(identities).map(part));
    record.shard = None;
    record.fleet.parts = identities.to_vec();
}

/// Fleets of different sizes have no size in common, nor those of different classes their classes.
pub(super) fn compare_fleets(sum: &mut RunRecord, other: &RunRecord) {
    if sum.fleet.devices != other.fleet.devices {
        sum.fleet.devices = None;
        sum.settings.retain(|setting| setting.key != DEVICES);
    }
    if sum.fleet.classes != other.fleet.classes {
        sum.fleet.classes.clear();
    }
}

impl RunRecord {
    /// Devices of the fleet, or of all fleets and shards that were merged. `None` when the record does not say.
    pub fn devices(&self) -> Option<u64> {
        let fleet = self.fleet.devices?;
        let devices = identities(self).iter().map(|identity| u64::from(identity.shard.of(fleet))).sum();
        // A stage has no more of them.
        self.stages.iter().all(|stage| stage.totals.planned <= devices).then_some(devices)
    }

    /// Whether it was made of several by [`crate::measure::merge`].
    pub fn is_merged(&self) -> bool {
        identities(self).len() > 1
    }

    /// Which part of the fleet it is about, in words; `None` when it is the whole fleet, once or several times.
    pub fn part_of_fleet(&self) -> Option<String> {
        let fleets = fleets(&identities(self));
        let parts: Vec<String> = fleets.iter().filter(|fleet| !fleet.is_whole()).map(ShardsOfSeed::words).collect();
        if parts.is_empty() { None } else { Some(parts.join("; ")) }
    }

    /// Whether it is one run of the whole fleet that was put together from shards.
    pub fn is_made_of_shards(&self) -> bool {
        let fleets = fleets(&identities(self));
        matches!(fleets.as_slice(), [fleet] if fleet.shards.len() > 1 && fleet.is_whole())
    }
}

/// The shards of one seed, which do not overlap.
pub(super) struct ShardsOfSeed {
    seed: u64,
    shards: Vec<Shard>,
}

/// What there is of the fleet of every seed.
pub(super) fn fleets(identities: &[Identity]) -> Vec<ShardsOfSeed> {
    let mut sorted = identities.to_vec();
    sorted.sort_unstable_by_key(|identity| (identity.seed, identity.shard.count(), identity.shard.index()));
    let mut fleets: Vec<ShardsOfSeed> = Vec::new();
    for Identity { seed, shard } in sorted {
        match fleets.last_mut().filter(|fleet| fleet.seed == seed) {
            Some(fleet) => fleet.shards.push(shard),
            None => fleets.push(ShardsOfSeed { seed, shards: vec![shard] }),
        }
    }
    fleets
}

impl ShardsOfSeed {
    /// Whether no device is missing: the parts, of which none overlap, add up to one.
    fn is_whole(&self) -> bool {
        let counts = || self.shards.iter().map(|shard| u128::from(shard.count()));
        // Counts that have so little in common overlap, or are far too few.
        let Some(all) = counts().try_fold(1, lcm) else { return false };
        counts().map(|count| all / count).sum::<u128>() == all
    }

    /// The count of all of them, when it is the same.
    fn count(&self) -> Option<u32> {
        let first = self.shards.first()?.count();
        self.shards.iter().all(|shard| shard.count() == first).then_some(first)
    }

    fn words(&self) -> String {
        match self.count() {
            Some(count) => numbered(self.shards.iter().map(|shard| shard.index()), count),
            None => self.shards.iter().map(Shard::to_string).collect::<Vec<_>>().join(", "),
        }
    }

    /// What the reader of a sum must know when there is not all of it.
    pub(super) fn missing(&self) -> Option<String> {
        if self.is_whole() {
            return None;
        }
        let Self { seed, shards } = self;
        Some(match self.count() {
            Some(count) => {
                let missing = (1..=count).filter(|index| shards.iter().all(|shard| shard.index() != *index));
                let missing: Vec<u32> = missing.collect();
                let is = if missing.len() == 1 { "is" } else { "are" };
                format!("seed {seed}: {} {is} missing; this is a part of the fleet", numbered(missing, count))
            }
            None => format!("seed {seed}: {} are not the whole fleet", self.words()),
        })
    }
}

/// `None` when it is too large.
fn lcm(a: u128, b: u128) -> Option<u128> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).checked_mul(b)
}

/// `shards 1, 2 of 4`.
fn numbered(indices: impl IntoIterator<Item = u32>, count: u32) -> String {
    let indices: Vec<String> = indices.into_iter().map(|index| index.to_string()).collect();
    let shards = if indices.len() == 1 { "shard" } else { "shards" };
    format!("{shards} {} of {count}", indices.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(seed: u64, index: u32, count: u32) -> Identity {
        Identity { seed, shard: Shard::new(index, count).unwrap() }
    }

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        for identity in [identity(7, 1, 1), identity(u64::MAX, 3, 4)] {
            assert_eq!(Identity::read(&identity.written()), Some(identity));
        }
        assert_eq!((Identity::read("x"), Identity::read("7 shard 5/4")), (None, None));
    }

    #[test]
    fn what_is_missing_is_told_by_seed() {
        let missing = |identities: &[Identity]| -> Vec<String> {
            fleets(identities).iter().filter_map(ShardsOfSeed::missing).collect()
        };
        assert_eq!(missing(&[identity(7, 1, 4), identity(8, 1, 1), identity(7, 2, 4)]).len(), 1);
        assert_eq!(
            missing(&[identity(7, 1, 4), identity(7, 2, 4)]),
            ["seed 7: shards 3, 4 of 4 are missing; this is a part of the fleet"]
        );
        let all: Vec<_> = (1..=3).map(|index| identity(7, index, 3)).collect();
        assert_eq!(missing(&all), Vec::<String>::new());
        assert_eq!(missing(&all[1..]), ["seed 7: shard 1 of 3 is missing; this is a part of the fleet"]);
        // One of two, and both quarters of the other half.
        assert!(missing(&[identity(7, 1, 2), identity(7, 2, 4), identity(7, 4, 4)]).is_empty());
        // Half of the fleet in quarters, and half in sixths.
        let parts = [(1, 4), (3, 4), (2, 6), (4, 6), (6, 6)].map(|(index, count)| identity(7, index, count));
        assert!(missing(&parts).is_empty() && missing(&parts[..4]).len() == 1 && missing(&parts[1..]).len() == 1);
        let hundred: Vec<_> = (1..=100).map(|index| identity(7, index, 100)).collect();
        assert!(missing(&hundred).is_empty());
        assert_eq!(
            missing(&[identity(7, 1, 2), identity(7, 2, 4)]),
            ["seed 7: shard 1 of 2, shard 2 of 4 are not the whole fleet"]
        );
    }
}
