use std::fmt;

use super::{Query, TopicError};
use crate::domain::percent_encode;

/// The MQTT user name of a device at DPS:
/// `{idScope}/registrations/{registrationId}/api-version={v}[&ClientVersion={percent-encoded}]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DpsUserName<'a> {
    /// The id scope.
    pub id_scope: &'a str,
    /// The registration id, as sent.
    pub registration_id: &'a str,
    /// The API version, when there is one.
    pub api_version: Option<&'a str>,
    /// The client's name and version: percent-encoded when read, in plain text when written.
    pub client_version: Option<&'a str>,
}

/// The MQTT user name of a device at its hub:
/// `{host}/{deviceId}/?api-version={v}[&DeviceClientType={percent-encoded}][&model-id=…]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubUserName<'a> {
    /// The hub's host name, as sent.
    pub host: &'a str,
    /// The device id.
    pub device_id: &'a str,
    /// The API version, when there is one.
    pub api_version: Option<&'a str>,
    /// The client's name and version: percent-encoded when read, in plain text when written.
    pub client_type: Option<&'a str>,
}

/// A user name, which says whether DPS or a hub is meant: both listen on the same port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserName<'a> {
    /// Registration with DPS.
    Dps(DpsUserName<'a>),
    /// Connection to a hub.
    Hub(HubUserName<'a>),
}

impl<'a> UserName<'a> {
    /// Takes a user name apart. A missing API version is not an error here: which are good is the service's decision.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        let (first, rest) = text.split_once('/').filter(|(first, _)| !first.is_empty()).ok_or(TopicError::UserName)?;
        match rest.split_once('/') {
            Some(("registrations", rest)) => {
                let (registration_id, query) = rest.split_once('/').unwrap_or((rest, ""));
                let query = Query::new(query);
                present(registration_id)?;
                Ok(Self::Dps(DpsUserName {
                    id_scope: first,
                    registration_id,
                    api_version: query.get("api-version"),
                    client_version: query.get("ClientVersion"),
                }))
            }
            split => {
                let (device_id, query) = split.unwrap_or((rest, ""));
                let query = Query::new(query);
                present(device_id)?;
                Ok(Self::Hub(HubUserName {
                    host: first,
                    device_id,
                    api_version: query.get("api-version"),
                    client_type: query.get("DeviceClientType"),
                }))
            }
        }
    }
}

impl fmt::Display for DpsUserName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/registrations/{}/", self.id_scope, self.registration_id)?;
        parameters(f, self.api_version, "ClientVersion", self.client_version)
    }
}

impl fmt::Display for HubUserName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/?", self.host, self.device_id)?;
        parameters(f, self.api_version, "DeviceClientType", self.client_type)
    }
}

fn parameters(f: &mut fmt::Formatter<'_>, version: Option<&str>, name: &str, client: Option<&str>) -> fmt::Result {
    write!(f, "api-version={}", version.unwrap_or_default())?;
    client.map_or(Ok(()), |client| write!(f, "&{name}={}", percent_encode(client)))
}

fn present(id: &str) -> Result<(), TopicError> {
    if id.is_empty() { Err(TopicError::UserName) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn user_names_of_real_clients_are_read() {
        let dps = |text| match UserName::parse(text) {
            Ok(UserName::Dps(name)) => name,
            other => panic!("{text}: {other:?}"),
        };
        let python = dps(
            "0ne00000001/registrations/Dev1/api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.14.0",
        );
        assert_eq!((python.id_scope, python.registration_id), ("0ne00000001", "Dev1"));
        assert_eq!(python.api_version, Some("2019-03-31"));
        assert_eq!(python.client_version, Some("azure-iot-device-provisioning-py%2F2.14.0"));
        assert_eq!(dps("0ne1/registrations/d/api-version=2025-07-01-preview").client_version, None);
        assert_eq!(dps("0ne1/registrations/d").api_version, None);

        let hub = |text| match UserName::parse(text) {
            Ok(UserName::Hub(name)) => name,
            other => panic!("{text}: {other:?}"),
        };
        let node = hub("hub.azure-devices.net/dev1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18");
        assert_eq!((node.host, node.device_id), ("hub.azure-devices.net", "dev1"));
        assert_eq!((node.api_version, node.client_type), (Some("2021-04-12"), Some("azure-iot-device%2F1.18")));
        assert_eq!(hub("localhost/dev1/api-version=2016-11-14").api_version, Some("2016-11-14"));
        assert_eq!(hub("localhost/dev1").api_version, None);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "0ne1", "/registrations/d/", "0ne1/registrations//api-version=1", "host//?api-version=1", "host/"]
        {
            assert_eq!(UserName::parse(text), Err(TopicError::UserName), "{text}");
        }
    }

    #[test]
    fn user_names_are_written_as_the_sdks_do() {
        let dps = DpsUserName {
            id_scope: "0ne00000001",
            registration_id: "dev1",
            api_version: Some("2025-07-01-preview"),
            client_version: Some("my/1.0"),
        };
        assert_eq!(
            dps.to_string(),
            "0ne00000001/registrations/dev1/api-version=2025-07-01-preview&ClientVersion=my%2F1.0"
        );
        let hub = HubUserName {
            host: "contoso.azure-devices.net",
            device_id: "dev1",
            api_version: Some("2025-08-01-preview"),
            client_type: None,
        };
        assert_eq!(hub.to_string(), "contoso.azure-devices.net/dev1/?api-version=2025-08-01-preview");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = UserName::parse(&text);
        }
    }
}
