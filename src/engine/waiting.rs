use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::engine::conductor::Conductor;
use crate::engine::{Progress, RunPart, live};

impl Conductor {
    /// Waits until the wall clock shows that moment, or the run is stopped. Says how long ago it was when it had passed before.
    pub(super) async fn wait_for(&self, moment: SystemTime) -> Option<Duration> {
        let clock = &self.classes.first()?.clock;
        if let Some(missed) = clock.now().duration_since(moment).ok().filter(|missed| !missed.is_zero()) {
            return Some(missed);
        }
        let began = Instant::now();
        // The clock is asked again and again: it may be set while we wait.
        while let Some(left) = moment.duration_since(clock.now()).ok().filter(|left| !left.is_zero()) {
            if let Some(progress) = &self.progress {
                let (part, elapsed) = (RunPart::Wait, began.elapsed());
                progress.send_replace(Progress { part, elapsed, begins_in: left, ..Progress::default() });
            }
            tokio::select! {
                biased;
                () = self.halt.cancelled() => return None,
                () = sleep(left.min(live::EVERY)) => {}
            }
        }
        None
    }
}
