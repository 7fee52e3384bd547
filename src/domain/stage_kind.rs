use std::fmt;

/// What each device does in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// Register with DPS, take the issued certificate, connect to the hub with it.
    Provision,
    /// Get a new certificate over the hub session, or from DPS when the old one has expired; connect with it.
    Renew,
    /// Connect to the hub with the certificate that the device has; a connection that it holds is given up first.
    Reconnect,
    /// Register with DPS again, although it has a certificate.
    Reprovision,
    /// Be connected with the hub until the stage is over, come back when the connection is lost, send telemetry.
    Operate,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Provision, Self::Renew, Self::Reconnect, Self::Reprovision, Self::Operate];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Renew => "renew",
            Self::Reconnect => "reconnect",
            Self::Reprovision => "reprovision",
            Self::Operate => "operate",
        }
    }

    /// Whether every attempt makes a key and a CSR.
    pub const fn makes_keys(self) -> bool {
        matches!(self, Self::Provision | Self::Renew | Self::Reprovision)
    }

    /// Whether a device needs a credential from an earlier stage to take part.
    pub const fn needs_credential(self) -> bool {
        !matches!(self, Self::Provision)
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
