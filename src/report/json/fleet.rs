use serde::{Deserialize, Serialize};

use crate::domain;
use crate::measure::{self, FleetClass, Identity};

/// The fleet of which this is about the whole, or a part.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Fleet {
    /// Devices of the whole fleet; absent when fleets of different sizes were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<u32>,
    /// Its classes of devices; empty when fleets of different classes were merged.
    #[serde(default)]
    classes: Vec<Class>,
    /// What this was merged from; absent in the record of a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part>,
}

/// A class of devices.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Class {
    name: String,
    /// Devices of the whole fleet that are of it.
    devices: u32,
}

/// What one generator ran.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Part {
    seed: u64,
    /// Absent when it was the whole fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
}

/// Which part of a fleet.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Shard {
    index: u32,
    count: u32,
}

impl Fleet {
    pub(super) fn of(fleet: &measure::Fleet) -> Self {
        let measure::Fleet { devices, classes, parts } = fleet;
        let class = |class: &FleetClass| Class { name: class.name.clone(), devices: class.devices };
        let part = |Identity { seed, shard }: &Identity| Part {
            seed: *seed,
            shard: (!shard.is_whole()).then(|| Shard::of(*shard)),
        };
        Self {
            devices: *devices,
            classes: classes.iter().map(class).collect(),
            parts: parts.iter().map(part).collect(),
        }
    }

    pub(super) fn into_fleet(self) -> Result<measure::Fleet, String> {
        let part = |Part { seed, shard }| {
            let shard = shard.map_or(Ok(domain::Shard::WHOLE), Shard::into_shard)?;
            Ok::<_, String>(Identity { seed, shard })
        };
        Ok(measure::Fleet {
            devices: self.devices,
            classes: self.classes.into_iter().map(|Class { name, devices }| FleetClass { name, devices }).collect(),
            parts: self.parts.into_iter().map(part).collect::<Result<_, _>>()?,
        })
    }

    /// Before they were told apart, settings alone said how large the fleet is and what was merged: a part of which they do not
    /// name seed and shard is the whole of the record's own seed.
    pub(super) fn of_settings(settings: &[domain::Setting], seed: u64) -> measure::Fleet {
        let devices = settings.iter().find(|setting| setting.key == "fleet.devices");
        let parts = settings.iter().filter(|setting| setting.key.starts_with("merged."));
        let whole = Identity { seed, shard: domain::Shard::WHOLE };
        measure::Fleet {
            devices: devices.and_then(|setting| setting.value.parse().ok()),
            classes: Vec::new(),
            parts: parts.map(|part| Identity::read(&part.value).unwrap_or(whole)).collect(),
        }
    }
}

impl Shard {
    pub(super) const fn of(shard: domain::Shard) -> Self {
        Self { index: shard.index(), count: shard.count() }
    }

    pub(super) fn into_shard(self) -> Result<domain::Shard, String> {
        let Self { index, count } = self;
        domain::Shard::new(index, count).ok_or_else(|| format!("shard {index} of {count} is none"))
    }
}
