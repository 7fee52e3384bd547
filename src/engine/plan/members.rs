use std::sync::Arc;

use crate::domain::Shard;
use crate::scenario::{Mix, Scenario};

/// The devices of a shard that take part in a stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Members {
    shard: Shard,
    fleet: u32,
    /// The classes that take part; `None` when all do.
    classes: Option<Arc<(Mix, Vec<usize>)>>,
}

impl Members {
    pub(crate) fn new(scenario: &Scenario, shard: Shard, stage: usize) -> Self {
        let (fleet, classes) = (&scenario.fleet, &scenario.stages[stage].classes);
        let some = (classes.len() != fleet.classes.len()).then(|| Arc::new((fleet.mix.clone(), classes.clone())));
        Self { shard, fleet: fleet.devices, classes: some }
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + Clone + use<> {
        let classes = self.classes.clone();
        let takes_part = move |device: &u32| {
            classes.as_deref().is_none_or(|(mix, classes)| classes.contains(&mix.class_of(*device)))
        };
        self.shard.devices(self.fleet).filter(takes_part)
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.iter().count()).unwrap_or(u32::MAX)
    }
}
