//! Registration with DPS, over each transport.

mod https;
mod mqtt;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::device::attempt::Attempt;
use crate::device::channel::Channel;
use crate::device::session::Session;
use crate::device::{Connector, Prepared};
use crate::domain::{Failure, Transport};
use crate::protocol::flow::Limits;
use crate::protocol::registration_flow::{Assignment, RegistrationTimes};

/// The connection over which a device was registered, still open.
pub(super) enum DpsConnection<S: AsyncRead + AsyncWrite + Unpin> {
    Mqtt(Session<Channel<S>>),
    Https(Box<https::HttpsConnection<S>>),
}

/// What a conversation found out, whatever it was carried by.
struct Booked {
    times: RegistrationTimes,
    polls: u16,
    throttled: u16,
    /// Of the answer that ended it, real time.
    retry_after: Option<Duration>,
    /// Longest of its refusals, time of the service.
    retry_after_max: Option<Duration>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> DpsConnection<S> {
    /// Takes leave and closes.
    pub(super) async fn close<C: Connector<Stream = S>>(self, connector: &C) {
        match self {
            Self::Mqtt(session) => session.close(connector).await,
            Self::Https(connection) => connection.close().await,
        }
    }
}

impl<C: Connector> Attempt<'_, C> {
    /// Connects to DPS and registers.
    pub(super) async fn register(
        &mut self,
        prepared: &Prepared,
    ) -> Result<(Assignment, DpsConnection<C::Stream>), Failure> {
        match self.settings.transport {
            Transport::Mqtt => self.register_mqtt(prepared, false).await,
            Transport::MqttWebSocket => self.register_mqtt(prepared, true).await,
            // Boxed: the usual transports need not keep room for it.
            Transport::Https => Box::pin(self.register_https(prepared)).await,
        }
    }

    /// Those of a conversation that begins now.
    fn limits(&self) -> Limits {
        let timeouts = self.settings.timeouts;
        Limits { answer: timeouts.answer, deadline: timeouts.attempt.saturating_sub(self.started.elapsed()) }
    }

    /// Keeps what a conversation found out.
    fn book(&mut self, booked: &Booked) {
        let Booked { times, polls, throttled, retry_after, retry_after_max } = booked;
        for (phase, time) in times.present() {
            self.phases.set(phase, time);
        }
        self.polls = self.polls.saturating_add(*polls);
        self.throttled = self.throttled.saturating_add(*throttled);
        self.retry_after = *retry_after;
        self.retry_after_max = self.retry_after_max.max(*retry_after_max);
    }
}
