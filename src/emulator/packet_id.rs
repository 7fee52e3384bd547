//! Packet ids of what a session publishes. What is kept until its PUBACK comes, perhaps in another session, has ids of its
//! own, so that the acknowledgement of a mere answer is never taken for one of that.

/// Answers and notifications, whose acknowledgement means nothing.
pub(crate) const ANSWERS: Range = Range { first: 1, last: 0x7fff };
/// Cloud-to-device messages.
pub(crate) const MESSAGES: Range = Range { first: 0x8000, last: 0xbfff };
/// Final answers to renewals.
pub(crate) const RENEWALS: Range = Range { first: 0xc000, last: 0xffff };

/// Ids that are used in turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    first: u16,
    last: u16,
}

impl Range {
    /// The id after `id`; the first one after the last, or after one of another range.
    pub(crate) const fn after(self, id: u16) -> u16 {
        if id >= self.first && id < self.last { id + 1 } else { self.first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_round_in_ranges_that_do_not_meet() {
        for range in [ANSWERS, MESSAGES, RENEWALS] {
            assert_eq!([range.after(0), range.after(range.last), range.after(range.first)], {
                [range.first, range.first, range.first + 1]
            });
        }
        const { assert!(ANSWERS.first > 0 && ANSWERS.last < MESSAGES.first && MESSAGES.last < RENEWALS.first) };
    }
}
