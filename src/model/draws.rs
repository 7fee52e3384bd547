use rand::RngExt as _;

use crate::domain::rng;

/// A device's random draws: the same seed gives the same draws, wherever and whenever they are made.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: u64,
    made: u64,
}

impl Draws {
    /// Those of a device.
    pub const fn new(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    /// The next one, from 0 (included) to 1 (not included). Draws are rare, so that no generator is kept.
    pub fn draw(&mut self) -> f64 {
        self.made += 1;
        rng(self.seed, "draw", self.made).random()
    }
}
