//! The threads that check CSRs and sign certificates, apart from those that serve connections.

use std::io;
use std::num::NonZero;
use std::thread;

use crossbeam_channel::{Sender, TrySendError, bounded};

type Job = Box<dyn FnOnce() + Send>;

/// A bounded queue in front of a few threads. First come, first served; the threads end when it is dropped.
#[derive(Debug)]
pub(crate) struct Issuance {
    /// None: every job is done where it is submitted.
    queue: Option<Sender<Job>>,
}

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

impl Issuance {
    /// Starts the threads: `threads` of them, or one per core for 0.
    pub(crate) fn start(threads: usize, queue: usize) -> io::Result<Self> {
        let threads = NonZero::new(threads).map_or_else(thread::available_parallelism, Ok)?;
        let (sender, receiver) = bounded::<Job>(queue);
        for i in 0..threads.get() {
            let jobs = receiver.clone();
            thread::Builder::new()
                .name(format!("issuance-{i}"))
                .spawn(move || jobs.into_iter().for_each(|job| job()))?;
        }
        Ok(Self { queue: Some(sender) })
    }

    /// Without threads: every job is done where it is submitted.
    pub(crate) const fn inline() -> Self {
        Self { queue: None }
    }

    /// Has `job` done by one of the threads.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
        let Some(queue) = &self.queue else {
            job();
            return Ok(());
        };
        queue.try_send(Box::new(job)).map_err(|refused| match refused {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Busy,
        })
    }
}

#[cfg(test)]
impl Issuance {
    /// Keeps its only thread at work and its queue of one full until the result is dropped.
    pub(crate) fn keep_busy(&self) -> Sender<()> {
        let (go, wait) = bounded::<()>(0);
        let (started, is_started) = bounded::<()>(0);
        let busy = move || {
            started.send(()).unwrap();
            assert!(wait.recv().is_err(), "until the sender is dropped");
        };
        self.submit(busy).unwrap();
        is_started.recv().unwrap();
        self.submit(|| {}).unwrap();
        go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_in_order_and_a_full_queue_says_so() {
        let issuance = Issuance::start(1, 2).unwrap();
        let (go, wait) = bounded::<()>(0);
        let (done, log) = bounded(4);
        issuance.submit(move || wait.recv().unwrap()).unwrap();
        // The first job may still be in the queue, so it holds one or two more.
        let accepted = (0..3).take_while(|&i| {
            let done = done.clone();
            issuance.submit(move || done.send(i).unwrap()).is_ok()
        });
        let accepted = accepted.count();
        assert!((1..=2).contains(&accepted), "{accepted}");
        go.send(()).unwrap();
        assert_eq!(log.iter().take(accepted).collect::<Vec<_>>(), (0..accepted).collect::<Vec<_>>());
    }
}
