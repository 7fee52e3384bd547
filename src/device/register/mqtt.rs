use super::DpsConnection;
use crate::device::attempt::{AttemptContext, Leg};
use crate::device::session::{Peer, Session};
use crate::device::{Connector, Prepared};
use crate::domain::Failure;
use crate::protocol::mqtt::DPS_PACKET_LIMIT;
use crate::protocol::registration_flow::{Assignment, MqttRegistration};

impl<C: Connector> AttemptContext<'_, C> {
    pub(super) async fn register_mqtt(
        &mut self,
        prepared: &Prepared,
        web_socket: bool,
    ) -> Result<(Assignment, DpsConnection<C::Stream>), Failure> {
        let settings = self.settings;
        let target = settings.dps.target();
        let config = self.end.dps_tls(settings, prepared);
        let channel = self.connect_mqtt(&Leg::DPS, &target, config, web_socket, DPS_PACKET_LIMIT).await?;
        let peer = Peer {
            service: Leg::DPS.service,
            limit: DPS_PACKET_LIMIT,
            keep_alive: settings.keep_alive,
            answer: settings.timeouts.answer,
        };
        let mut session = Session::new(channel, peer);
        let identity = self.dps_session(prepared);
        let mut flow = MqttRegistration::new(identity, settings.policy, self.limits(), prepared.draws_seed());
        let (end, before) = (self.end, self.facts);
        let result = session
            .converse(|input, now, out| {
                let next = match input {
                    None => flow.begin(now, out),
                    Some(input) => flow.handle(input, now, out),
                };
                end.tells(flow.phase(), &before.and(flow.facts()));
                end.did(flow.take_late());
                next
            })
            .await;
        self.facts = before.and(flow.facts());
        match result {
            Ok(assignment) => Ok((assignment, DpsConnection::Mqtt(session))),
            Err(failure) => {
                session.close(self.connector).await;
                Err(failure)
            }
        }
    }
}
