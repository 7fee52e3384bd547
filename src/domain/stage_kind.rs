use crate::domain::named;

named! {
    /// What each device does in a stage.
    #[derive(Hash)]
    pub enum StageKind {
        /// Register with DPS, take the issued certificate, connect to the hub with it.
        Provision = "provision",
        /// Get a new certificate over the hub session, or from DPS when the old one has expired; connect with it.
        Renew = "renew",
        /// Connect to the hub with the certificate that the device has; a connection that it holds is given up first.
        Reconnect = "reconnect",
        /// Register with DPS again, although it has a certificate.
        Reprovision = "reprovision",
        /// Be connected with the hub until the stage is over, come back when the connection is lost, send telemetry.
        Operate = "operate",
    }
}

impl StageKind {
    /// Whether every attempt makes a key and a CSR.
    pub const fn makes_keys(self) -> bool {
        matches!(self, Self::Provision | Self::Renew | Self::Reprovision)
    }

    /// Whether a device needs a credential from an earlier stage to take part.
    pub const fn needs_credential(self) -> bool {
        !matches!(self, Self::Provision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_say_what_their_devices_need_and_make() {
        let all = StageKind::ALL.map(|kind| (kind.to_string(), kind.makes_keys(), kind.needs_credential()));
        let expected = [
            ("provision", true, false),
            ("renew", true, true),
            ("reconnect", false, true),
            ("reprovision", true, true),
            ("operate", false, true),
        ];
        assert_eq!(all, expected.map(|(name, makes, needs)| (name.to_owned(), makes, needs)));
    }
}
