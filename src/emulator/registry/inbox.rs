use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use crate::domain::FleetTime;

/// Cloud-to-device messages that wait for a device: at most [`Self::MAX`], each until it is acknowledged or expires.
/// Source: Microsoft Learn, "Understand cloud-to-device messaging from an IoT hub".
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: VecDeque<Letter>,
    last_packet_id: u16,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// Topic, with the properties.
    pub(crate) topic: Arc<str>,
    /// Body.
    pub(crate) payload: Bytes,
    /// Dropped from then on.
    pub(crate) expires: SystemTime,
    /// Packet id under which it was sent at QoS 1, now or in an earlier session.
    pub(crate) packet_id: Option<u16>,
    /// Sent in the present session.
    in_flight: bool,
    /// Taken over HTTPS, and until when nobody else gets it.
    lock: Option<(Uuid, SystemTime)>,
    /// How often it was taken over HTTPS.
    taken: u32,
}

/// The device has [`Inbox::MAX`] messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InboxFull;

impl Letter {
    /// A message that was not sent yet.
    pub(crate) const fn new(topic: Arc<str>, payload: Bytes, expires: SystemTime) -> Self {
        Self { topic, payload, expires, packet_id: None, in_flight: false, lock: None, taken: 0 }
    }

    /// Nobody has it.
    const fn is_free(&self) -> bool {
        !self.in_flight && self.lock.is_none()
    }

    fn has_lock(&self, lock: Uuid) -> bool {
        self.lock.is_some_and(|(held, _)| held == lock)
    }
}

impl Inbox {
    /// Messages that a device may have.
    pub(crate) const MAX: usize = 50;
    /// How long a message that was taken over HTTPS is locked. Source: as above, `lockDurationAsIso8601`.
    const LOCK: FleetTime = FleetTime::from_secs(60);
    /// How often a message is given out over HTTPS; after that it is dropped. Source: as above, `maxDeliveryCount`.
    const MAX_TAKEN: u32 = 10;

    /// Adds a message.
    pub(crate) fn push(&mut self, letter: Letter, now: SystemTime) -> Result<(), InboxFull> {
        self.expire(now);
        if self.waiting.len() >= Self::MAX {
            return Err(InboxFull);
        }
        self.waiting.push_back(letter);
        Ok(())
    }

    /// Messages that wait.
    pub(crate) fn len(&mut self, now: SystemTime) -> usize {
        self.expire(now);
        self.waiting.len()
    }

    /// Whether nothing waits, expired messages aside.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The oldest message that was not sent in this session.
    pub(crate) fn next(&mut self, now: SystemTime) -> Option<&Letter> {
        self.expire(now);
        self.waiting.iter().find(|letter| letter.is_free())
    }

    /// Takes the oldest message that nobody has, and locks it; how to unlock it.
    pub(crate) fn lock_next(&mut self, now: SystemTime) -> Option<(&Letter, Uuid)> {
        self.expire(now);
        let letter = self.waiting.iter_mut().find(|letter| letter.is_free())?;
        let lock = Uuid::new_v4();
        letter.lock = Some((lock, Self::LOCK.after(now)));
        letter.taken += 1;
        Some((letter, lock))
    }

    /// Is done with a message that was locked so; false when it is not, or no longer.
    pub(crate) fn complete(&mut self, lock: Uuid, now: SystemTime) -> bool {
        self.expire(now);
        let index = self.waiting.iter().position(|letter| letter.has_lock(lock));
        index.is_some_and(|index| self.waiting.remove(index).is_some())
    }

    /// Gives a message back that was locked so; false when it is not, or no longer.
    pub(crate) fn abandon(&mut self, lock: Uuid, now: SystemTime) -> bool {
        self.expire(now);
        let letter = self.waiting.iter_mut().find(|letter| letter.has_lock(lock));
        letter.is_some_and(|letter| letter.lock.take().is_some())
    }

    /// Notes that the message which [`Self::next`] gave is sent at QoS 1; the packet id to use, and whether it was sent
    /// under that id before.
    pub(crate) fn sent(&mut self) -> Option<(u16, bool)> {
        let unused = self.unused_packet_id();
        let letter = self.waiting.iter_mut().find(|letter| letter.is_free())?;
        letter.in_flight = true;
        let before = letter.packet_id.is_some();
        Some((*letter.packet_id.get_or_insert(unused), before))
    }

    /// Notes that the message which [`Self::next`] gave is sent at QoS 0: it is done with.
    pub(crate) fn forget(&mut self) {
        if let Some(index) = self.waiting.iter().position(Letter::is_free) {
            self.waiting.remove(index);
        }
    }

    /// The device has the message of that packet id; true when there was one.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> bool {
        let index = self.waiting.iter().position(|letter| letter.in_flight && letter.packet_id == Some(packet_id));
        index.is_some_and(|index| self.waiting.remove(index).is_some())
    }

    /// A session begins: whatever was not acknowledged is to be sent again.
    pub(crate) fn begin_session(&mut self) {
        self.waiting.iter_mut().for_each(|letter| letter.in_flight = false);
    }

    /// Drops all messages.
    pub(crate) fn clear(&mut self) {
        self.waiting = VecDeque::new();
    }

    fn expire(&mut self, now: SystemTime) {
        for letter in &mut self.waiting {
            letter.lock = letter.lock.filter(|(_, until)| now < *until);
        }
        self.waiting.retain(|letter| now < letter.expires && (letter.taken < Self::MAX_TAKEN || letter.lock.is_some()));
    }

    /// A packet id out of the range that other packets leave to messages, because these keep theirs across sessions.
    fn unused_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = crate::emulator::packet_id::MESSAGES.after(self.last_packet_id);
            if !self.waiting.iter().any(|letter| letter.packet_id == Some(self.last_packet_id)) {
                return self.last_packet_id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn letter(topic: &str) -> Letter {
        Letter::new(topic.into(), Bytes::new(), START + Duration::from_secs(60))
    }

    #[test]
    fn messages_are_sent_in_order_and_again_until_acknowledged() {
        let mut inbox = Inbox::default();
        inbox.push(letter("a"), START).unwrap();
        inbox.push(letter("b"), START).unwrap();
        assert_eq!(&*inbox.next(START).unwrap().topic, "a");
        let (a, again) = inbox.sent().unwrap();
        let (b, _) = inbox.sent().unwrap();
        assert!(a != b && !again && inbox.sent().is_none() && inbox.next(START).is_none());
        assert!(inbox.acknowledge(a) && !inbox.acknowledge(a));
        inbox.begin_session();
        assert!(!inbox.acknowledge(b), "not sent in this session yet");
        assert_eq!(&*inbox.next(START).unwrap().topic, "b");
        assert_eq!(inbox.sent(), Some((b, true)));
        inbox.push(letter("c"), START).unwrap();
        inbox.forget();
        assert!(inbox.acknowledge(b) && inbox.is_empty());
    }

    #[test]
    fn a_locked_message_is_one_takers_until_it_is_settled_or_the_lock_ends() {
        let mut inbox = Inbox::default();
        inbox.push(Letter { expires: START + Duration::from_secs(7200), ..letter("a") }, START).unwrap();
        let (_, first) = inbox.lock_next(START).unwrap();
        assert!(inbox.lock_next(START).is_none() && inbox.next(START).is_none());
        assert!(inbox.abandon(first, START) && !inbox.abandon(first, START) && !inbox.complete(first, START));
        let (_, second) = inbox.lock_next(START).unwrap();
        let later = Inbox::LOCK.after(START);
        assert!(!inbox.complete(second, later), "the lock has ended");
        let (_, third) = inbox.lock_next(later).unwrap();
        assert!(inbox.complete(third, later) && inbox.is_empty());

        inbox.push(letter("b"), START).unwrap();
        for _ in 0..Inbox::MAX_TAKEN {
            let (_, lock) = inbox.lock_next(START).unwrap();
            assert!(inbox.abandon(lock, START));
        }
        assert!(inbox.lock_next(START).is_none() && inbox.is_empty(), "given out often enough");
    }

    #[test]
    fn fifty_wait_and_none_for_ever() {
        let mut inbox = Inbox::default();
        for _ in 0..Inbox::MAX {
            inbox.push(letter("a"), START).unwrap();
        }
        assert_eq!(inbox.push(letter("a"), START), Err(InboxFull));
        let later = START + Duration::from_secs(60);
        assert_eq!(inbox.len(later), 0);
        inbox.push(Letter { expires: later + Duration::from_secs(1), ..letter("a") }, later).unwrap();
        assert_eq!(inbox.len(later), 1);
        inbox.clear();
        assert!(inbox.is_empty());
    }
}
