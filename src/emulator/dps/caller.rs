use super::attest::{Caller, Evidence};
use crate::domain::RegistrationId;
use crate::emulator::transport::conversation::PeerChain;

/// What a device said of itself, before anything is checked.
pub(crate) struct Introduction<'a> {
    /// The id scope.
    pub(crate) id_scope: &'a str,
    /// The registration id.
    pub(crate) registration_id: &'a str,
    /// The API version, if it named one.
    pub(crate) api_version: Option<&'a str>,
    /// The MQTT password or the `Authorization` header; empty when there is none.
    pub(crate) token: &'a str,
    /// The certificates of the TLS connection.
    pub(crate) certificates: PeerChain,
}

/// An introduction that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// No registration id.
    RegistrationId,
    /// No date from 2019-03-31 on.
    ApiVersion,
    /// No SAS token.
    Token,
}

impl Caller {
    /// A device that introduced itself with something that can be checked.
    pub(crate) fn new(introduction: Introduction<'_>) -> Result<Self, Malformed> {
        let Introduction { id_scope, registration_id: sent_id, api_version, token, certificates } = introduction;
        let registration_id = RegistrationId::new(sent_id).map_err(|_| Malformed::RegistrationId)?;
        let api_version = api_version.filter(|version| is_api_version(version)).ok_or(Malformed::ApiVersion)?;
        let evidence = Evidence::new(token, certificates).map_err(|_| Malformed::Token)?;
        Ok(Self {
            id_scope: id_scope.into(),
            sent_id: sent_id.into(),
            registration_id: registration_id.as_str().into(),
            api_version: api_version.into(),
            evidence,
        })
    }
}

/// A date, with or without `-preview`, not before the first version that devices used.
fn is_api_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    let shape = date.len() == 10
        && date.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    shape && date >= "2019-03-31"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_are_dates() {
        for good in ["2019-03-31", "2021-06-01", "2025-07-01-preview", "2026-11-02-preview"] {
            assert!(is_api_version(good), "{good}");
        }
        for bad in ["", "2018-11-01", "2025-07", "latest", "2025/07/01", "2025-07-01-Preview"] {
            assert!(!is_api_version(bad), "{bad}");
        }
    }
}
