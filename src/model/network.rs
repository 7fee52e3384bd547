use std::time::Duration;

use crate::model::Draws;

/// Impairment of a network, made in user space below TLS, on top of what the real one does. Real time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NetworkImpairment {
    /// Added round-trip time: connections are made that much later, and whatever the service sends comes that much later.
    pub latency: Duration,
    /// Upper end of a random addition to it, uniform. What was sent first still comes first.
    pub jitter: Duration,
    /// Probability from 0 to 1 that a connection is reset early in its conversation: in one of the device's first three
    /// turns to speak (ClientHello is the first), before its bytes leave or in place of the answer.
    pub reset: f64,
}

impl NetworkImpairment {
    /// Whether it does nothing.
    pub fn is_perfect(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to one connection.
#[derive(Debug, Clone)]
pub struct Fate {
    latency: Duration,
    jitter: Duration,
    draws: Draws,
    reset: Option<Reset>,
}

/// When a connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// In which of the device's turns to speak, from 1.
    pub turn: u8,
    /// Before anything of that turn leaves; otherwise in place of the answer to it.
    pub unheard: bool,
}

impl Fate {
    /// `seed` decides it.
    pub fn new(impairment: NetworkImpairment, seed: u64) -> Self {
        let NetworkImpairment { latency, jitter, reset } = impairment;
        let mut draws = Draws::new(seed);
        let reset = (draws.draw() < reset).then(|| {
            let point = draws.draw();
            // Six equal parts: three turns, each unheard or heard.
            let turn = if point < 1.0 / 3.0 { 1 } else { 2 + u8::from(point >= 2.0 / 3.0) };
            Reset { turn, unheard: draws.draw() < 0.5 }
        });
        Self { latency, jitter, draws, reset }
    }

    /// When the connection is reset, if at all.
    pub const fn reset(&self) -> Option<Reset> {
        self.reset
    }

    /// The next delay.
    pub fn delay(&mut self) -> Duration {
        if self.jitter.is_zero() {
            return self.latency;
        }
        self.latency.saturating_add(self.jitter.mul_f64(self.draws.draw()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_follow_from_the_seed() {
        let impairment =
            NetworkImpairment { latency: Duration::from_millis(100), jitter: Duration::from_millis(50), reset: 0.25 };
        let delays = |seed| {
            let mut fate = Fate::new(impairment, seed);
            (fate.reset(), [fate.delay(), fate.delay(), fate.delay()])
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
        let fates: Vec<_> = (0..4_000).map(delays).collect();
        for delay in fates.iter().flat_map(|(_, delays)| delays) {
            assert!((100..150).contains(&delay.as_millis()), "{delay:?}");
        }
        let resets = fates.iter().filter_map(|(reset, _)| *reset).count();
        assert!((900..1_100).contains(&resets), "{resets}");
        for turn in 1..=3 {
            for unheard in [true, false] {
                let such = fates.iter().filter(|(reset, _)| *reset == Some(Reset { turn, unheard })).count();
                assert!((110..230).contains(&such), "{turn} {unheard}: {such}");
            }
        }
    }

    #[test]
    fn never_and_always() {
        let reset = |reset| NetworkImpairment { reset, ..NetworkImpairment::default() };
        assert!(reset(0.0).is_perfect() && !reset(1.0).is_perfect());
        assert!((0..100).all(|seed| Fate::new(reset(0.0), seed).reset().is_none()));
        assert!((0..100).all(|seed| Fate::new(reset(1.0), seed).reset().is_some()));
    }
}
