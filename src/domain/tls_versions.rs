use std::fmt;

/// Which TLS versions a client offers or a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    Any,
    /// Only 1.2, as the documented service and the stable Python SDK.
    Tls12,
    /// Only 1.3.
    Tls13,
}

impl TlsVersions {
    /// Every choice, in the order of documentation.
    pub const ALL: [Self; 3] = [Self::Any, Self::Tls12, Self::Tls13];

    /// The name used in scenarios, reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl fmt::Display for TlsVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_the_names_that_scenarios_use() {
        assert_eq!(TlsVersions::ALL.map(|versions| versions.to_string()), ["any", "1.2", "1.3"]);
    }
}
