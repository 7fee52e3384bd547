//! Attempts as a run records them.

use std::time::Duration;

use fleetstorm::domain::{AttemptFacts, Phase};
use fleetstorm::engine::Recorder;
use fleetstorm::measure::{Attempt, Outcome, PhaseTimes};

/// The phases of a whole provisioning, with values that vary as they do in a run.
pub(crate) fn attempt(index: u64, outcome: Outcome) -> Attempt {
    let mut phases = PhaseTimes::new();
    for (place, phase) in (0..).zip(Phase::ALL).filter(|(_, p)| !matches!(p, Phase::RenewAccept | Phase::RenewIssue)) {
        phases.set(phase, Duration::from_nanos(20_000 * (place + 1) + index.wrapping_mul(7_919) % 900_000));
    }
    Attempt {
        device: 0,
        stage: 0,
        number: 1,
        due: Duration::ZERO,
        started: Duration::from_micros(index),
        ended: Duration::from_micros(index + 20_000),
        outcome,
        code: 0,
        facts: AttemptFacts { phases, polls: 1, ..AttemptFacts::default() },
    }
}

/// Records everything about a device that needed this one attempt.
pub(crate) fn record(recorder: &mut Recorder, attempt: &Attempt) {
    recorder.due(attempt.due);
    recorder.started(attempt.device, attempt.due, attempt.started);
    recorder.attempt_started(attempt.device, attempt.due, attempt.started);
    recorder.attempt_ended(attempt, None);
    recorder.device_ended(attempt.device, attempt.ended, attempt.outcome, attempt.ended);
}
