//! Registration with DPS over MQTT.

use std::time::Duration;

use tokio::time::Instant;

use crate::device::attempt::{Attempt, Leg};
use crate::device::session::{Peer, Session};
use crate::device::{Connector, Prepared, Target};
use crate::domain::Failure;
use crate::protocol::flow::{Limits, Next};
use crate::protocol::mqtt::DPS_PACKET_LIMIT;
use crate::protocol::registration_flow::{Assignment, MqttRegistration};

impl<C: Connector> Attempt<'_, C> {
    /// Connects to DPS and registers. The session comes back with the assignment, still open.
    pub(super) async fn register(
        &mut self,
        prepared: &mut Prepared,
    ) -> Result<(Assignment, Session<C::Stream>), Failure> {
        let settings = self.settings;
        let target = Target { host: &settings.dps.host, port: settings.dps.port, address: settings.dps.address };
        let stream = self.connect(&Leg::DPS, &target, settings.tls.anonymous()).await?;
        let peer = Peer { service: Leg::DPS.service, limit: DPS_PACKET_LIMIT, keep_alive: settings.keep_alive };
        let mut session = Session::new(stream, peer);
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
                session.close(self.connector).await;
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
        match next {
            Next::Read { until } => {
                let input = session.input(start.checked_add(until)).await;
                next = flow.handle(input, start.elapsed(), session.outgoing());
            }
            Next::Done(assignment) => return Ok(assignment),
            Next::Failed(failure) => return Err(failure),
        }
    }
}
