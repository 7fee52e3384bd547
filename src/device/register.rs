//! Registration with DPS over MQTT.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::device::attempt::{Attempt, Leg};
use crate::device::session::Session;
use crate::device::{Connector, Prepared, Target};
use crate::domain::Failure;
use crate::protocol::mqtt::DPS_PACKET_LIMIT;
use crate::protocol::registration_flow::{Assignment, Limits, MqttRegistration, Next};

/// Holds an ordinary assigned answer with its chain.
const CAPACITY: usize = 8 * 1024;

impl<C: Connector> Attempt<'_, C> {
    /// Connects to DPS and registers. The session comes back with the assignment, still open.
    pub(super) async fn register(
        &mut self,
        prepared: &mut Prepared,
    ) -> Result<(Assignment, Session<C::Stream>), Failure> {
        let settings = self.settings;
        let target = Target { host: &settings.dps.host, port: settings.dps.port, address: settings.dps.address };
        let stream = self.connect(&Leg::DPS, &target, settings.tls.anonymous()).await?;
        let mut session = Session::new(stream, Leg::DPS.service, DPS_PACKET_LIMIT, CAPACITY);
        let deadline = settings.timeouts.attempt.saturating_sub(self.started.elapsed());
        let limits = Limits { answer: settings.timeouts.answer, deadline };
        let mut flow = MqttRegistration::new(prepared.dps_session(settings), settings.policy, limits, prepared.seed());
        let result = converse(&mut flow, &mut session).await;
        for (phase, time) in flow.times().present() {
            self.phases.set(phase, time);
        }
        self.polls += flow.polls();
        self.throttled += flow.throttled();
        match result {
            Ok(assignment) => Ok((assignment, session)),
            Err(failure) => {
                session.close().await;
                Err(failure)
            }
        }
    }
}

/// Carries packets between a conversation and its session until the conversation ends.
async fn converse<S>(flow: &mut MqttRegistration, session: &mut Session<S>) -> Result<Assignment, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let start = Instant::now();
    let mut next = flow.begin(Duration::ZERO, session.outgoing());
    loop {
        let until = match next {
            Next::Read { until } => until,
            Next::Done(assignment) => return Ok(assignment),
            Next::Failed(failure) => return Err(failure),
        };
        let packet = match session.flush().await {
            // A point in time beyond the clock's range is never.
            Ok(()) => match start.checked_add(until) {
                Some(until) => timeout_at(until, session.read()).await.ok(),
                None => Some(session.read().await),
            },
            Err(failure) => Some(Err(failure)),
        };
        let now = start.elapsed();
        next = match packet {
            Some(Ok(packet)) => flow.packet(packet, now, session.outgoing()),
            Some(Err(failure)) => flow.fail(failure, now),
            None => flow.wake(now, session.outgoing()),
        };
    }
}
