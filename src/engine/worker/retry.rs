//! Whether a device tries again after a failed attempt, when, and where it turns.

use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::domain::{Failure, FailureClass, FleetTime, TimeScale, rng};
use crate::scenario::Behaviour;

/// The attempts of one device in one stage.
pub(crate) struct Retries<'a> {
    behaviour: &'a Behaviour,
    scale: TimeScale,
    seed: u64,
    stream: u64,
    /// Drawn from only once something fails.
    draws: Option<ChaCha8Rng>,
    /// Attempts in a row that failed: what their number is limited by.
    failed: u16,
    /// Waits in a row: what the back-off grows with. A connection that did not last does not end the row.
    waits: u16,
    /// Attempts in a row that failed at the hub for a passing reason.
    hub_failed: u16,
}

/// Where an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Dps,
    Hub,
    /// At the hub, which was asked for a new certificate.
    Renewal,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Another attempt.
    Again {
        /// After so much real time.
        wait: Duration,
        /// The hub is of no use any more: by way of DPS.
        by_dps: bool,
    },
    /// It may pass, but the device is allowed no further attempt.
    GiveUp,
    /// It will be the same next time.
    Refused,
}

/// What a failure means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may pass.
    Passing,
    /// The hub does not know the device, or its certificate.
    Unknown,
    /// It will be the same next time.
    Final,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(behaviour: &'a Behaviour, scale: TimeScale, seed: u64, device: u32, stage: u16) -> Self {
        let stream = u64::from(device) | u64::from(stage) << 32;
        Self { behaviour, scale, seed, stream, draws: None, failed: 0, waits: 0, hub_failed: 0 }
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, failure: &Failure, at: At, retry_after: Option<FleetTime>) -> AfterFailure {
        let kind = kind(failure, at);
        self.failed = self.failed.saturating_add(1);
        // A hub that refuses a renewal is there, and knows the device.
        let away = at == At::Hub || (at == At::Renewal && kind == Kind::Passing && !answered(failure));
        self.hub_failed = if away { self.hub_failed.saturating_add(1) } else { 0 };
        let Behaviour { attempts, hub_attempts, honours_retry_after, .. } = *self.behaviour;
        if kind == Kind::Final {
            return AfterFailure::Refused;
        }
        if attempts > 0 && self.failed >= attempts {
            return AfterFailure::GiveUp;
        }
        let by_dps = kind == Kind::Unknown || (hub_attempts > 0 && self.hub_failed >= hub_attempts);
        if by_dps {
            self.hub_failed = 0;
        }
        let named = retry_after.filter(|_| honours_retry_after).unwrap_or_default();
        AfterFailure::Again { wait: self.scale.to_real(self.wait().max(named)), by_dps }
    }

    /// A connection is lost that was held for so long: how long until the device comes again, both in real time.
    pub(crate) fn lost(&mut self, held: Duration) -> Duration {
        if held >= self.scale.to_real(self.behaviour.backoff.reset_after) {
            self.waits = 0;
        }
        let wait = self.wait();
        self.scale.to_real(wait)
    }

    /// It worked: attempts are counted anew. Whether the back-off is, too, shows when the connection ends.
    pub(crate) fn succeeded(&mut self) {
        self.failed = 0;
        self.hub_failed = 0;
    }

    fn wait(&mut self) -> FleetTime {
        self.waits = self.waits.saturating_add(1);
        let (seed, stream) = (self.seed, self.stream);
        let draw = self.draws.get_or_insert_with(|| rng(seed, "backoff", stream)).random();
        self.behaviour.backoff.wait(self.waits, draw)
    }
}

/// Whether the failure is an answer of the service.
fn answered(failure: &Failure) -> bool {
    matches!(failure.class, FailureClass::Throttled | FailureClass::Rejected)
}

fn kind(failure: &Failure, at: At) -> Kind {
    match failure.class {
        FailureClass::Network | FailureClass::Timeout | FailureClass::Throttled => Kind::Passing,
        // A hub that does not trust the certificate may say so in the handshake; an overloaded one breaks it off.
        FailureClass::Tls => Kind::Passing,
        FailureClass::Rejected => match (failure.code, at) {
            (3 | 500..=599 | 500_000..=599_999, _) => Kind::Passing,
            (2 | 4 | 5, At::Hub | At::Renewal) => Kind::Unknown,
            // As long as its certificate is good a device asks again: authorities have bad days.
            (_, At::Renewal) => Kind::Passing,
            _ => Kind::Final,
        },
        FailureClass::Protocol
        | FailureClass::Verification
        | FailureClass::Generator
        | FailureClass::Configuration
        | FailureClass::Cut => Kind::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Backoff, BehaviourPreset, Jitter};

    fn failed(behaviour: &Behaviour, failures: &[(Failure, At)], retry_after: Option<FleetTime>) -> Vec<AfterFailure> {
        let mut retries = Retries::new(behaviour, TimeScale::REAL, 1, 7, 0);
        failures.iter().map(|(failure, at)| retries.failed(failure, *at, retry_after)).collect()
    }

    fn throttled() -> (Failure, At) {
        (Failure::new(FailureClass::Throttled, "too many"), At::Dps)
    }

    #[test]
    fn a_well_behaved_device_waits_at_least_as_long_as_it_is_told() {
        let behaviour = BehaviourPreset::WellBehaved.behaviour();
        for next in failed(&behaviour, &vec![throttled(); 900], Some(FleetTime::from_secs(30))) {
            let AfterFailure::Again { wait, by_dps: false } = next else { panic!("{next:?}") };
            assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn a_device_gives_up_only_what_might_have_passed() {
        let behaviour = Behaviour { attempts: 10, ..BehaviourPreset::WellBehaved.behaviour() };
        let next = failed(&behaviour, &vec![throttled(); 10], None);
        assert!(next[..9].iter().all(|next| matches!(next, AfterFailure::Again { .. })), "{next:?}");
        assert_eq!(next[9], AfterFailure::GiveUp);
        let wrong = (Failure::new(FailureClass::Verification, "another key"), At::Dps);
        assert_eq!(failed(&behaviour, &[wrong], None), [AfterFailure::Refused]);
    }

    #[test]
    fn what_a_renewal_is_refused_for_may_pass_and_what_a_registration_is_refused_for_does_not() {
        let behaviour = BehaviourPreset::WellBehaved.behaviour();
        let next =
            |class, code, at| failed(&behaviour, &[(Failure { class, code, message: String::new() }, at)], None)[0];
        let again = |next| match next {
            AfterFailure::Again { by_dps, .. } => Some(by_dps),
            AfterFailure::Refused => None,
            AfterFailure::GiveUp => panic!("it may try as often as it likes"),
        };
        for (class, code, at, expected) in [
            (FailureClass::Rejected, 400_004, At::Renewal, Some(false)),
            (FailureClass::Rejected, 400_004, At::Dps, None),
            (FailureClass::Rejected, 400_004, At::Hub, None),
            (FailureClass::Rejected, 5, At::Renewal, Some(true)),
            (FailureClass::Rejected, 5, At::Hub, Some(true)),
            (FailureClass::Rejected, 5, At::Dps, None),
            (FailureClass::Rejected, 3, At::Dps, Some(false)),
            (FailureClass::Rejected, 500, At::Dps, Some(false)),
            (FailureClass::Rejected, 599, At::Dps, Some(false)),
            (FailureClass::Rejected, 600, At::Dps, None),
            (FailureClass::Tls, 0, At::Hub, Some(false)),
            (FailureClass::Protocol, 0, At::Renewal, None),
        ] {
            assert_eq!(again(next(class, code, at)), expected, "{class} {code} {at:?}");
        }
    }

    #[test]
    fn a_connection_that_does_not_last_does_not_begin_the_back_off_anew() {
        let plain = Backoff { jitter: Jitter::None, ..BehaviourPreset::WellBehaved.behaviour().backoff };
        let waits = |reset_after, held: &[u64]| -> Vec<u64> {
            let backoff = Backoff { reset_after: FleetTime::from_secs(reset_after), ..plain };
            let behaviour = Behaviour { backoff, ..BehaviourPreset::WellBehaved.behaviour() };
            let mut retries = Retries::new(&behaviour, TimeScale::REAL, 1, 7, 0);
            let lost = |held: &u64| {
                retries.succeeded();
                retries.lost(Duration::from_secs(*held)).as_secs()
            };
            held.iter().map(lost).collect()
        };
        assert_eq!(waits(60, &[0, 1, 59, 60, 3, 0]), [1, 2, 4, 1, 2, 4]);
        assert_eq!(waits(60, &[0; 9]), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(waits(0, &[0, 1, 59, 60]), [1; 4]);
    }

    #[test]
    fn one_that_ignores_retry_after_comes_every_second_for_ever() {
        let behaviour = BehaviourPreset::IgnoresRetryAfter.behaviour();
        let again = AfterFailure::Again { wait: Duration::from_secs(1), by_dps: false };
        assert!(
            failed(&behaviour, &vec![throttled(); 500], Some(FleetTime::from_secs(30))).iter().all(|n| *n == again)
        );
    }

    #[test]
    fn a_hub_that_does_not_know_the_device_sends_it_to_dps_and_so_does_one_that_is_away_for_long() {
        let behaviour = Behaviour { hub_attempts: 3, attempts: 0, ..BehaviourPreset::WellBehaved.behaviour() };
        let by_dps = |failures: &[(Failure, At)]| -> Vec<bool> {
            let next = failed(&behaviour, failures, None);
            next.iter().map(|n| matches!(n, AfterFailure::Again { by_dps: true, .. })).collect()
        };
        let refused = |code| (Failure::rejected(code, "refused"), At::Hub);
        assert_eq!(by_dps(&[refused(5), refused(3)]), [true, false]);
        assert_eq!(by_dps(&vec![refused(3); 4]), [false, false, true, false]);
        let unauthorized = (Failure::rejected(401_002, "Unauthorized"), At::Dps);
        assert_eq!(failed(&behaviour, &[unauthorized], None), [AfterFailure::Refused]);
    }

    #[test]
    fn a_hub_that_answers_a_renewal_is_there_and_one_that_is_silent_may_be_away() {
        let behaviour = Behaviour { hub_attempts: 2, attempts: 0, ..BehaviourPreset::WellBehaved.behaviour() };
        let by_dps = |failures: &[(Failure, At)]| -> Vec<bool> {
            let next = failed(&behaviour, failures, None);
            next.iter().map(|n| matches!(n, AfterFailure::Again { by_dps: true, .. })).collect()
        };
        let silent = || (Failure::new(FailureClass::Timeout, "no answer"), At::Renewal);
        let busy = || (Failure::new(FailureClass::Throttled, "too many"), At::Renewal);
        let ca_down = || (Failure::rejected(400_037, "a bad day"), At::Renewal);
        assert_eq!(by_dps(&[silent(), silent(), silent()]), [false, true, false]);
        assert_eq!(by_dps(&[silent(), busy(), silent(), ca_down(), silent()]), [false; 5], "an answer begins anew");
        let at_dps = || (Failure::new(FailureClass::Timeout, "no answer"), At::Dps);
        assert_eq!(by_dps(&[silent(), at_dps(), silent()]), [false; 3]);
    }

    #[test]
    fn a_success_begins_the_count_of_attempts_anew() {
        let behaviour = Behaviour { attempts: 3, hub_attempts: 3, ..BehaviourPreset::WellBehaved.behaviour() };
        let mut retries = Retries::new(&behaviour, TimeScale::REAL, 1, 7, 0);
        let away = Failure::new(FailureClass::Network, "away");
        for _ in 0..4 {
            for _ in 0..2 {
                assert!(matches!(retries.failed(&away, At::Hub, None), AfterFailure::Again { by_dps: false, .. }));
            }
            retries.succeeded();
        }
    }

    #[test]
    fn without_a_bound_the_hub_is_asked_for_ever() {
        let behaviour = Behaviour { attempts: 0, hub_attempts: 0, ..BehaviourPreset::WellBehaved.behaviour() };
        let away = (Failure::new(FailureClass::Network, "away"), At::Hub);
        let next = failed(&behaviour, &vec![away; 50], None);
        assert!(next.iter().all(|next| matches!(next, AfterFailure::Again { by_dps: false, .. })), "{next:?}");
    }

    #[test]
    fn waits_pass_as_fast_as_the_fleets_time() {
        let behaviour = BehaviourPreset::SdkCsharp.behaviour();
        let scale = TimeScale::new(FleetTime::from_secs(2_000), Duration::from_secs(1)).unwrap();
        let (failure, at) = throttled();
        let next = |retry_after| Retries::new(&behaviour, scale, 1, 7, 0).failed(&failure, at, retry_after);
        assert_eq!(next(None), AfterFailure::Again { wait: Duration::from_millis(1), by_dps: false });
        let told = next(Some(FleetTime::from_secs(5)));
        assert_eq!(told, AfterFailure::Again { wait: Duration::from_micros(2_500), by_dps: false });
    }
}
