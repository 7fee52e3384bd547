//! What every worker is told when a stage begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::engine::plan::due::Due;
use crate::engine::plan::setup::StageSetup;
use crate::engine::record::copies::Copies;
use crate::engine::run::conductor::Conductor;
use crate::engine::run::prepare::Part;
use crate::engine::watch::live::{Live, SharedLive};
use crate::engine::watch::thresholds::Times;
use crate::engine::worker::stage_loop::{Feed, StageOrder};
use crate::scenario::Workload;

/// The orders of a stage, and how its workers are told who is due and tell what they know; all by worker.
pub(crate) struct Orders {
    pub(crate) orders: Vec<StageOrder>,
    /// None in a closed workload.
    pub(crate) feeds: Vec<UnboundedSender<Due>>,
    pub(crate) lives: Vec<SharedLive>,
    pub(crate) copies: Vec<Copies>,
    /// How many devices take part.
    pub(crate) sizes: Vec<u64>,
}

impl Conductor {
    /// Those of a stage that begins at that time of the run's clock.
    pub(crate) fn orders(&self, setup: &Arc<StageSetup>, parts: Vec<Part>, start: Duration) -> Orders {
        let (stage, limits) = (&setup.stage, &self.scenario.limits);
        let turns = match stage.workload {
            Workload::Closed { concurrency } => {
                Some(Arc::new(Semaphore::new(self.plan.shard.of(concurrency) as usize)))
            }
            Workload::Open { .. } => None,
        };
        let watched: Vec<_> = self.scenario.thresholds.iter().filter(|t| t.abort_after.is_some()).collect();
        let is_watched = self.progress.is_some() || self.keeps || !watched.is_empty();
        let mut all =
            Orders { orders: Vec::new(), feeds: Vec::new(), lives: Vec::new(), copies: Vec::new(), sizes: Vec::new() };
        for Part { members, unlisted, keys } in parts {
            let (feed, max_lateness) = match stage.workload {
                Workload::Open { max_lateness, .. } => {
                    let (sender, receiver) = unbounded_channel();
                    all.feeds.push(sender);
                    (Feed::Paced(receiver), Some(max_lateness))
                }
                Workload::Closed { .. } => (Feed::Pulled(members.clone().into_iter()), None),
            };
            let times = watched.iter().filter_map(|threshold| Times::of(threshold.metric));
            let live = is_watched.then(|| Live::shared(times, self.distributions));
            let copies = self.keeps.then(Copies::default);
            all.lives.extend(live.clone());
            all.copies.push(copies.clone().unwrap_or_default());
            all.sizes.push(members.len() as u64);
            all.orders.push(StageOrder {
                setup: Arc::clone(setup),
                until: self.plan.schedule.until(usize::from(setup.index), start),
                feed,
                keys,
                members,
                unlisted,
                turns: turns.clone(),
                max_lateness,
                drain: limits.drain,
                patience: stage.timeout + limits.drain,
                grace: limits.grace,
                halt: self.halt.clone(),
                cut: self.cut.clone(),
                live,
                copies,
            });
        }
        all
    }
}
