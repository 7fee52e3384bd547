use std::fmt;
use std::str::FromStr;

/// Part of a fleet that one generator runs while others run the rest: of `count` shards, number `index` has every device
/// `d` with `d % count == index - 1`. A device is the same device on every sharding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Most shards of a run.
    pub const MOST: u32 = 1_000;

    /// The whole fleet.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Number `index` of `count`, both from 1 to [`Self::MOST`]; `None` when there is no such shard.
    pub const fn new(index: u32, count: u32) -> Option<Self> {
        if index >= 1 && index <= count && count <= Self::MOST { Some(Self { index, count }) } else { None }
    }

    /// Which one, from 1.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Whether it is the whole fleet.
    pub const fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether a device of the fleet belongs to it.
    pub const fn has(self, device: u32) -> bool {
        device % self.count == self.index - 1
    }

    /// Its devices of a fleet of `devices`, in order.
    pub fn devices(self, devices: u32) -> impl Iterator<Item = u32> + Clone + use<> {
        (self.index - 1..devices).step_by(self.count as usize)
    }

    /// How many devices of a fleet of `devices` it has. It is also its part of anything that is divided: the parts of all
    /// shards add up to the whole.
    pub const fn of(self, devices: u32) -> u32 {
        devices / self.count + if self.index <= devices % self.count { 1 } else { 0 }
    }

    /// The place of one of its devices among them, from 0.
    pub const fn place_of(self, device: u32) -> u32 {
        device / self.count
    }

    /// Whether a fleet that is large enough has a device that is in both: their places in the fleet agree modulo what the
    /// counts have in common.
    pub const fn overlaps(self, other: Self) -> bool {
        let common = gcd(self.count, other.count);
        (self.index - 1) % common == (other.index - 1) % common
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() { f.write_str("whole fleet") } else { write!(f, "shard {} of {}", self.index, self.count) }
    }
}

/// A text that names no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, such as 2/4 for the second of four shards: N from 1 to {}, I from 1 to N", Shard::MOST)]
pub struct NoShard;

impl FromStr for Shard {
    type Err = NoShard;

    /// Reads `I/N`.
    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (index, count) = text.split_once('/').ok_or(NoShard)?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| NoShard);
        Self::new(number(index)?, number(count)?).ok_or(NoShard)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shards() -> impl Strategy<Value = Shard> {
        (1u32..30).prop_flat_map(|count| (1..=count).prop_map(move |index| Shard::new(index, count).unwrap()))
    }

    proptest! {
        #[test]
        fn every_device_is_in_one_shard_and_in_its_place(devices in 0u32..2_000, count in 1u32..30) {
            let mut seen = vec![0; devices as usize];
            let mut sum = 0;
            for index in 1..=count {
                let shard = Shard::new(index, count).unwrap();
                prop_assert_eq!(shard.devices(devices).count(), shard.of(devices) as usize);
                sum += shard.of(devices);
                for (place, device) in shard.devices(devices).enumerate() {
                    prop_assert!(shard.has(device));
                    prop_assert_eq!(shard.place_of(device) as usize, place);
                    seen[device as usize] += 1;
                }
            }
            prop_assert_eq!(sum, devices);
            prop_assert!(seen.iter().all(|n| *n == 1));
        }

        #[test]
        fn shards_overlap_when_they_have_a_device_in_common(a in shards(), b in shards()) {
            // More than the least common multiple of any two counts.
            prop_assert_eq!(a.overlaps(b), (0..1_000).any(|device| a.has(device) && b.has(device)));
        }
    }

    #[test]
    fn a_shard_is_read_as_it_is_written() {
        assert_eq!("2/4".parse(), Ok(Shard::new(2, 4).unwrap()));
        assert_eq!(Shard::new(2, 4).unwrap().to_string(), "shard 2 of 4");
        assert!(Shard::new(1, 1).unwrap().is_whole() && !Shard::new(1, 2).unwrap().is_whole());
        for wrong in ["", "2", "0/4", "5/4", "1/0", "1/1001", "-1/4", "a/b", "1/2/3"] {
            assert_eq!(wrong.parse::<Shard>(), Err(NoShard), "{wrong}");
        }
    }
}
