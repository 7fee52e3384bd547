use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::engine::record::publication::VIEW_EVERY;
use crate::engine::run::conductor::Conductor;
use crate::engine::watch::progress::Progress;
use crate::engine::watch::progress::RunPart;

impl Conductor {
    /// Waits until the wall clock shows that moment, or the run is stopped. Says how long ago it was when it had passed before.
    pub(crate) async fn wait_for(&self, moment: SystemTime) -> Option<Duration> {
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
                () = sleep(left.min(VIEW_EVERY)) => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::device::ScaledClock;
    use crate::domain::TimeScale;
    use crate::engine::scene;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[tokio::test(start_paused = true)]
    async fn the_time_until_the_moment_is_told_five_times_a_second() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let (sender, mut shown) = watch::channel(Progress::default());
        let scenario = scene::scenario(1, "arrival = 'at-once'");
        let mut conductor = scene::conductor(scenario, (None, 1), Some(sender)).await;
        conductor.classes[0].clock = Arc::new(ScaledClock::starting_at(TimeScale::REAL, now));
        let watching = tokio::spawn(async move {
            let mut told = Vec::new();
            while shown.changed().await.is_ok() {
                let Progress { part, elapsed, begins_in, .. } = *shown.borrow_and_update();
                // The runtime's timers are good to a millisecond.
                told.push((part, elapsed.as_millis() / 20, (begins_in + MS(10)).as_millis() / 20));
            }
            told
        });
        assert_eq!(conductor.wait_for(now + MS(700)).await, None);
        let clock = Arc::clone(&conductor.classes[0].clock);
        assert!(clock.now() >= now + MS(700) && clock.now() < now + MS(710), "{:?}", clock.now());
        assert_eq!(conductor.wait_for(clock.now()).await, None, "now is not too late");
        assert_eq!(conductor.wait_for(clock.now() - MS(1_500)).await, Some(MS(1_500)));
        conductor.halt.cancel();
        assert_eq!(conductor.wait_for(clock.now() + MS(1_500)).await, None);
        assert!(clock.now() < now + MS(720), "a run that is stopped waits no longer");
        drop(conductor);
        let told = watching.await.unwrap();
        let waits = |elapsed: u128, left: u128| (RunPart::Wait, elapsed / 20, left / 20);
        assert_eq!(told[..4], [waits(0, 700), waits(200, 500), waits(400, 300), waits(600, 100)]);
    }
}
