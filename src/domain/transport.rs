use std::fmt;
use std::str::FromStr;

/// How a device talks to DPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// MQTT over TLS.
    #[default]
    Mqtt,
    /// MQTT over WebSocket over TLS.
    MqttWebSocket,
    /// HTTPS.
    Https,
}

impl Transport {
    /// Every choice, in the order of documentation.
    pub const ALL: [Self; 3] = [Self::Mqtt, Self::MqttWebSocket, Self::Https];

    /// The name used in scenarios, reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::MqttWebSocket => "mqtt-websocket",
            Self::Https => "https",
        }
    }

    /// The service's port.
    pub const fn port(self) -> u16 {
        match self {
            Self::Mqtt => 8883,
            Self::MqttWebSocket | Self::Https => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|t| t.name() == text)
            .ok_or_else(|| format!("unknown transport `{text}`: use one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_read_as_they_are_shown_and_have_the_ports_of_the_service() {
        for (transport, port) in Transport::ALL.into_iter().zip([8883, 443, 443]) {
            assert_eq!((transport.to_string().parse(), transport.port()), (Ok(transport), port));
        }
        assert_eq!(Transport::ALL.map(Transport::name), ["mqtt", "mqtt-websocket", "https"]);
        let error = "amqp".parse::<Transport>().unwrap_err();
        assert_eq!(error, "unknown transport `amqp`: use one of mqtt, mqtt-websocket, https");
    }
}
