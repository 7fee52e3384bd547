use std::time::SystemTime;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::emulator::issuing::adr::Chain;
use crate::emulator::packet_id::RENEWALS;

/// A device's certificate renewal: one at a time, kept with its result until the device has that or it expires.
///
/// | state | `result` | `in_flight` |
/// |---|---|---|
/// | at the authority, or held back until `ready_at` | none, or not ready | none |
/// | waits for a subscription | ready | none |
/// | sent at QoS 1, waits for PUBACK | ready | the packet id |
#[derive(Debug)]
pub(crate) struct Renewal {
    /// The device's request id.
    pub(crate) request_id: Box<str>,
    /// Names the operation.
    pub(crate) correlation_id: Uuid,
    /// Given up from then on.
    pub(crate) expires: SystemTime,
    /// SHA-256 of the CSR: the same request may come again after a lost connection.
    pub(crate) csr_digest: [u8; 32],
    /// No result is given before.
    pub(crate) ready_at: Instant,
    result: Option<Result<Chain, String>>,
    in_flight: Option<u16>,
    /// Makes the session look when it is ready; ends with it, as a device may ask again and again.
    alarm: Option<AbortOnDropHandle<()>>,
}

impl Renewal {
    /// One that goes to the authority now.
    pub(crate) const fn new(
        request_id: Box<str>,
        correlation_id: Uuid,
        expires: SystemTime,
        csr_digest: [u8; 32],
        ready_at: Instant,
    ) -> Self {
        Self { request_id, correlation_id, expires, csr_digest, ready_at, result: None, in_flight: None, alarm: None }
    }

    /// Gives it the task that makes the session look when it is ready.
    pub(crate) fn set_alarm(&mut self, alarm: AbortOnDropHandle<()>) {
        self.alarm = Some(alarm);
    }

    /// Whether it stands in the way of another one: its final answer was not sent yet, and it has not expired.
    pub(crate) fn is_pending(&self, now: SystemTime) -> bool {
        self.in_flight.is_none() && now < self.expires
    }

    /// The authority has decided: the chain, or why there is none.
    pub(crate) fn finish(&mut self, result: Result<Chain, String>) {
        self.result = Some(result);
    }

    /// The result, if it is to be sent now.
    pub(crate) fn unsent_result(&self, now: Instant) -> Option<Result<&Chain, &str>> {
        let due = self.in_flight.is_none() && now >= self.ready_at;
        self.result.as_ref().filter(|_| due).map(|result| result.as_ref().map_err(String::as_str))
    }

    /// Notes that the result is sent at QoS 1, under the packet id that this gives.
    pub(crate) fn sent(&mut self, last_packet_id: &mut u16) -> u16 {
        *last_packet_id = RENEWALS.after(*last_packet_id);
        self.in_flight = Some(*last_packet_id);
        *last_packet_id
    }

    /// Whether the device has acknowledged the result with this packet id.
    pub(crate) fn is_acknowledged_by(&self, packet_id: u16) -> bool {
        self.in_flight == Some(packet_id)
    }

    /// A session begins: a result that was not acknowledged is to be sent again.
    pub(crate) const fn begin_session(&mut self) {
        self.in_flight = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_alarm_of_a_renewal_lives_as_long_as_it_and_the_last_one_counts() {
        let mut renewal = Renewal::new("r1".into(), Uuid::nil(), SystemTime::UNIX_EPOCH, [0; 32], Instant::now());
        let tasks = [(); 2].map(|()| tokio::spawn(std::future::pending::<()>()));
        let alarms = [0, 1].map(|place: usize| tasks[place].abort_handle());
        for (set, task) in tasks.into_iter().enumerate() {
            renewal.set_alarm(AbortOnDropHandle::new(task));
            tokio::task::yield_now().await;
            assert_eq!(alarms.each_ref().map(|alarm| alarm.is_finished()), [set == 1, false]);
        }
        drop(renewal);
        tokio::task::yield_now().await;
        assert!(alarms.iter().all(|alarm| alarm.is_finished()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_sent_when_it_is_ready_and_again_in_the_next_session() {
        let (now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let ready = now + Duration::from_secs(1);
        let mut renewal = Renewal::new("r1".into(), Uuid::nil(), wall + Duration::from_secs(60), [0; 32], ready);
        assert!(renewal.is_pending(wall) && !renewal.is_pending(wall + Duration::from_secs(60)));
        renewal.finish(Err("no".to_owned()));
        assert!(renewal.unsent_result(now).is_none());
        assert_eq!(renewal.unsent_result(ready).map(|r| r.map(|_| ())), Some(Err("no")));
        let mut last = 0;
        let id = renewal.sent(&mut last);
        assert!(renewal.is_acknowledged_by(id) && !renewal.is_acknowledged_by(1));
        assert!(renewal.unsent_result(ready).is_none() && !renewal.is_pending(wall));
        renewal.begin_session();
        assert!(renewal.unsent_result(ready).is_some() && renewal.is_pending(wall));
    }
}
