use crate::domain::named;

named! {
    /// Which TLS versions a client offers or a server accepts.
    #[derive(Hash, Default)]
    pub enum TlsVersions {
        /// 1.2 and 1.3.
        #[default]
        Any = "any",
        /// Only 1.2, as the documented service and the stable Python SDK.
        Tls12 = "1.2",
        /// Only 1.3.
        Tls13 = "1.3",
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
