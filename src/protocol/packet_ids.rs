//! Which packet ids a device used, so that an acknowledgement of anything else is noticed.

/// The packet ids that a device used on one connection (MQTT 3.1.1, section 2.3.1), in turn from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketIds {
    /// 0 before the first.
    last: u16,
    /// All of them were used.
    all: bool,
}

impl PacketIds {
    /// The next one.
    pub const fn advance(&mut self) -> u16 {
        (self.last, self.all) = match self.last.checked_add(1) {
            Some(next) => (next, self.all),
            None => (1, true),
        };
        self.last
    }

    /// The last one; 0 before the first.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether a packet with this id was sent, so that it may be acknowledged.
    pub const fn has_used(self, id: u16) -> bool {
        id != 0 && (self.all || id <= self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_begin_anew_at_one_and_stay_known() {
        let mut ids = PacketIds::default();
        assert!(!ids.has_used(0) && !ids.has_used(1));
        assert_eq!((ids.advance(), ids.last()), (1, 1));
        assert!(ids.has_used(1) && !ids.has_used(2));
        for id in 2..=u16::MAX {
            assert_eq!(ids.advance(), id);
        }
        assert_eq!(ids.advance(), 1);
        assert!(ids.has_used(u16::MAX) && ids.has_used(2) && !ids.has_used(0));
    }
}
