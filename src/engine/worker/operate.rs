//! A device that is connected with its hub for as long as the stage lasts.

use std::rc::Rc;
use std::time::Duration;

use rand::RngExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use crate::device::{Connector, HoldEnd};
use crate::domain::{AttemptFacts, DueStep, Failure, FailureClass, Lateness, rng};
use crate::engine::worker::holder::{Kept, Mailbox};
use crate::engine::worker::retry::Retries;
use crate::engine::worker::task::{StageJob, TaskEnding};
use crate::engine::worker::work::DeviceWork;
use crate::measure::Outcome;

/// How a time of being connected ended.
enum Ended<S> {
    /// The stage is over. The connection may be lent just then.
    Over(Option<Kept<S>>),
    /// The connection is lost.
    Lost(Failure),
}

/// Connects, stays connected, comes back when it is lost, until the stage is over.
pub(crate) async fn run<C: Connector + 'static>(
    mut work: DeviceWork<C>,
    mut retries: Retries<'_>,
    permit: OwnedSemaphorePermit,
) {
    let job = Rc::clone(&work.task.job);
    let device = work.task.device;
    let behaviour = &job.worker.run.scenario.fleet.class_of(device).behaviour;
    work.borrow_connection().await;
    if work.kept.is_some() {
        work.task.begin(None);
        work.task.end(&AttemptFacts::default(), None, TaskEnding::Ready);
        work.ready = true;
        drop(permit);
    } else if !work.attempts(behaviour, &mut retries, permit, None).await {
        return;
    }
    let mailbox = Mailbox::new();
    job.worker.fleet.with(device, |device| device.holder = Some(Rc::clone(&mailbox)));
    let mut telemetry = Telemetry::new(&job, device);
    let outcome = loop {
        let since = job.now();
        let Some(kept) = work.kept.take() else { break Outcome::Failed(FailureClass::Network) };
        job.recorder.borrow_mut().connected += 1;
        let ended = connected(&job, device, &mailbox, kept, &mut telemetry.messages).await;
        job.recorder.borrow_mut().connected -= 1;
        match ended {
            Ended::Over(kept) => {
                work.kept = kept;
                break Outcome::Success;
            }
            Ended::Lost(failure) => {
                let lost = job.now();
                job.recorder.borrow_mut().lost(device, lost);
                job.worker.breaches.borrow_mut().count(&failure);
                let again = lost + retries.lost(lost.saturating_sub(since));
                if job.until.is_some_and(|until| again >= until) {
                    job.recorder.borrow_mut().errors.count(&failure, lost, 1);
                    // It would have come again: that the stage is over is no failure of the service's.
                    break Outcome::Failed(FailureClass::Cut);
                }
                work.wait_until(again).await;
                let permit = work.slot().await;
                if !work.attempts(behaviour, &mut retries, permit, Some(again)).await {
                    break Outcome::Failed(failure.class);
                }
                job.recorder.borrow_mut().recovered(device, job.now());
            }
        }
    };
    job.worker.fleet.with(device, |device| {
        if device.holder.as_ref().is_some_and(|holder| Rc::ptr_eq(holder, &mailbox)) {
            device.holder = None;
        }
    });
    // Without effect when the attempts ended it already.
    work.task.end_device(outcome, true);
    work.give_back();
}

/// Stays connected until the stage is over or the connection lost; sends messages and lends the connection meanwhile.
async fn connected<C: Connector + 'static>(
    job: &StageJob<C>,
    device: u32,
    mailbox: &Mailbox<C::Stream>,
    mut kept: Kept<C::Stream>,
    messages: &mut Messages,
) -> Ended<C::Stream>
where
    C::Stream: AsyncRead + AsyncWrite + Unpin,
{
    messages.able(job.now());
    let until = job.until.unwrap_or(Duration::MAX);
    let over = job.worker.clock.instant(until);
    loop {
        let wake = messages.next.map_or(until, |next| next.min(until));
        let wake = job.worker.clock.instant(wake);
        tokio::select! {
            biased;
            request = mailbox.asked() => {
                match timeout_at(over, request.lend(kept)).await {
                    Ok(Ok(Some(back))) => {
                        kept = back;
                        messages.able(job.now());
                    }
                    Ok(_) => return Ended::Lost(Failure::new(FailureClass::Network, "the connection ended in another stage")),
                    Err(_) => return Ended::Over(None),
                }
            }
            held = kept.session.hold(Some(wake)) => match held {
                HoldEnd::Lost(failure) => return Ended::Lost(failure),
                HoldEnd::Until => {
                    let now = job.now();
                    if now >= until {
                        return Ended::Over(Some(kept));
                    }
                    if let Some(by) = messages.late(now) {
                        job.recorder.borrow_mut().did(Lateness { step: DueStep::Message, by });
                    }
                    if let Err(failure) = send(job, device, &mut kept).await {
                        return Ended::Lost(failure);
                    }
                    let now = job.now();
                    let missed = messages.sent(now);
                    job.recorder.borrow_mut().missed(now, missed);
                }
            },
        }
    }
}

async fn send<C: Connector>(job: &StageJob<C>, device: u32, kept: &mut Kept<C::Stream>) -> Result<(), Failure> {
    let credential = job.worker.fleet.with(device, |device| device.credential.clone());
    let Some(credential) = credential else { return Ok(()) };
    let took = kept.session.send_telemetry(job.setup.settings_of(device), &credential).await?;
    job.recorder.borrow_mut().telemetry(job.now(), took);
    Ok(())
}

/// When a device sends messages: evenly, from a random place within the first interval on, so that devices that came
/// together do not send together.
struct Messages {
    every: Duration,
    /// On the clock of the run; `None`: never.
    next: Option<Duration>,
    /// Since when nothing but this machine keeps the device from sending: the connection is there, and the last message acknowledged.
    able: Duration,
}

/// The messages of a device. Those that it owes when it ends are missed, whatever ends it.
struct Telemetry<C: Connector> {
    job: Rc<StageJob<C>>,
    messages: Messages,
}

impl<C: Connector> Telemetry<C> {
    fn new(job: &Rc<StageJob<C>>, device: u32) -> Self {
        Self { job: Rc::clone(job), messages: Messages::of(job, device) }
    }
}

impl<C: Connector> Drop for Telemetry<C> {
    fn drop(&mut self) {
        let end = self.job.now().min(self.job.until.unwrap_or(Duration::MAX));
        if let Ok(mut recorder) = self.job.recorder.try_borrow_mut() {
            recorder.missed(end, self.messages.owed(end));
        }
    }
}

impl Messages {
    fn of<C: Connector>(job: &StageJob<C>, device: u32) -> Self {
        let worker = &job.worker;
        let every = job.setup.stage.operate.and_then(|operate| operate.telemetry_every);
        let every = every.map(|every| worker.run.scenario.time_scale.to_real(every).max(Duration::from_micros(1)));
        let first = every.map(|every| job.now() + first_after(every, worker.run.seed, device, job.setup.index));
        Self { every: every.unwrap_or_default(), next: first, able: job.now() }
    }

    /// From now on the device can send.
    fn able(&mut self, now: Duration) {
        self.able = now;
    }

    /// How late the next one is that is sent now, by this machine's fault alone.
    fn late(&self, now: Duration) -> Option<Duration> {
        Some(now.saturating_sub(self.next?.max(self.able)))
    }

    /// One was sent and acknowledged. Those that were due meanwhile are left out: so many.
    fn sent(&mut self, now: Duration) -> u64 {
        self.able = now;
        let Some(next) = &mut self.next else { return 0 };
        let missed = now.saturating_sub(*next).as_nanos() / self.every.as_nanos().max(1);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        *next += self.every.saturating_mul(missed.saturating_add(1));
        missed.into()
    }

    /// How many were due before `end` and are not sent.
    fn owed(&self, end: Duration) -> u64 {
        let Some(since) = self.next.and_then(|next| end.checked_sub(next)).filter(|since| !since.is_zero()) else {
            return 0;
        };
        u64::try_from(since.as_nanos().div_ceil(self.every.as_nanos().max(1))).unwrap_or(u64::MAX)
    }
}

/// How long after it is connected a device sends its first message of a stage.
fn first_after(every: Duration, seed: u64, device: u32, stage: u16) -> Duration {
    let stream = u64::from(device) | u64::from(stage) << 32;
    every.mul_f64(rng(seed, "telemetry", stream).random())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn first_messages_are_spread_over_the_interval_and_others_in_every_stage() {
        const EVERY: Duration = Duration::from_secs(60);
        let firsts: BTreeSet<Duration> =
            (0..4).flat_map(|stage| (0..250).map(move |device| first_after(EVERY, 7, device, stage))).collect();
        assert_eq!(firsts.len(), 1_000, "no two of them at the same time");
        assert!(firsts.iter().all(|first| *first < EVERY));
        for quarter in 0..4 {
            let (from, to) = (EVERY / 4 * quarter, EVERY / 4 * (quarter + 1));
            assert!((200..300).contains(&firsts.range(from..to).count()), "{quarter}");
        }
    }

    #[test]
    fn messages_that_could_not_be_sent_in_time_are_left_out_and_counted() {
        let s = Duration::from_secs;
        let mut messages = Messages { every: s(10), next: Some(s(5)), able: s(0) };
        for (sent, missed, next) in [(5, 0, 15), (16, 0, 25), (35, 1, 45), (71, 2, 75)] {
            assert_eq!(messages.sent(s(sent)), missed, "sent at {sent} s");
            assert_eq!(messages.next, Some(s(next)), "sent at {sent} s");
        }
        assert_eq!([74, 75, 76, 85, 86].map(|end| messages.owed(s(end))), [0, 0, 1, 1, 2]);
        let mut never = Messages { every: Duration::ZERO, next: None, able: s(0) };
        assert_eq!((never.sent(s(9)), never.next, never.owed(s(9)), never.late(s(9))), (0, None, 0, None));
    }

    #[test]
    fn a_message_is_late_only_from_when_nothing_but_this_machine_held_it_back() {
        let s = Duration::from_secs;
        let mut messages = Messages { every: s(10), next: Some(s(5)), able: s(0) };
        assert_eq!(messages.late(s(7)), Some(s(2)));
        messages.able(s(6));
        assert_eq!(messages.late(s(7)), Some(s(1)), "the connection was there again a second ago");
    }
}
