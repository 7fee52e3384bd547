//! Registration with DPS, over each transport.

mod https;
mod mqtt;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::device::attempt::AttemptContext;
use crate::device::channel::Channel;
use crate::device::session::Session;
use crate::device::{Connector, Prepared};
use crate::domain::{Failure, Transport};
use crate::protocol::flow::TimeLimits;
use crate::protocol::registration_flow::Assignment;

/// The connection over which a device was registered, still open.
pub(super) enum DpsConnection<S: AsyncRead + AsyncWrite + Unpin> {
    Mqtt(Session<Channel<S>>),
    Https(Box<https::HttpsConnection<S>>),
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

impl<C: Connector> AttemptContext<'_, C> {
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
    fn limits(&self) -> TimeLimits {
        let timeouts = self.settings.timeouts;
        TimeLimits {
            answer: timeouts.answer,
            deadline: timeouts.attempt.saturating_sub(self.started.elapsed()),
            scale: self.settings.time_scale,
        }
    }
}
