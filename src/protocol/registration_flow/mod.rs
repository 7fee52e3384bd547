//! The device's registration conversation with DPS: register, obey retry-after, ask for the operation's status, until
//! assigned, refused or out of patience.
//!
//! [`RegistrationFlow`] is the part that MQTT and HTTPS share: requests, and answers of status, retry-after and body.
//! [`MqttRegistration`] puts it into packets. Both are told the time as an offset on the caller's clock and never ask for
//! it.
//!
//! | state | event | next |
//! |---|---|---|
//! | asked | 2xx `assigning` | paused, then ask for the status |
//! | asked | 2xx `assigned` | done |
//! | asked | 2xx `failed`, `disabled` | failed |
//! | asked | 429, 5xx | paused, then the same request again, at most `max_repeats` times |
//! | asked for status | 404 | paused, then register anew, counted as a repeat |
//! | asked | 1xx, other 3xx and 4xx | failed |
//! | asked | no answer in time | failed |
//! | paused | the wait is over | asked |

mod assignment;
mod mqtt;
mod policy;

use std::time::Duration;

use crate::domain::{AttemptFacts, DueStep, Failure, FailureClass, FleetTime, Lateness, Phase};
use crate::model::{Draws, once_more};
use crate::protocol::flow::{TimeLimits, wait_after_refusal};
use crate::protocol::payload::{ErrorDetails, OperationStatus, RegistrationStatus};
use crate::protocol::words::plain_words;

pub use assignment::Assignment;
pub use mqtt::{DpsSession, MqttRegistration};
pub use policy::RegistrationPolicy;

/// An answer, as MQTT topic and payload or HTTP response have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Status as in HTTP.
    pub status: u16,
    /// Seconds to wait, when the service names them beside the body; a refusal may name them in it, too.
    pub retry_after: Option<u32>,
    /// The body.
    pub body: &'a [u8],
}

/// A request to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Register.
    Register,
    /// Ask for the status of this operation.
    OperationStatus(&'a str),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationStep {
    /// Send what [`RegistrationFlow::request`] says, then wait for its answer until [`RegistrationFlow::wake_at`].
    Send,
    /// Call [`RegistrationFlow::wake`] at [`RegistrationFlow::wake_at`].
    Pause,
    /// Assigned.
    Done(Assignment),
    /// Not assigned.
    Failed(Failure),
}

/// The conversation without its transport.
#[derive(Debug)]
pub struct RegistrationFlow {
    policy: RegistrationPolicy,
    limits: TimeLimits,
    draws: Draws,
    /// For keeping the device's name out of failures.
    registration_id: Box<str>,
    operation_id: String,
    asks_status: bool,
    state: State,
    /// When the present request was sent or the present pause began.
    since: Duration,
    repeats: u16,
    facts: AttemptFacts,
    /// Of the request that the end of a pause made due.
    late: Option<Lateness>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    Paused { until: Duration },
    Ended,
}

impl RegistrationFlow {
    /// A conversation of the device `registration_id`; `seed` decides all its random draws.
    pub fn new(registration_id: &str, policy: RegistrationPolicy, limits: TimeLimits, seed: u64) -> Self {
        Self {
            policy,
            limits,
            draws: Draws::new(seed),
            registration_id: registration_id.into(),
            operation_id: String::new(),
            asks_status: false,
            state: State::Ended,
            since: Duration::ZERO,
            repeats: 0,
            facts: AttemptFacts::default(),
            late: None,
        }
    }

    /// Begins by registering.
    pub fn begin(&mut self, now: Duration) -> RegistrationStep {
        self.send(false, now)
    }

    /// The request to send after [`RegistrationStep::Send`].
    pub fn request(&self) -> Request<'_> {
        if self.asks_status { Request::OperationStatus(&self.operation_id) } else { Request::Register }
    }

    /// When to call [`Self::wake`] unless an answer comes first.
    pub fn wake_at(&self) -> Duration {
        match self.state {
            State::Asked => self.limits.answer_until(self.since),
            State::Paused { until } => until,
            State::Ended => Duration::MAX,
        }
    }

    /// The time of [`Self::wake_at`] has come.
    pub fn wake(&mut self, now: Duration) -> RegistrationStep {
        match self.state {
            State::Paused { until } if now >= until => {
                self.settle(now);
                let step = if self.asks_status { DueStep::Poll } else { DueStep::Repeat };
                let late = Lateness { step, by: now.saturating_sub(until) };
                self.facts.did(late);
                self.late = Some(late);
                self.send(self.asks_status, now)
            }
            State::Paused { .. } => RegistrationStep::Pause,
            State::Asked | State::Ended => {
                let what = if self.asks_status { "answer to the status request" } else { "answer to the registration" };
                self.fail(self.limits.failure(what, self.since, now), now)
            }
        }
    }

    /// The answer to the present request came.
    pub fn answer(&mut self, answer: Answer<'_>, now: Duration) -> RegistrationStep {
        if self.state != State::Asked {
            return RegistrationStep::Pause;
        }
        self.settle(now);
        let mut answer = answer;
        if !(200..=299).contains(&answer.status) {
            let in_body = || ErrorDetails::parse(answer.body)?.retry_after;
            answer.retry_after = answer.retry_after.or_else(in_body);
            self.facts.refused(answer.status, answer.retry_after);
        }
        match answer.status {
            0..200 => {
                self.fail(protocol(format!("DPS answered with status {}, which is no final one", answer.status)), now)
            }
            200..=299 => self.progress(answer, now),
            429 | 500..=599 => self.repeat(answer, self.asks_status, now),
            // The service lost the operation: the device starts again.
            404 if self.asks_status => self.repeat(answer, false, now),
            _ => {
                self.leave_with(answer.retry_after);
                self.fail(self.refusal(answer), now)
            }
        }
    }

    /// Ends with a failure of the transport.
    pub fn fail(&mut self, failure: Failure, now: Duration) -> RegistrationStep {
        self.settle(now);
        self.state = State::Ended;
        RegistrationStep::Failed(failure)
    }

    /// Whether an answer is waited for, and not the end of a pause.
    pub fn is_asking(&self) -> bool {
        self.state == State::Asked
    }

    /// What it has found out so far. Phases are those of [`Self::phase`]; what a phase took that goes on is not in it yet.
    pub const fn facts(&self) -> &AttemptFacts {
        &self.facts
    }

    /// How late the request was that the end of a pause made due: once for each, after [`Self::wake`].
    pub const fn take_late(&mut self) -> Option<Lateness> {
        self.late.take()
    }

    fn progress(&mut self, answer: Answer<'_>, now: Duration) -> RegistrationStep {
        let status = match OperationStatus::parse(answer.body) {
            Ok(status) => status,
            // What is not as expected may be named, and is DPS' own text then.
            Err(error) => return self.fail(protocol(self.words(&format!("answer of DPS: {error}"))), now),
        };
        match status.status {
            RegistrationStatus::Assigned => match Assignment::read(status.registration_state.unwrap_or_default()) {
                Ok(assignment) => {
                    self.state = State::Ended;
                    RegistrationStep::Done(assignment)
                }
                Err(failure) => self.fail(failure, now),
            },
            RegistrationStatus::Assigning | RegistrationStatus::Unassigned => {
                if !status.operation_id.is_empty() {
                    if let Err(failure) = assignment::operation_id(&status.operation_id) {
                        return self.fail(failure, now);
                    }
                    self.operation_id = status.operation_id.into_string();
                }
                if self.operation_id.is_empty() {
                    return self.fail(protocol("DPS named no operation to ask for"), now);
                }
                if !once_more(self.facts.polls, self.policy.max_polls) {
                    let polls = self.policy.max_polls;
                    let message = format!("DPS was still assigning after {polls} status requests");
                    return self.fail(Failure::new(FailureClass::Timeout, message), now);
                }
                let obeyed = self.asks_status || self.policy.honours_first_retry_after;
                let wait = self.policy.waits.after(answer.retry_after.filter(|_| obeyed), &mut self.draws);
                self.pause(self.limits.scale.to_real(wait), answer.retry_after, true, now)
            }
            RegistrationStatus::Failed => {
                let state = status.registration_state.unwrap_or_default();
                let words = state.error_message.as_deref().unwrap_or("the registration failed without a reason");
                let failure = Failure::rejected(state.error_code.unwrap_or_default(), self.words(words));
                self.fail(failure, now)
            }
            RegistrationStatus::Disabled => {
                self.fail(Failure::rejected(0, "the enrollment is disabled: enable it in DPS"), now)
            }
            RegistrationStatus::Unknown => self.fail(protocol("DPS answered with an unknown status"), now),
        }
    }

    fn repeat(&mut self, answer: Answer<'_>, asks_status: bool, now: Duration) -> RegistrationStep {
        if !once_more(self.repeats, self.policy.max_repeats) {
            self.leave_with(answer.retry_after);
            return self.fail(self.refusal(answer), now);
        }
        self.repeats = self.repeats.saturating_add(1);
        let wait = self.policy.waits.after(answer.retry_after, &mut self.draws);
        let wait = wait_after_refusal(wait, self.limits.scale);
        let step = self.pause(wait, answer.retry_after, asks_status, now);
        match step {
            // Not the wait is the reason then, but what made it necessary.
            RegistrationStep::Failed(_) => RegistrationStep::Failed(self.refusal(answer)),
            step => step,
        }
    }

    /// `wait` is real; `retry_after` is what the service named.
    fn pause(
        &mut self,
        wait: Duration,
        retry_after: Option<u32>,
        asks_status: bool,
        now: Duration,
    ) -> RegistrationStep {
        let until = now.saturating_add(wait);
        self.asks_status = asks_status;
        if until >= self.limits.deadline {
            self.leave_with(retry_after);
            let message = "DPS asks to wait for longer than the attempt may take";
            return self.fail(Failure::new(FailureClass::Timeout, message), now);
        }
        self.state = State::Paused { until };
        self.since = now;
        RegistrationStep::Pause
    }

    fn send(&mut self, asks_status: bool, now: Duration) -> RegistrationStep {
        self.asks_status = asks_status;
        self.facts.polls = self.facts.polls.saturating_add(u16::from(asks_status));
        self.state = State::Asked;
        self.since = now;
        RegistrationStep::Send
    }

    /// The phase that it is in; none once it has ended.
    pub const fn phase(&self) -> Option<Phase> {
        match self.state {
            State::Asked if self.asks_status => Some(Phase::Assign),
            State::Asked => Some(Phase::Register),
            State::Paused { .. } => Some(Phase::PollWait),
            State::Ended => None,
        }
    }

    /// Adds the time since the present request or pause began to its phase.
    fn settle(&mut self, now: Duration) {
        let spent = now.saturating_sub(self.since);
        let Some(phase) = self.phase() else { return };
        self.facts.phases.add(phase, spent);
        self.since = now;
    }

    fn leave_with(&mut self, retry_after: Option<u32>) {
        self.facts.retry_after = retry_after.map(|seconds| FleetTime::from_secs(seconds.into()));
    }

    fn refusal(&self, answer: Answer<'_>) -> Failure {
        let class = if answer.status == 429 { FailureClass::Throttled } else { FailureClass::Rejected };
        match ErrorDetails::parse(answer.body) {
            Some(details) => Failure { class, code: details.error_code, message: self.words(&details.message) },
            None => {
                let message = format!("DPS answered {} without an error code", answer.status);
                Failure { class, code: answer.status.into(), message }
            }
        }
    }

    fn words(&self, text: &str) -> String {
        plain_words(text, &self.registration_id)
    }
}

fn protocol(message: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Protocol, message)
}

#[cfg(test)]
mod tests;
