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
use crate::engine::share::Split;
use crate::engine::skips::Skips;
use crate::engine::stage_loop::{StageOrder, StageShare};
use crate::engine::worker::{Certified, Command, Worker, WorkerEnd};
use crate::engine::{EngineError, usage};
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
    pub(super) fn workers(self, limits: &Limits) -> u32 {
        match self {
            Self::Inline => 1,
            Self::Threads => limits.workers.unwrap_or_else(|| u32::try_from(cores()).unwrap_or(u32::MAX)),
        }
    }
}

/// Cores that the process may use.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The workers of a run.
pub(super) struct Crew {
    workers: Vec<Member>,
    split: Split,
}

/// How to reach a worker.
struct Member {
    begin: Option<oneshot::Sender<RunClock>>,
    commands: UnboundedSender<Command>,
    end: oneshot::Receiver<WorkerEnd>,
}

impl Crew {
    /// Starts them, on threads where there are any, and waits until each has its runtime. Must be inside a [`LocalSet`].
    pub(super) async fn start<C>(
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
    pub(super) const fn split(&self) -> Split {
        self.split
    }

    /// The measured part begins.
    pub(super) fn begin(&mut self, clock: RunClock) {
        for begin in self.workers.iter_mut().filter_map(|member| member.begin.take()) {
            // A worker that is gone shows by its missing answers.
            let _ = begin.send(clock);
        }
    }

    /// Which of these devices have a certificate, and why the others have none; `members` and the latter by worker.
    pub(super) async fn certificates(
        &self,
        members: Vec<Vec<u32>>,
    ) -> Result<(Vec<Certified>, Vec<Skips>), EngineError> {
        let mut replies = Vec::new();
        for (member, members) in self.workers.iter().zip(members) {
            let (reply, answer) = oneshot::channel();
            let _ = member.commands.send(Command::Certificates { members, reply });
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
    pub(super) async fn expiries(&self, now: SystemTime) -> Result<Certificates, EngineError> {
        let mut replies = Vec::new();
        for member in &self.workers {
            let (reply, answer) = oneshot::channel();
            let _ = member.commands.send(Command::Expiries { now, reply });
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
    pub(super) async fn stage(&self, orders: Vec<StageOrder>, lost: impl Fn(usize)) -> Vec<Option<StageShare>> {
        let mut replies = Vec::new();
        for (member, order) in self.workers.iter().zip(orders) {
            let (reply, answer) = oneshot::channel();
            let _ = member.commands.send(Command::Stage { order: Box::new(order), reply });
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
    pub(super) async fn end(self, mut lost: impl FnMut(usize)) -> Vec<WorkerEnd> {
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
    inbox: UnboundedReceiver<Command>,
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
pub(super) fn by_worker(devices: impl IntoIterator<Item = u32>, split: Split) -> Vec<Vec<u32>> {
    let mut parts: Vec<Vec<u32>> = (0..split.workers).map(|_| Vec::new()).collect();
    for device in devices {
        if let Some(part) = parts.get_mut(split.worker_of(device)) {
            part.push(device);
        }
    }
    parts
}
