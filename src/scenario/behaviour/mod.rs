use std::time::Duration;

use crate::domain::{FleetTime, named};

/// What a device does when it is refused, or gets no answer.
///
/// Two loops: within a conversation the same request goes out again over the same connection; between attempts the device
/// waits and begins again with a new connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// The preset that it was made from.
    pub preset: BehaviourPreset,
    /// How often a request that was answered 429 or 5xx goes out again over the same connection, before the attempt fails.
    pub repeats: u16,
    /// Whether a retry-after that the service names is obeyed, in polls and after refusals.
    pub honours_retry_after: bool,
    /// Wait where the service names none, or the device does not care.
    pub default_wait: FleetTime,
    /// Upper end of a random addition to every wait within a conversation.
    pub wait_jitter: FleetTime,
    /// Attempts of a device in one stage, the first included; 0 is as many as the stage has time for.
    pub attempts: u16,
    /// Wait between attempts.
    pub backoff: Backoff,
    /// Whether it keeps its assignment and certificate: with them it connects straight to its hub, without them it asks DPS
    /// again before every connection with the hub.
    pub caches_assignment: bool,
    /// Attempts to reach the hub that fail for a passing reason before the device goes back to DPS; 0 is never. A hub that
    /// refuses the device (CONNACK 2, 4, 5) sends it to DPS at once.
    pub hub_attempts: u16,
    /// Longest wait for an answer.
    pub answer_timeout: Duration,
    /// Keep-alive of MQTT in real seconds; 0 is none.
    pub keep_alive: u16,
}

/// Wait between attempts: `first · factor^n`, at most `longest`, then jitter. A longer retry-after wins when it is honoured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Wait after the first failed attempt.
    pub first: FleetTime,
    /// What each further wait is multiplied with, at least 1.
    pub factor: f64,
    /// Longest wait, before a jitter that adds.
    pub longest: FleetTime,
    /// Randomness.
    pub jitter: Jitter,
    /// How long a connection with the hub must last until the next wait after it is the first one again; zero: a connection
    /// that was made is enough, however soon it ends.
    pub reset_after: FleetTime,
}

/// How random a back-off is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Uniform between zero and the wait.
    Full,
    /// The wait, more or less by up to this share of it, 0 to 1.
    Share(f64),
    /// The wait and a random addition of up to this.
    Plus(FleetTime),
}

impl Backoff {
    /// Wait number `step` (from 1) in a row, with a `draw` from 0 (included) to 1 (not included).
    pub fn wait(&self, step: u16, draw: f64) -> FleetTime {
        let power = self.factor.powi(i32::from(step.saturating_sub(1)));
        let wait = self.first.as_secs_f64() * power;
        // Infinite and absurd waits become the longest.
        let wait = FleetTime::try_from_secs_f64(wait).map_or(self.longest, |wait| wait.min(self.longest));
        match self.jitter {
            Jitter::None => wait,
            Jitter::Full => wait.mul_f64(draw),
            Jitter::Share(share) => wait.mul_f64(1.0 + share * (2.0 * draw - 1.0)),
            Jitter::Plus(most) => wait + most.mul_f64(draw),
        }
    }
}

named! {
    /// Behaviours that can be asked for by name. Sources: code of the official SDKs and of Microsoft's load test; each preset's
    /// numbers are explained in `docs/behaviours.md`.
    #[derive(Default)]
    pub enum BehaviourPreset {
        /// What Microsoft Learn recommends for large fleets: exponential, full jitter, capped, honours retry-after, caches its
        /// assignment.
        #[default]
        WellBehaved = "well-behaved",
        /// azure-iot-device for Python.
        SdkPython = "sdk-python",
        /// azure-iot-device for Node.
        SdkNode = "sdk-node",
        /// azure-iot-sdk-c.
        SdkC = "sdk-c",
        /// Microsoft.Azure.Devices for C#.
        SdkCsharp = "sdk-csharp",
        /// azure-sdk-for-c with its Paho sample.
        AzureSdkForC = "azure-sdk-for-c",
        /// Tries again every second whatever it is told.
        IgnoresRetryAfter = "ignores-retry-after",
        /// Microsoft's Locust load test.
        MicrosoftLoadTest = "microsoft-load-test",
        /// One attempt, no retry: what it sees is what the service answers first.
        OneAttempt = "one-attempt",
    }
}

impl BehaviourPreset {
    /// What it means.
    pub fn behaviour(self) -> Behaviour {
        const fn seconds(n: u64) -> FleetTime {
            FleetTime::from_secs(n)
        }
        let one_attempt = Behaviour {
            preset: self,
            repeats: 10,
            honours_retry_after: true,
            default_wait: seconds(2),
            wait_jitter: seconds(5),
            attempts: 1,
            backoff: Backoff {
                first: seconds(1),
                factor: 2.0,
                longest: seconds(60),
                jitter: Jitter::Full,
                reset_after: seconds(60),
            },
            caches_assignment: true,
            hub_attempts: 10,
            answer_timeout: Duration::from_secs(30),
            keep_alive: 60,
        };
        match self {
            // A device in the field goes on for as long as it lives: it waits, but never stops.
            Self::WellBehaved => Behaviour { attempts: 0, ..one_attempt },
            Self::OneAttempt => one_attempt,
            // The same request again on the same connection for as long as it takes; the application is told of the rest.
            Self::SdkPython => Behaviour {
                repeats: u16::MAX,
                wait_jitter: FleetTime::ZERO,
                backoff: Backoff { reset_after: FleetTime::ZERO, ..one_attempt.backoff },
                ..one_attempt
            },
            Self::SdkNode => Behaviour { keep_alive: 180, ..Self::SdkPython.behaviour_as(self) },
            // Its keep-alive is that with the hub; with DPS it has none, but is not there long enough to need one.
            Self::SdkC => Behaviour { default_wait: seconds(1), keep_alive: 240, ..Self::SdkPython.behaviour_as(self) },
            // Every refusal ends the call; the application comes again with a new connection.
            Self::SdkCsharp => Behaviour {
                repeats: 0,
                attempts: 10,
                backoff: Backoff {
                    first: seconds(2),
                    factor: 1.0,
                    longest: seconds(2),
                    jitter: Jitter::None,
                    reset_after: FleetTime::ZERO,
                },
                answer_timeout: Duration::from_secs(60),
                keep_alive: 300,
                ..one_attempt
            },
            Self::AzureSdkForC => Behaviour {
                repeats: 0,
                wait_jitter: FleetTime::ZERO,
                attempts: 10,
                backoff: Backoff {
                    first: seconds(1),
                    factor: 2.0,
                    longest: seconds(100),
                    jitter: Jitter::Plus(seconds(5)),
                    reset_after: FleetTime::ZERO,
                },
                answer_timeout: Duration::from_secs(60),
                keep_alive: 240,
                ..one_attempt
            },
            Self::IgnoresRetryAfter => Behaviour {
                repeats: 0,
                honours_retry_after: false,
                wait_jitter: FleetTime::ZERO,
                attempts: 0,
                backoff: Backoff {
                    first: seconds(1),
                    factor: 1.0,
                    longest: seconds(1),
                    jitter: Jitter::None,
                    reset_after: FleetTime::ZERO,
                },
                caches_assignment: false,
                ..one_attempt
            },
            Self::MicrosoftLoadTest => Behaviour {
                repeats: 0,
                wait_jitter: FleetTime::ZERO,
                attempts: 0,
                backoff: Backoff {
                    first: seconds(60),
                    factor: 2.0,
                    longest: seconds(300),
                    jitter: Jitter::Plus(seconds(30)),
                    reset_after: FleetTime::ZERO,
                },
                hub_attempts: 3,
                answer_timeout: Duration::from_secs(120),
                ..one_attempt
            },
        }
    }

    fn behaviour_as(self, preset: Self) -> Behaviour {
        Behaviour { preset, ..self.behaviour() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_preset_says_which_one_it_is() {
        for preset in BehaviourPreset::ALL {
            assert_eq!(preset.behaviour().preset, preset);
        }
    }

    /// As the documentation writes it: seconds, and minutes where they are whole.
    fn written(time: FleetTime) -> String {
        match time.as_secs() {
            seconds if seconds > 0 && seconds.is_multiple_of(60) && seconds != 120 => format!("{}min", seconds / 60),
            seconds => format!("{seconds}s"),
        }
    }

    fn row(preset: BehaviourPreset) -> String {
        let it = preset.behaviour();
        let Backoff { first, factor, longest, jitter, reset_after } = it.backoff;
        let growing = match factor {
            1.0 => format!("{} always", written(first)),
            factor => format!("{} × {factor} to {}", written(first), written(longest)),
        };
        let backoff = match jitter {
            Jitter::None => growing,
            Jitter::Full => format!("{growing}, full jitter"),
            Jitter::Share(share) => format!("{growing}, ± {share}"),
            Jitter::Plus(most) => format!("{growing}, plus up to {}", written(most)),
        };
        let cells = [
            format!("`{}`", preset.name()),
            it.repeats.to_string(),
            if it.honours_retry_after { "honoured" } else { "ignored" }.to_owned(),
            written(it.default_wait),
            written(it.wait_jitter),
            if it.attempts == 0 { "any".to_owned() } else { it.attempts.to_string() },
            backoff,
            if reset_after.is_zero() { "on-connect".to_owned() } else { written(reset_after) },
            if it.caches_assignment { "yes" } else { "no" }.to_owned(),
            it.hub_attempts.to_string(),
            format!("{}s", it.answer_timeout.as_secs()),
            format!("{}s", it.keep_alive),
        ];
        format!("| {} |", cells.join(" | "))
    }

    #[test]
    fn the_documentation_has_the_numbers_of_every_preset() {
        let page = include_str!("../../../docs/behaviours.md");
        for preset in BehaviourPreset::ALL {
            let row = row(preset);
            assert!(page.contains(&row), "docs/behaviours.md has no row {row}");
            let Backoff { first, factor, longest, .. } = preset.behaviour().backoff;
            assert!(
                factor > 1.0 || first == longest,
                "{}: what never grows has no longest wait of its own",
                preset.name()
            );
        }
    }

    #[test]
    fn each_jitter_is_what_it_says() {
        let seconds = FleetTime::from_secs;
        let plain = Backoff { jitter: Jitter::None, ..BehaviourPreset::WellBehaved.behaviour().backoff };
        assert_eq!([1, 2, 3, 6, 7, 8].map(|step| plain.wait(step, 0.5)), [1, 2, 4, 32, 60, 60].map(seconds));
        let wait = |jitter, draw| Backoff { jitter, ..plain }.wait(3, draw);
        assert_eq!([wait(Jitter::Full, 0.0), wait(Jitter::Full, 0.5)], [seconds(0), seconds(2)]);
        let share = Jitter::Share(0.5);
        assert_eq!([wait(share, 0.0), wait(share, 0.5)], [seconds(2), seconds(4)]);
        assert_eq!(
            [wait(Jitter::Plus(seconds(8)), 0.0), wait(Jitter::Plus(seconds(8)), 0.5)],
            [seconds(4), seconds(8)]
        );
    }

    proptest! {
        #[test]
        fn waits_grow_up_to_the_longest_and_jitter_keeps_its_bounds(failed in 1u16..2_000, draw in 0.0..1.0f64) {
            for preset in BehaviourPreset::ALL {
                let backoff = preset.behaviour().backoff;
                let plain = Backoff { jitter: Jitter::None, ..backoff };
                prop_assert!(plain.wait(failed, draw) <= plain.wait(failed + 1, draw));
                prop_assert!(plain.wait(failed, draw) <= backoff.longest);
                let full = Backoff { jitter: Jitter::Full, ..backoff };
                prop_assert!(full.wait(failed, draw) <= plain.wait(failed, draw));
                let shared = Backoff { jitter: Jitter::Share(0.2), ..backoff }.wait(failed, draw).as_secs_f64();
                let wait = plain.wait(failed, draw).as_secs_f64();
                prop_assert!(shared >= 0.799 * wait && shared <= 1.201 * wait);
            }
        }
    }
}
