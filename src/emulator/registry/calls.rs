use bytes::Bytes;
use tokio::sync::oneshot;

/// Direct method calls that a device has not answered yet, at most [`Self::MAX`].
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<Call>,
    last_id: u32,
}

#[derive(Debug)]
struct Call {
    id: u32,
    /// Method and payload, until they are sent.
    unsent: Option<(Box<str>, Bytes)>,
    caller: oneshot::Sender<MethodAnswer>,
}

/// What a device answers to a direct method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MethodAnswer {
    /// The device's own status.
    pub(crate) status: i32,
    /// Body, JSON or nothing if the device keeps to the rules.
    pub(crate) payload: Bytes,
}

/// The device has [`Calls::MAX`] calls to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Calls {
    /// Calls that may be open.
    pub(crate) const MAX: usize = 32;

    /// Adds a call. Its id, and where the answer will come; when the session ends before, the sender is dropped.
    pub(crate) fn begin(
        &mut self,
        method: &str,
        payload: Bytes,
    ) -> Result<(u32, oneshot::Receiver<MethodAnswer>), TooMany> {
        if self.open.len() >= Self::MAX {
            return Err(TooMany);
        }
        let (caller, answer) = oneshot::channel();
        self.last_id = self.last_id.wrapping_add(1);
        self.open.push(Call { id: self.last_id, unsent: Some((method.into(), payload)), caller });
        Ok((self.last_id, answer))
    }

    /// A call that is to be sent: id, method, payload.
    pub(crate) fn next(&mut self) -> Option<(u32, Box<str>, Bytes)> {
        self.open.iter_mut().find_map(|call| call.unsent.take().map(|(method, payload)| (call.id, method, payload)))
    }

    /// The device answered; true when somebody waits for that.
    pub(crate) fn answer(&mut self, id: u32, answer: MethodAnswer) -> bool {
        let Some(call) = self.remove(id) else { return false };
        call.caller.send(answer).is_ok()
    }

    /// The caller waits no longer.
    pub(crate) fn give_up(&mut self, id: u32) {
        self.remove(id);
    }

    /// The session ended, and with it all calls.
    pub(crate) fn end_session(&mut self) {
        self.open = Vec::new();
    }

    fn remove(&mut self, id: u32) -> Option<Call> {
        self.open.iter().position(|call| call.id == id).map(|index| self.open.swap_remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_finds_its_caller_once() {
        let mut calls = Calls::default();
        let (a, answer_a) = calls.begin("reboot", Bytes::from_static(b"1")).unwrap();
        let (b, answer_b) = calls.begin("blink", Bytes::new()).unwrap();
        assert_eq!(calls.next(), Some((a, "reboot".into(), Bytes::from_static(b"1"))));
        assert_eq!(calls.next(), Some((b, "blink".into(), Bytes::new())));
        assert_eq!(calls.next(), None);
        let answer = MethodAnswer { status: 200, payload: Bytes::new() };
        assert!(calls.answer(a, answer.clone()) && !calls.answer(a, answer.clone()));
        assert_eq!(answer_a.await, Ok(answer));
        calls.end_session();
        assert!(answer_b.await.is_err());
    }

    #[test]
    fn open_calls_are_bounded() {
        let mut calls = Calls::default();
        let open: Vec<_> = (0..Calls::MAX).map(|_| calls.begin("m", Bytes::new()).unwrap()).collect();
        assert!(calls.begin("m", Bytes::new()).is_err());
        calls.give_up(open[0].0);
        assert!(calls.begin("m", Bytes::new()).is_ok());
    }
}
