//! The workers of a run, and where they are: on threads of their own, or on the caller's.

use std::io;
use std::thread;
use std::time::SystemTime;

use futures_util::future::join_all;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::device::Connector;
use crate::engine::clock::RunClock;
use crate::engine::error::EngineError;
use crate::engine::plan::schedule::Certified;
use crate::engine::plan::share::Split;
use crate::engine::record::skips::Skips;
use crate::engine::record::stage_share::StageShare;
use crate::engine::watch::usage;
use crate::engine::worker::stage_loop::StageOrder;
use crate::engine::worker::{Worker, WorkerCommand, WorkerEnd};
use crate::measure::Certificates;
use crate::scenario::Limits;

/// Where the devices of a run live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Execution {
    /// On worker threads with a runtime each, keys made by a pool of threads: for measuring.
    #[default]
    Threads,
    /// All on the caller's current-thread runtime, keys made when they are needed: for virtual time, where nothing may
    /// happen beside the paused clock.
    Inline,
}

impl Execution {
    pub(crate) fn workers(self, limits: &Limits) -> u32 {
        match self {
            Self::Inline => 1,
            Self::Threads => limits.workers.unwrap_or_else(|| u32::try_from(cores()).unwrap_or(u32::MAX)),
        }
    }
}

/// Cores that the process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The workers of a run.
pub(crate) struct Crew {
    workers: Vec<Member>,
    split: Split,
}

/// How to reach a worker.
struct Member {
    begin: Option<oneshot::Sender<RunClock>>,
    commands: UnboundedSender<WorkerCommand>,
    end: oneshot::Receiver<WorkerEnd>,
}

impl Crew {
    /// Starts them, on threads where there are any, and waits until each has its runtime. Must be inside a [`LocalSet`].
    pub(crate) async fn start<C>(
        execution: Execution,
        workers: Vec<Worker<C>>,
        split: Split,
    ) -> Result<Self, EngineError>
    where
        C: Connector + Send + Sync + 'static,
    {
        let count = workers.len();
        let mut members = Vec::with_capacity(count);
        for (worker, number) in workers.into_iter().zip(1..) {
            let (begin, has_begun) = oneshot::channel();
            let (commands, inbox) = unbounded_channel();
            let (ended, end) = oneshot::channel();
            let place = Place { worker, has_begun, inbox, ended };
            match execution {
                Execution::Inline => {
                    tokio::task::spawn_local(place.inline());
                }
                Execution::Threads => {
                    let (ready, is_ready) = oneshot::channel();
                    let failed = |source| EngineError::Worker { worker: number, workers: count, source };
                    thread::Builder::new()
                        .name(format!("worker-{number}"))
                        .spawn(move || place.thread(ready))
                        .map_err(failed)?;
                    is_ready.await.map_err(|_| EngineError::WorkerLost(number))?.map_err(failed)?;
                }
            }
            members.push(Member { begin: Some(begin), commands, end });
        }
        Ok(Self { workers: members, split })
    }

    /// Which devices each of them has.
    pub(crate) const fn split(&self) -> Split {
        self.split
    }

    /// The measured part begins.
    pub(crate) fn begin(&mut self, clock: RunClock) {
        for begin in self.workers.iter_mut().filter_map(|member| member.begin.take()) {
            // A worker that is gone shows by its missing answers.
            let _ = begin.send(clock);
        }
    }

    /// Which of these devices have a certificate, and why the others have none; `members` and the latter by worker.
    pub(crate) async fn certificates(
        &self,
        members: Vec<Vec<u32>>,
    ) -> Result<(Vec<Certified>, Vec<Skips>), EngineError> {
        let mut replies = Vec::new();
        for (member, members) in self.workers.iter().zip(members) {
            let (reply, answer) = oneshot::channel();
            let _ = member.commands.send(WorkerCommand::Certificates { members, reply });
            replies.push(answer);
        }
        let (mut all, mut skips) = (Vec::new(), Vec::new());
        for (answer, worker) in replies.into_iter().zip(1..) {
            let (certified, without) = answer.await.map_err(|_| EngineError::WorkerLost(worker))?;
            all.extend(certified);
            skips.push(without);
        }
        Ok((all, skips))
    }

    /// When the certificates of all devices expire.
    pub(crate) async fn expiries(&self, now: SystemTime) -> Result<Certificates, EngineError> {
        let mut replies = Vec::new();
        for member in &self.workers {
            let (reply, answer) = oneshot::channel();
            let _ = member.commands.send(WorkerCommand::Expiries { now, reply });
            replies.push(answer);
        }
        let mut all = Certificates::default();
        for (answer, worker) in replies.into_iter().zip(1..) {
            all.add(&answer.await.map_err(|_| EngineError::WorkerLost(worker))?);
        }
        Ok(all)
    }

    /// Carries out a stage; `orders` and what comes of them by worker. A worker that is lost, counted from 1, is told to `lost`
    /// while the others go on.
    pub(crate) async fn stage(&self, orders: Vec<StageOrder>, lost: impl Fn(usize)) -> Vec<Option<StageShare>> {
        let mut replies = Vec::new();
        for (member, order) in self.workers.iter().zip(orders) {
            let (reply, answer) = oneshot::channel();
            let _ = member.commands.send(WorkerCommand::Stage { order: Box::new(order), reply });
            replies.push(answer);
        }
        let lost = &lost;
        join_all(replies.into_iter().zip(1..).map(async |(answer, worker)| {
            let share = answer.await.ok();
            if share.is_none() {
                lost(worker);
            }
            share
        }))
        .await
    }

    /// Lets all go and waits for them. A worker that is lost, counted from 1, is told to `lost`.
    pub(crate) async fn end(self, mut lost: impl FnMut(usize)) -> Vec<WorkerEnd> {
        let mut ends = Vec::new();
        for (Member { commands, end, .. }, worker) in self.workers.into_iter().zip(1..) {
            drop(commands);
            match end.await {
                Ok(end) => ends.push(end),
                Err(_) => lost(worker),
            }
        }
        ends
    }
}

/// A worker with all that connects it with the others.
struct Place<C> {
    worker: Worker<C>,
    has_begun: oneshot::Receiver<RunClock>,
    inbox: UnboundedReceiver<WorkerCommand>,
    ended: oneshot::Sender<WorkerEnd>,
}

impl<C: Connector + 'static> Place<C> {
    async fn inline(self) {
        let Ok(clock) = self.has_begun.await else { return };
        let _ = self.ended.send(self.worker.run(clock, self.inbox).await);
    }

    /// What the thread of a worker does.
    fn thread(self, ready: oneshot::Sender<io::Result<()>>) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                // Nobody listens when the run was given up meanwhile; that holds for the other channels too.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let Ok(clock) = self.has_begun.blocking_recv() else { return };
        let before = usage::of_this_thread();
        let mut end = LocalSet::new().block_on(&runtime, self.worker.run(clock, self.inbox));
        end.cpu = usage::of_this_thread().saturating_sub(before);
        let _ = self.ended.send(end);
    }
}

/// The devices of each worker, in their order.
pub(crate) fn by_worker(devices: impl IntoIterator<Item = u32>, split: Split) -> Vec<Vec<u32>> {
    let mut parts: Vec<Vec<u32>> = (0..split.workers).map(|_| Vec::new()).collect();
    for device in devices {
        if let Some(part) = parts.get_mut(split.worker_of(device)) {
            part.push(device);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::device::MemoryConnector;
    use crate::domain::Shard;
    use crate::engine::scene;

    #[test]
    fn there_are_as_many_workers_as_are_asked_for_or_as_there_are_cores() {
        let limits = |lines: &str| scene::scenario(1, &format!("arrival = 'at-once'\n[limits]\n{lines}")).limits;
        assert_eq!(Execution::Threads.workers(&limits("workers = 5")), 5);
        let cores = thread::available_parallelism().unwrap().get();
        assert_eq!((super::cores(), Execution::Threads.workers(&limits("")) as usize), (cores, cores));
        assert_eq!(Execution::Inline.workers(&limits("workers = 5")), 1, "time that is not real has one thread");
    }

    #[test]
    fn devices_are_their_workers_in_their_order() {
        let split = Split { shard: Shard::WHOLE, workers: 3 };
        assert_eq!(by_worker([0, 1, 3, 4, 6, 8], split), [vec![0, 3, 6], vec![1, 4], vec![8]]);
    }

    /// Workers of five devices, of which none has done anything.
    async fn crew(split: Split) -> Crew {
        let (context, _) = scene::worker(&scene::scenario(5, "arrival = 'at-once'"), 5);
        let worker = |share| Worker { run: Arc::clone(&context.run), share, slots: 5 };
        let workers: Vec<Worker<MemoryConnector>> = split.shares().map(worker).collect();
        Crew::start(Execution::Inline, workers, split).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_worker_answers_for_its_own_devices() {
        let local = async {
            let split = Split { shard: Shard::WHOLE, workers: 2 };
            let mut crew = crew(split).await;
            crew.begin(RunClock::start());
            let (certified, skips) = crew.certificates(by_worker(0..5, split)).await.unwrap();
            assert!(certified.is_empty());
            assert_eq!(skips.iter().map(Skips::devices).collect::<Vec<_>>(), [3, 2]);
            let expiries = crew.expiries(SystemTime::UNIX_EPOCH).await.unwrap();
            assert_eq!((expiries.certificates(), expiries.without), (0, 5));
            let ends = crew.end(|worker| panic!("worker {worker} is there")).await;
            assert_eq!(
                ends.iter().map(|end| (end.lost_between_stages, end.cpu)).collect::<Vec<_>>(),
                [(0, Duration::ZERO); 2]
            );
        };
        LocalSet::new().run_until(local).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_gone_is_told_by_its_number() {
        let local = async {
            let mut crew = crew(Split { shard: Shard::WHOLE, workers: 2 }).await;
            // The second one never begins.
            crew.workers[1].begin = None;
            tokio::task::yield_now().await;
            crew.begin(RunClock::start());
            let members = vec![vec![0], vec![1]];
            assert!(matches!(crew.certificates(members).await, Err(EngineError::WorkerLost(2))));
            let lost = std::cell::RefCell::new(Vec::new());
            assert_eq!(crew.end(|worker| lost.borrow_mut().push(worker)).await.len(), 1);
            assert_eq!(lost.take(), [2]);
        };
        LocalSet::new().run_until(local).await;
    }
}
