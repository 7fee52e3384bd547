use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::DpsConnection;
use crate::device::attempt::{Attempt, Leg};
use crate::device::session::{Peer, Session};
use crate::device::{Connector, Prepared};
use crate::domain::Failure;
use crate::protocol::flow::Next;
use crate::protocol::mqtt::DPS_PACKET_LIMIT;
use crate::protocol::registration_flow::{Assignment, MqttRegistration};

impl<C: Connector> Attempt<'_, C> {
    pub(super) async fn register_mqtt(
        &mut self,
        prepared: &Prepared,
        web_socket: bool,
    ) -> Result<(Assignment, DpsConnection<C::Stream>), Failure> {
        let settings = self.settings;
        let target = settings.dps.target();
        let channel =
            self.connect_mqtt(&Leg::DPS, &target, prepared.dps_tls(settings), web_socket, DPS_PACKET_LIMIT).await?;
        let peer = Peer { service: Leg::DPS.service, limit: DPS_PACKET_LIMIT, keep_alive: settings.keep_alive };
        let mut session = Session::new(channel, peer);
        let identity = prepared.dps_session(settings);
        let mut flow = MqttRegistration::new(identity, settings.policy, self.limits(), prepared.seed());
        let result = converse(&mut flow, &mut session).await;
        self.book(&flow.times(), flow.polls(), flow.throttled());
        match result {
            Ok(assignment) => Ok((assignment, DpsConnection::Mqtt(session))),
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
    S: AsyncRead + AsyncWrite + Unpin,
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
