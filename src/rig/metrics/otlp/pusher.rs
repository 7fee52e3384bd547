use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prost::Message as _;
use rand::RngExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::engine::Progress;
use crate::report::units;
use crate::rig::metrics::RunFacts;
use crate::rig::metrics::moment::RunMoment;
use crate::rig::metrics::otlp::OtlpSettings;
use crate::rig::metrics::otlp::failure::{Again, PushFailure};
use crate::rig::metrics::otlp::request::Teller;
use crate::rig::metrics::otlp::sender::Taken;

/// First wait before the same is sent again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Pushes how a run goes until it is over.
#[derive(Debug)]
pub struct Pusher {
    stop: CancellationToken,
    task: JoinHandle<Vec<String>>,
}

impl Pusher {
    /// Pushes from now on, at once and then regularly. The first failure is sent to `tell`, in words for the user. Must be
    /// inside a runtime.
    pub fn start(
        settings: OtlpSettings,
        facts: Arc<RunFacts>,
        newest: watch::Receiver<Progress>,
        tell: mpsc::Sender<String>,
    ) -> Self {
        let stop = CancellationToken::new();
        let teller = Teller::new(&settings.attributes, &facts, SystemTime::now());
        let work =
            Pushing { settings, facts, newest, tell, teller, not_before: Instant::now(), tally: Tally::default() };
        let task = tokio::spawn(work.until(stop.clone()));
        Self { stop, task }
    }

    /// The run is over: pushes what it came to, for at most the time-out of a push. Gives what the reader of the results must
    /// know.
    pub async fn finish(self) -> Vec<String> {
        self.stop.cancel();
        self.task.await.unwrap_or_else(|error: JoinError| vec![format!("the push of metrics broke: {error}")])
    }
}

struct Pushing {
    settings: OtlpSettings,
    facts: Arc<RunFacts>,
    newest: watch::Receiver<Progress>,
    tell: mpsc::Sender<String>,
    teller: Teller,
    /// When the receiver may be asked again.
    not_before: Instant,
    tally: Tally,
}

/// What came of the pushes.
#[derive(Debug, Default)]
struct Tally {
    pushes: u64,
    /// Whether the receiver ever answered.
    reached: bool,
    failed: u64,
    last_failure: Option<String>,
    /// Whether the newest push failed.
    is_behind: bool,
    rejecting: u64,
    rejected: u64,
    /// What the receiver said last to a push that it took.
    said: String,
}

impl Pushing {
    async fn until(mut self, stop: CancellationToken) -> Vec<String> {
        let mut ticks = interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let push = async {
                ticks.tick().await;
                self.push(false).await;
            };
            tokio::select! {
                biased;
                // A push that is overtaken by the end is given up: the last values hold its own.
                () = stop.cancelled() => break,
                () = push => {}
            }
        }
        self.push(true).await;
        self.tally.notes(&self.settings.sender.url.to_string())
    }

    async fn push(&mut self, over: bool) {
        let moment = RunMoment::now(&self.facts, self.newest.borrow().clone(), over);
        let body = self.teller.tell(&moment, SystemTime::now()).encode_to_vec();
        let delivered = self.deliver(&self.settings.sender.pack(body)).await;
        self.tally.add(delivered.as_ref());
    }

    /// Sends a body, again and again where OTLP says so, until the time-out of a push.
    async fn deliver(&mut self, body: &Bytes) -> Result<Taken, PushFailure> {
        let timeout = self.settings.timeout;
        let deadline = Instant::now() + timeout;
        let mut wait = FIRST_WAIT;
        loop {
            if self.not_before > deadline {
                return Err(self.told(PushFailure::LeftAlone));
            }
            sleep_until(self.not_before).await;
            let failure = match timeout_at(deadline, self.settings.sender.post(body)).await {
                Ok(Ok(taken)) => {
                    self.tally.reached = true;
                    return Ok(taken);
                }
                Ok(Err(failure)) => failure,
                Err(_) => PushFailure::Late(timeout),
            };
            self.tally.reached |= matches!(failure, PushFailure::Refused { .. });
            let pause = match failure.again() {
                Again::After(pause) => pause,
                Again::Soon => jittered(&mut wait),
                Again::IfReached if self.tally.reached => jittered(&mut wait),
                Again::IfReached | Again::No => return Err(self.told(failure)),
            };
            // A wait beyond the clock's range is beyond the deadline too.
            self.not_before = Instant::now().checked_add(pause).unwrap_or(deadline + timeout);
            if self.not_before > deadline {
                return Err(self.told(failure));
            }
        }
    }

    /// Says the first failure of all at once, where the user sees it while something can be done.
    fn told(&self, failure: PushFailure) -> PushFailure {
        if self.tally.failed == 0 {
            let OtlpSettings { sender, interval, .. } = &self.settings;
            let every = humantime::format_duration(*interval);
            let remedy = failure.remedy();
            let words = format!(
                "metrics do not arrive at {} ({failure}); the run goes on, and they are pushed every {every}: {remedy}",
                sender.url
            );
            // Nobody looks any more only when the run is over, and then the results tell.
            let _ = self.tell.try_send(words);
        }
        failure
    }
}

/// Twice as long from time to time, and shorter by up to a half, so that not all who wait come back together.
fn jittered(wait: &mut Duration) -> Duration {
    let pause = wait.mul_f64(rand::rng().random_range(0.5..=1.0));
    *wait *= 2;
    pause
}

impl Tally {
    fn add(&mut self, delivered: Result<&Taken, &PushFailure>) {
        self.pushes += 1;
        self.is_behind = delivered.is_err();
        match delivered {
            Ok(Taken { rejected, said }) => {
                self.rejecting += u64::from(*rejected > 0);
                self.rejected += rejected;
                if !said.is_empty() {
                    self.said.clone_from(said);
                }
            }
            Err(failure) => {
                self.failed += 1;
                self.last_failure = Some(failure.to_string());
            }
        }
    }

    /// What the reader of the results must know.
    fn notes(self, url: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(last) = self.last_failure {
            let end = if self.is_behind {
                "the last values did not arrive"
            } else {
                "the last values arrived, which hold all earlier ones"
            };
            let pushes = units::count(self.pushes);
            let failed = units::count(self.failed);
            notes.push(format!("{failed} of {pushes} pushes of metrics to {url} failed, and {end}: {last}"));
        }
        match (self.rejecting, self.said.as_str()) {
            (0, "") => {}
            (0, said) => notes.push(format!("the receiver of the metrics at {url} said: {said}")),
            (_, said) => notes.push(format!(
                "the receiver of the metrics at {url} took {} of {} pushes in part and rejected {} of their points{}",
                units::count(self.rejecting),
                units::count(self.pushes),
                units::count(self.rejected),
                if said.is_empty() { String::new() } else { format!(": {said}") }
            )),
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_at_most_halved() {
        let mut wait = FIRST_WAIT;
        for longest in [1, 2, 4, 8].map(Duration::from_secs) {
            let pause = jittered(&mut wait);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?} of {longest:?}");
        }
    }

    #[test]
    fn notes_say_what_was_lost_and_what_was_not() {
        let notes = |delivered: &[Result<Taken, PushFailure>]| {
            let mut tally = Tally::default();
            delivered.iter().for_each(|one| tally.add(one.as_ref()));
            tally.notes("http://h/")
        };
        let (taken, late) = (|| Ok(Taken::default()), || Err(PushFailure::Late(Duration::from_secs(10))));
        assert_eq!(notes(&[taken(), taken()]), Vec::<String>::new());
        assert_eq!(
            notes(&[late(), taken()]),
            [
                "1 of 2 pushes of metrics to http://h/ failed, and the last values arrived, which hold all earlier ones: \
              no answer within 10s"
            ]
        );
        assert_eq!(
            notes(&[taken(), late()]),
            ["1 of 2 pushes of metrics to http://h/ failed, and the last values did not arrive: no answer within 10s"]
        );
        let said = |rejected| Ok(Taken { rejected, said: "hm".to_owned() });
        assert_eq!(notes(&[said(0)]), ["the receiver of the metrics at http://h/ said: hm"]);
        assert_eq!(
            notes(&[said(3), taken(), said(2)]),
            ["the receiver of the metrics at http://h/ took 2 of 3 pushes in part and rejected 5 of their points: hm"]
        );
    }
}
