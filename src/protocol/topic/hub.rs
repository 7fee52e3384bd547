use std::fmt;

use super::{Query, TopicError, status_and_query};

/// What a device publishes to its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubRequest<'a> {
    /// A device-to-cloud message.
    Telemetry {
        /// The device named in the topic.
        device_id: &'a str,
        /// Properties of the message, percent-encoded, possibly empty.
        properties: &'a str,
    },
    /// Read the twin.
    TwinGet {
        /// The request id.
        rid: &'a str,
    },
    /// Patch the reported properties.
    TwinPatch {
        /// The request id.
        rid: &'a str,
    },
    /// The result of a direct method.
    MethodResult {
        /// The device's status, any integer.
        status: i32,
        /// The request id of the call.
        rid: &'a str,
    },
    /// Ask for a new certificate. Without a request id the hub stays silent.
    IssueCertificate {
        /// The request id, when there is one.
        rid: Option<&'a str>,
    },
}

impl<'a> HubRequest<'a> {
    const TWIN_GET: &'static str = "$iothub/twin/GET/";
    const TWIN_PATCH: &'static str = "$iothub/twin/PATCH/properties/reported/";
    const METHOD_RESULT: &'static str = "$iothub/methods/res/";
    const ISSUE_CERTIFICATE: &'static str = "$iothub/credentials/POST/issueCertificate";

    /// From a topic.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        let rid = |query: Query<'a>| query.get("$rid").ok_or(TopicError::RequestId);
        if let Some(rest) = topic.strip_prefix("devices/") {
            let (device_id, rest) = rest.split_once('/').ok_or(TopicError::Unknown)?;
            let properties = rest.strip_prefix("messages/events").ok_or(TopicError::Unknown)?;
            match properties.strip_prefix('/') {
                Some(properties) => Ok(Self::Telemetry { device_id, properties }),
                None if properties.is_empty() => Ok(Self::Telemetry { device_id, properties }),
                None => Err(TopicError::Unknown),
            }
        } else if let Some(rest) = topic.strip_prefix(Self::TWIN_GET) {
            Ok(Self::TwinGet { rid: rid(Query::new(rest))? })
        } else if let Some(rest) = topic.strip_prefix(Self::TWIN_PATCH) {
            Ok(Self::TwinPatch { rid: rid(Query::new(rest))? })
        } else if let Some(rest) = topic.strip_prefix(Self::METHOD_RESULT) {
            let (status, query) = rest.split_once(['/', '?']).ok_or(TopicError::RequestId)?;
            let status = status.parse().map_err(|_| TopicError::Status)?;
            Ok(Self::MethodResult { status, rid: rid(Query::new(query))? })
        } else if let Some(rest) = topic.strip_prefix(Self::ISSUE_CERTIFICATE) {
            Ok(Self::IssueCertificate { rid: Query::new(rest).get("$rid").filter(|rid| !rid.is_empty()) })
        } else {
            Err(TopicError::Unknown)
        }
    }
}

impl fmt::Display for HubRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Telemetry { device_id, properties } => write!(f, "devices/{device_id}/messages/events/{properties}"),
            Self::TwinGet { rid } => write!(f, "{}?$rid={rid}", Self::TWIN_GET),
            Self::TwinPatch { rid } => write!(f, "{}?$rid={rid}", Self::TWIN_PATCH),
            Self::MethodResult { status, rid } => write!(f, "{}{status}/?$rid={rid}", Self::METHOD_RESULT),
            Self::IssueCertificate { rid } => {
                write!(f, "{}/", Self::ISSUE_CERTIFICATE)?;
                rid.map_or(Ok(()), |rid| write!(f, "?$rid={rid}"))
            }
        }
    }
}

/// What a hub publishes to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubDelivery<'a> {
    /// A cloud-to-device message.
    CloudToDevice {
        /// The device.
        device_id: &'a str,
        /// Properties of the message, percent-encoded, possibly empty.
        properties: &'a str,
    },
    /// The answer to a twin request.
    TwinResponse {
        /// Status as in HTTP: 200 for a read, 204 for a patch.
        status: u16,
        /// The request id.
        rid: &'a str,
        /// Version of the reported properties after a patch.
        version: Option<u64>,
    },
    /// Desired properties were changed.
    TwinDesired {
        /// Version of the desired properties.
        version: u64,
    },
    /// A direct method is called.
    MethodCall {
        /// Name of the method.
        name: &'a str,
        /// The request id to answer with.
        rid: &'a str,
    },
    /// The answer to a renewal request.
    Credential {
        /// Status as in HTTP: 202 accepted, 200 issued, else refused.
        status: u16,
        /// The request id.
        rid: &'a str,
    },
}

impl<'a> HubDelivery<'a> {
    const TWIN_RESPONSE: &'static str = "$iothub/twin/res/";
    const TWIN_DESIRED: &'static str = "$iothub/twin/PATCH/properties/desired/";
    const METHOD_CALL: &'static str = "$iothub/methods/POST/";
    const CREDENTIAL: &'static str = "$iothub/credentials/res/";

    /// From a topic.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        let rid = |query: Query<'a>| query.get("$rid").ok_or(TopicError::RequestId);
        if let Some(rest) = topic.strip_prefix("devices/") {
            let (device_id, rest) = rest.split_once('/').ok_or(TopicError::Unknown)?;
            let properties = rest.strip_prefix("messages/devicebound").ok_or(TopicError::Unknown)?;
            Ok(Self::CloudToDevice { device_id, properties: properties.trim_start_matches('/') })
        } else if let Some(rest) = topic.strip_prefix(Self::TWIN_RESPONSE) {
            let (status, query) = status_and_query(rest)?;
            let version = query.get("$version").and_then(|v| v.parse().ok());
            Ok(Self::TwinResponse { status, rid: rid(query)?, version })
        } else if let Some(rest) = topic.strip_prefix(Self::TWIN_DESIRED) {
            let version = Query::new(rest).get("$version").and_then(|v| v.parse().ok()).unwrap_or_default();
            Ok(Self::TwinDesired { version })
        } else if let Some(rest) = topic.strip_prefix(Self::METHOD_CALL) {
            let (name, query) = rest.split_once('/').ok_or(TopicError::RequestId)?;
            Ok(Self::MethodCall { name, rid: rid(Query::new(query))? })
        } else if let Some(rest) = topic.strip_prefix(Self::CREDENTIAL) {
            let (status, query) = status_and_query(rest)?;
            Ok(Self::Credential { status, rid: rid(query)? })
        } else {
            Err(TopicError::Unknown)
        }
    }
}

/// Nothing follows `$rid` in an answer to a renewal: official SDKs take all that does for the id.
impl fmt::Display for HubDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloudToDevice { device_id, properties } => {
                write!(f, "devices/{device_id}/messages/devicebound/{properties}")
            }
            Self::TwinResponse { status, rid, version } => {
                write!(f, "{}{status}/?$rid={rid}", Self::TWIN_RESPONSE)?;
                version.map_or(Ok(()), |version| write!(f, "&$version={version}"))
            }
            Self::TwinDesired { version } => write!(f, "{}?$version={version}", Self::TWIN_DESIRED),
            Self::MethodCall { name, rid } => write!(f, "{}{name}/?$rid={rid}", Self::METHOD_CALL),
            Self::Credential { status, rid } => write!(f, "{}{status}/?$rid={rid}", Self::CREDENTIAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_round_trip() {
        for (topic, request) in [
            (
                "devices/dev1/messages/events/$.ct=application%2Fjson&$.ce=utf-8",
                HubRequest::Telemetry { device_id: "dev1", properties: "$.ct=application%2Fjson&$.ce=utf-8" },
            ),
            ("devices/dev1/messages/events/", HubRequest::Telemetry { device_id: "dev1", properties: "" }),
            ("$iothub/twin/GET/?$rid=1", HubRequest::TwinGet { rid: "1" }),
            ("$iothub/twin/PATCH/properties/reported/?$rid=10", HubRequest::TwinPatch { rid: "10" }),
            ("$iothub/methods/res/200/?$rid=7", HubRequest::MethodResult { status: 200, rid: "7" }),
            (
                "$iothub/credentials/POST/issueCertificate/?$rid=156089087",
                HubRequest::IssueCertificate { rid: Some("156089087") },
            ),
            ("$iothub/credentials/POST/issueCertificate/", HubRequest::IssueCertificate { rid: None }),
        ] {
            assert_eq!(HubRequest::parse(topic), Ok(request));
            assert_eq!(request.to_string(), topic);
        }
        let bare = HubRequest::parse("devices/dev1/messages/events");
        assert_eq!(bare, Ok(HubRequest::Telemetry { device_id: "dev1", properties: "" }));
        for unknown in ["devices/dev1/messages/eventually/", "devices/dev1/messages/eventsx", "devices/dev1"] {
            assert_eq!(HubRequest::parse(unknown), Err(TopicError::Unknown), "{unknown}");
        }
        assert_eq!(HubRequest::parse("$iothub/credential/POST/issueCertificate/"), Err(TopicError::Unknown));
    }

    #[test]
    fn deliveries_round_trip() {
        for (topic, delivery) in [
            (
                "devices/dev1/messages/devicebound/%24.to=x",
                HubDelivery::CloudToDevice { device_id: "dev1", properties: "%24.to=x" },
            ),
            (
                "$iothub/twin/res/204/?$rid=10&$version=2",
                HubDelivery::TwinResponse { status: 204, rid: "10", version: Some(2) },
            ),
            ("$iothub/twin/res/200/?$rid=1", HubDelivery::TwinResponse { status: 200, rid: "1", version: None }),
            ("$iothub/twin/PATCH/properties/desired/?$version=3", HubDelivery::TwinDesired { version: 3 }),
            ("$iothub/methods/POST/reboot/?$rid=5", HubDelivery::MethodCall { name: "reboot", rid: "5" }),
            ("$iothub/credentials/res/202/?$rid=a-1", HubDelivery::Credential { status: 202, rid: "a-1" }),
        ] {
            assert_eq!(HubDelivery::parse(topic), Ok(delivery));
            assert_eq!(delivery.to_string(), topic);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(tail in any::<String>()) {
            for prefix in ["", "devices/", "$iothub/twin/res/", "$iothub/methods/res/", "$iothub/credentials/res/"] {
                let _ = HubRequest::parse(&format!("{prefix}{tail}"));
                let _ = HubDelivery::parse(&format!("{prefix}{tail}"));
            }
        }
    }
}
