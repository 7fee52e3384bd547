//! What every worker is told when a stage begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::engine::plan::due::Due;
use crate::engine::plan::setup::StageSetup;
use crate::engine::record::publication::{Interest, Publication};
use crate::engine::record::times::Times;
use crate::engine::run::conductor::Conductor;
use crate::engine::run::prepare::WorkerPart;
use crate::engine::worker::stage_loop::{Feed, StageOrder};
use crate::scenario::Workload;

/// The orders of a stage, and how its workers are told who is due and tell what they know; all by worker.
pub(crate) struct StageOrders {
    pub(crate) orders: Vec<StageOrder>,
    /// None in a closed workload.
    pub(crate) feeds: Vec<UnboundedSender<Due>>,
    /// None when nobody wants to know anything before the end.
    pub(crate) publications: Vec<Publication>,
    /// How many devices take part.
    pub(crate) sizes: Vec<u64>,
}

impl Conductor {
    /// Those of a stage that begins at that time of the run's clock.
    pub(crate) fn orders(&self, setup: &Arc<StageSetup>, parts: Vec<WorkerPart>, start: Duration) -> StageOrders {
        let (stage, limits) = (&setup.stage, &self.scenario.limits);
        let turns = match stage.workload {
            Workload::Closed { concurrency } => {
                Some(Arc::new(Semaphore::new(self.plan.shard.of(concurrency) as usize)))
            }
            Workload::Open { .. } => None,
        };
        let mut watched = self.scenario.thresholds.iter().filter(|t| t.abort_after.is_some()).peekable();
        let is_wanted = self.progress.is_some() || self.keeps || watched.peek().is_some();
        let times = watched.flat_map(|threshold| Times::of(threshold.metric));
        let wanted = Arc::new(Interest::new(times, self.distributions, self.keeps));
        let mut all =
            StageOrders { orders: Vec::new(), feeds: Vec::new(), publications: Vec::new(), sizes: Vec::new() };
        for WorkerPart { members, unlisted, keys } in parts {
            let (feed, max_lateness) = match stage.workload {
                Workload::Open { max_lateness, .. } => {
                    let (sender, receiver) = unbounded_channel();
                    all.feeds.push(sender);
                    (Feed::Paced(receiver), Some(max_lateness))
                }
                Workload::Closed { .. } => (Feed::Pulled(members.clone().into_iter()), None),
            };
            let publication = is_wanted.then(|| Publication::new(Arc::clone(&wanted)));
            all.publications.extend(publication.clone());
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
                publication,
            });
        }
        all
    }
}
