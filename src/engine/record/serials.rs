use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Serial numbers of all certificates issued in a run: none may come twice (RFC 5280, section 4.1.2.2). Split by the
/// last byte, which issuers draw at random, so that workers hardly ever meet.
#[derive(Debug)]
pub(crate) struct Serials {
    shards: [Mutex<HashSet<Box<[u8]>>>; 16],
}

impl Serials {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Whether it is the first time.
    pub(crate) fn insert(&self, serial: &[u8]) -> bool {
        let shard = usize::from(serial.last().copied().unwrap_or_default() % 16);
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner).insert(serial.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_new_once() {
        let serials = Serials::new();
        assert!(serials.insert(&[1, 2]) && serials.insert(&[2, 2]) && serials.insert(&[]));
        assert!(!serials.insert(&[1, 2]) && !serials.insert(&[]));
    }
}
