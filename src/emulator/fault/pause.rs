use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The time in which nothing is read from connections and nothing written to them. Without one the question for it
/// costs one load.
#[derive(Debug)]
pub(crate) struct PauseWindow {
    origin: Instant,
    /// Nanoseconds after the origin.
    begin: AtomicU64,
    /// Nanoseconds after the origin; 0 when there is no pause.
    end: AtomicU64,
    changed: Notify,
}

impl PauseWindow {
    /// None; `now` is before any that will be set.
    pub(super) fn none(now: Instant) -> Self {
        Self { origin: now, begin: AtomicU64::new(0), end: AtomicU64::new(0), changed: Notify::new() }
    }

    /// Sets when the pause is; an empty range is none. Who is held up by the earlier one goes on or waits anew.
    pub(super) fn set(&self, time: &Range<Instant>) {
        let nanos = |at: Instant| u64::try_from(at.duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
        // In this order a new end is never seen with an old beginning.
        self.end.store(0, Ordering::Release);
        if !time.is_empty() {
            self.begin.store(nanos(time.start), Ordering::Release);
            self.end.store(nanos(time.end), Ordering::Release);
        }
        self.changed.notify_waiters();
    }

    /// Until when everything is held up now, if it is.
    pub(crate) fn until(&self) -> Option<Instant> {
        let (_, end) = self.begun()?;
        (Instant::now() < end).then_some(end)
    }

    /// The end of a pause, perhaps to come, of which a part lies between `since` and now: what a peer did in it could
    /// not be noticed.
    pub(crate) fn end_after(&self, since: Instant) -> Option<Instant> {
        let (_, end) = self.begun()?;
        (end > since).then_some(end)
    }

    /// Waits until nothing is held up.
    pub(crate) async fn over(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the question, so that no change is missed after it.
            changed.as_mut().enable();
            let Some(end) = self.until() else { return };
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(end) => {}
            }
        }
    }

    /// A time-out for what a peer is to do: begins anew after a pause. The caller holds the future: by value it would take
    /// its room twice, and there are thousands.
    pub(crate) async fn timeout<F: Future>(
        &self,
        limit: Duration,
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, Elapsed> {
        let mut begun = Instant::now();
        loop {
            match timeout_at(begun + limit, future.as_mut()).await {
                Ok(output) => return Ok(output),
                Err(elapsed) => begun = self.end_after(begun).ok_or(elapsed)?,
            }
        }
    }

    /// The pause, if it has begun.
    fn begun(&self) -> Option<(Instant, Instant)> {
        let end = self.end.load(Ordering::Acquire);
        if end == 0 {
            return None;
        }
        let begin = self.origin + Duration::from_nanos(self.begin.load(Ordering::Acquire));
        (begin <= Instant::now()).then(|| (begin, self.origin + Duration::from_nanos(end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, sleep};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_begins_and_ends_and_can_be_ended_early() {
        let start = Instant::now();
        let pause = PauseWindow::none(start);
        pause.over().await;
        pause.set(&(start + SECOND..start + 5 * SECOND));
        assert_eq!(pause.until(), None);
        advance(SECOND).await;
        assert_eq!(pause.until(), Some(start + 5 * SECOND));
        pause.over().await;
        assert_eq!((start.elapsed(), pause.until()), (5 * SECOND, None));
        pause.set(&(start + 5 * SECOND..start + 9 * SECOND));
        let lifted = async {
            sleep(SECOND).await;
            pause.set(&(start..start));
        };
        tokio::join!(pause.over(), lifted);
        assert_eq!(start.elapsed(), 6 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn time_outs_begin_anew_after_it() {
        let start = Instant::now();
        let pause = PauseWindow::none(start);
        let never = std::future::pending::<()>;
        assert!(pause.timeout(SECOND, pin!(never())).await.is_err());
        assert_eq!(start.elapsed(), SECOND);
        pause.set(&(start + 2 * SECOND..start + 5 * SECOND));
        assert!(pause.timeout(2 * SECOND, pin!(never())).await.is_err());
        assert_eq!(start.elapsed(), 7 * SECOND);
        assert!(pause.timeout(2 * SECOND, pin!(never())).await.is_err());
        assert_eq!(start.elapsed(), 9 * SECOND, "it is over");
        assert_eq!(pause.timeout(SECOND, pin!(async { 7 })).await.ok(), Some(7));
    }
}
