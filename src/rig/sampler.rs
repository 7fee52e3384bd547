use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::domain::injected_panic;
use crate::measure::{ProcessSample, ResourceLog, ResourceSample};
use crate::rig::machine::process::{ChildProcess, Process};
use crate::rig::machine::{Scarcity, Told, Waits};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Looks once a second at what both processes use, beside the work and never in its way.
#[derive(Debug)]
pub(super) struct Sampler {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Sampler {
    /// Begins with the measured part, which `begun` tells. `log` has everything seen so far at any time. Must be inside a
    /// runtime.
    pub(super) fn start(
        whom: (ChildProcess, Scarcity),
        begun: oneshot::Receiver<Instant>,
        log: watch::Sender<ResourceLog>,
    ) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(sample(whom, begun, log, stop.clone()));
        Self { task, stop }
    }

    /// Looks a last time, while the emulator is still there, and ends. Gives what the reader of the results must know.
    pub(super) async fn finish(self) -> Option<String> {
        self.stop.cancel();
        let broke = self.task.await.is_err();
        broke.then(|| {
            "nobody looked at what both processes use until the end: that broke, which is a defect of fleetstorm"
                .to_owned()
        })
    }
}

async fn sample(
    whom: (ChildProcess, Scarcity),
    begun: oneshot::Receiver<Instant>,
    log: watch::Sender<ResourceLog>,
    stop: CancellationToken,
) {
    // The other half is dropped by a run that ends before it begins.
    let Ok(start) = begun.await else { return };
    let mut last = Reading::now(&whom);
    let mut seconds = interval_at(start + EVERY, EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let over = tokio::select! {
            biased;
            () = stop.cancelled() => true,
            _ = seconds.tick() => false,
        };
        injected_panic("sampler");
        let next = Reading::now(&whom);
        log.send_modify(|log| log.push(last.until(&next, start)));
        if over {
            return;
        }
        last = next;
    }
}

/// What both used up to a moment.
struct Reading {
    at: Instant,
    generator: (Process, Option<Waits>),
    emulator: (Process, Option<Waits>),
    scarcity: Told,
}

impl Reading {
    fn now((emulator, scarcity): &(ChildProcess, Scarcity)) -> Self {
        Self {
            at: Instant::now(),
            generator: (Process::own(), scarcity.waits(None)),
            emulator: (emulator.now(), emulator.id().and_then(|process| scarcity.waits(Some(process)))),
            scarcity: scarcity.told(),
        }
    }

    /// What was used from this reading to the next one. In whole microseconds, so that neither times nor sums are rounded.
    fn until(&self, next: &Self, start: Instant) -> ResourceSample {
        let offset = |at: Instant| Duration::from_micros(u64::try_from((at - start).as_micros()).unwrap_or(u64::MAX));
        let (at, end) = (offset(self.at), offset(next.at));
        ResourceSample {
            at,
            length: end.saturating_sub(at),
            generator: used(&self.generator, &next.generator),
            emulator: used(&self.emulator, &next.emulator),
            pressure: self.scarcity.pressure_until(&next.scarcity),
            quota: self.scarcity.quota_until(&next.scarcity),
        }
    }
}

fn used(before: &(Process, Option<Waits>), after: &(Process, Option<Waits>)) -> ProcessSample {
    let cpu = before.0.cpu_total().zip(after.0.cpu_total());
    ProcessSample {
        cpu: cpu.map(|(before, after)| after.saturating_sub(before)),
        memory: after.0.resident_memory,
        waited: before.1.as_ref().zip(after.1.as_ref()).map(|(before, after)| before.until(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_is_a_sample_a_second_and_one_of_the_rest() {
        let (log, seen) = watch::channel(ResourceLog::default());
        let (begin, begun) = oneshot::channel();
        let sampler = Sampler::start(Default::default(), begun, log);
        // What comes before the measured part is not looked at.
        tokio::time::sleep(Duration::from_secs(7)).await;
        begin.send(Instant::now()).unwrap();
        tokio::time::sleep(Duration::from_millis(2_250)).await;
        assert_eq!(seen.borrow().samples().len(), 2, "so far");
        sampler.finish().await;
        let log = seen.borrow().clone();
        let [first, .., last] = log.samples() else { panic!("{log:?}") };
        assert!(log.samples().windows(2).all(|pair| pair[0].at + pair[0].length == pair[1].at));
        assert!(first.at < Duration::from_millis(10) && last.at + last.length >= Duration::from_millis(2_250));
        assert!(log.samples().iter().all(|sample| sample.generator.cpu.is_some()));
        assert!(log.samples().iter().all(|sample| sample.emulator == ProcessSample::default()));
        assert!(log.samples().iter().all(|sample| sample.generator.memory > Some(1_000_000)));
    }

    #[tokio::test]
    async fn a_run_that_never_begins_has_no_samples() {
        let (log, seen) = watch::channel(ResourceLog::default());
        let (begin, begun) = oneshot::channel();
        let sampler = Sampler::start(Default::default(), begun, log);
        drop(begin);
        sampler.finish().await;
        assert!(seen.borrow().samples().is_empty());
    }

    #[test]
    fn a_process_that_ended_in_between_has_used_nobody_knows_what() {
        let ran = Process { cpu: Some([Duration::from_secs(1); 2]), resident_memory: Some(5) };
        let waits = Some(Waits::default());
        assert_eq!(used(&(ran, waits.clone()), &(Process::default(), None)), ProcessSample::default());
        let later = Process { cpu: Some([Duration::from_secs(2); 2]), resident_memory: Some(7) };
        let sample = ProcessSample { cpu: Some(Duration::from_secs(2)), memory: Some(7), waited: Some(Duration::ZERO) };
        assert_eq!(used(&(ran, waits.clone()), &(later, waits)), sample);
    }
}
