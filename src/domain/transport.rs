use crate::domain::named;

named! {
    /// How a device talks to DPS.
    #[derive(Hash, Default)]
    pub enum Transport {
        /// MQTT over TLS.
        #[default]
        Mqtt = "mqtt",
        /// MQTT over WebSocket over TLS.
        MqttWebSocket = "mqtt-websocket",
        /// HTTPS.
        Https = "https",
    }
}

impl Transport {
    /// The service's port.
    pub const fn port(self) -> u16 {
        match self {
            Self::Mqtt => 8883,
            Self::MqttWebSocket | Self::Https => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_have_the_names_that_scenarios_use_and_the_ports_of_the_service() {
        let all = Transport::ALL.map(|transport| (transport.name(), transport.port()));
        assert_eq!(all, [("mqtt", 8883), ("mqtt-websocket", 443), ("https", 443)]);
    }
}
