//! Every attempt as a row, for whoever writes them down: handed over in batches, in bounded memory, and never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::measure::Attempt;

/// Attempts of a batch: enough that handing one over costs nothing per attempt.
const BATCH: usize = 256;
/// Batches that may wait for the writer: some 16,000 attempts, less than 5 MB.
const WAITING: usize = 64;

/// Where attempts go in. Each worker has a clone.
#[derive(Debug, Clone)]
pub struct RowSink {
    sender: Sender<Vec<Attempt>>,
    lost: Arc<AtomicU64>,
}

/// Where attempts come out. It ends when the last [`RowSink`] is gone; when it is dropped before, what still comes is
/// counted as lost.
#[derive(Debug)]
pub struct RowSource {
    receiver: Receiver<Vec<Attempt>>,
}

/// What comes out of a [`RowSource`].
#[derive(Debug)]
pub enum Received {
    /// Attempts that ended, those of one worker in the order in which they did.
    Rows(Vec<Attempt>),
    /// None within the time.
    Nothing,
    /// There will be no more.
    End,
}

/// A way for attempts out of the engine, and how many did not get through: those that ended while the writer was too far
/// behind, or gone.
pub fn rows() -> (RowSink, RowSource, Arc<AtomicU64>) {
    let (sender, receiver) = bounded(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    (RowSink { sender, lost: Arc::clone(&lost) }, RowSource { receiver }, lost)
}

impl RowSource {
    /// The next attempts, if they come within `time`.
    pub fn next(&self, time: Duration) -> Received {
        match self.receiver.recv_timeout(time) {
            Ok(rows) => Received::Rows(rows),
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::End,
        }
    }
}

/// Attempts of one worker on their way to the [`RowSink`].
#[derive(Debug)]
pub struct RowBatch {
    sink: RowSink,
    rows: Vec<Attempt>,
}

impl RowSink {
    /// Batches that wait for the writer, of at most 64.
    pub fn waiting(&self) -> usize {
        self.sender.len()
    }
}

impl RowBatch {
    /// None yet.
    pub const fn new(sink: RowSink) -> Self {
        Self { sink, rows: Vec::new() }
    }

    /// One more, which is handed over with others.
    pub fn push(&mut self, attempt: &Attempt) {
        if self.rows.capacity() == 0 {
            self.rows.reserve_exact(BATCH);
        }
        self.rows.push(*attempt);
        if self.rows.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Hands over what there is. When there is no room, it is lost: a device never waits for a disk.
    pub fn hand_over(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let count = self.rows.len() as u64;
        let rows = std::mem::take(&mut self.rows);
        if self.sink.sender.try_send(rows).is_err() {
            self.sink.lost.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Drop for RowBatch {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Outcome, PhaseTimes};

    fn attempt(device: u32) -> Attempt {
        Attempt { device, ..Attempt::that(Outcome::Success, PhaseTimes::new()) }
    }

    fn push(batch: &mut RowBatch, attempts: usize) {
        (0..).take(attempts).for_each(|device| batch.push(&attempt(device)));
    }

    fn received(source: &RowSource) -> Vec<u32> {
        let mut devices = Vec::new();
        while let Received::Rows(rows) = source.next(Duration::ZERO) {
            devices.extend(rows.iter().map(|row| row.device));
        }
        devices
    }

    #[test]
    fn everything_comes_out_in_order_and_then_the_end() {
        let (sink, source, lost) = rows();
        let mut batch = RowBatch::new(sink);
        push(&mut batch, 1);
        assert_eq!(batch.rows.capacity(), BATCH, "room for one batch, and no more");
        push(&mut batch, BATCH + 2);
        assert!(matches!(source.next(Duration::ZERO), Received::Rows(rows) if rows.len() == BATCH));
        assert!(matches!(source.next(Duration::ZERO), Received::Nothing), "a batch that is not full waits");
        drop(batch);
        assert_eq!(received(&source), (255..258).collect::<Vec<_>>());
        assert!(matches!(source.next(Duration::ZERO), Received::End));
        assert_eq!(lost.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn batches_that_wait_for_the_writer_are_counted() {
        let (sink, source, _) = rows();
        let mut batch = RowBatch::new(sink.clone());
        assert_eq!(sink.waiting(), 0);
        push(&mut batch, 2 * BATCH + 1);
        assert_eq!(sink.waiting(), 2);
        assert_eq!(received(&source).len(), 2 * BATCH);
        assert_eq!(sink.waiting(), 0);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let (sink, source, lost) = rows();
        let mut batch = RowBatch::new(sink);
        let attempts = BATCH * (WAITING + 5);
        push(&mut batch, attempts);
        let came = received(&source).len();
        assert_eq!(came, BATCH * WAITING);
        assert_eq!(lost.load(Ordering::Relaxed), (attempts - came) as u64);
        drop(source);
        push(&mut batch, 1);
        drop(batch);
        assert_eq!(lost.load(Ordering::Relaxed), (attempts - came) as u64 + 1, "nobody listens any more");
    }
}
