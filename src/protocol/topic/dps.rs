use std::fmt;

use super::{Query, TopicError, status_and_query};
use crate::protocol::retry_after;

/// A device's request to DPS. Request ids are opaque and kept as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DpsRequest<'a> {
    /// Register; the body is a [`RegistrationRequest`](crate::protocol::payload::RegistrationRequest).
    Register {
        /// The request id.
        rid: &'a str,
    },
    /// Ask for the state of an operation; any body is to be ignored.
    OperationStatus {
        /// The request id.
        rid: &'a str,
        /// The operation.
        operation_id: &'a str,
    },
}

impl<'a> DpsRequest<'a> {
    const REGISTER: &'static str = "$dps/registrations/PUT/iotdps-register";
    const OPERATION_STATUS: &'static str = "$dps/registrations/GET/iotdps-get-operationstatus";

    /// From a topic.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        if let Some(query) = after(topic, Self::REGISTER) {
            Ok(Self::Register { rid: query.get("$rid").ok_or(TopicError::RequestId)? })
        } else if let Some(query) = after(topic, Self::OPERATION_STATUS) {
            Ok(Self::OperationStatus {
                rid: query.get("$rid").ok_or(TopicError::RequestId)?,
                operation_id: query.get("operationId").ok_or(TopicError::OperationId)?,
            })
        } else {
            Err(TopicError::Unknown)
        }
    }

    /// The request id.
    pub const fn rid(&self) -> &'a str {
        match self {
            Self::Register { rid } | Self::OperationStatus { rid, .. } => rid,
        }
    }
}

impl fmt::Display for DpsRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register { rid } => write!(f, "{}/?$rid={rid}", Self::REGISTER),
            Self::OperationStatus { rid, operation_id } => {
                write!(f, "{}/?$rid={rid}&operationId={operation_id}", Self::OPERATION_STATUS)
            }
        }
    }
}

/// The topic of an answer of DPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DpsResponse<'a> {
    /// Status as in HTTP.
    pub status: u16,
    /// The request id, as it was sent.
    pub rid: &'a str,
    /// Seconds to wait, when the service names them.
    pub retry_after: Option<u32>,
}

impl<'a> DpsResponse<'a> {
    const PREFIX: &'static str = "$dps/registrations/res/";

    /// From a topic; the parameters may come in any order. A `retry-after` that is not a number counts as none; how others are
    /// read says [`retry_after`].
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        let (status, query) = status_and_query(topic.strip_prefix(Self::PREFIX).ok_or(TopicError::Unknown)?)?;
        Ok(Self {
            status,
            rid: query.get("$rid").ok_or(TopicError::RequestId)?,
            retry_after: query.get("retry-after").and_then(retry_after::from_text),
        })
    }
}

/// `$rid` comes first and the name of the wait in lower case, because official SDKs find them only so.
impl fmt::Display for DpsResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/?$rid={}", Self::PREFIX, self.status, self.rid)?;
        self.retry_after.map_or(Ok(()), |seconds| write!(f, "&retry-after={seconds}"))
    }
}

/// The parameters behind `path`, if the topic begins with it as whole levels.
fn after<'a>(topic: &'a str, path: &str) -> Option<Query<'a>> {
    let rest = topic.strip_prefix(path)?;
    rest.starts_with(['/', '?']).then(|| Query::new(rest)).or_else(|| rest.is_empty().then(|| Query::new("")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_read_as_clients_send_them() {
        let register = DpsRequest::Register { rid: "1" };
        assert_eq!(DpsRequest::parse("$dps/registrations/PUT/iotdps-register/?$rid=1"), Ok(register));
        assert_eq!(register.to_string(), "$dps/registrations/PUT/iotdps-register/?$rid=1");
        let status = DpsRequest::OperationStatus { rid: "2", operation_id: "5.a.b-c" };
        let topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=5.a.b-c";
        assert_eq!(DpsRequest::parse(topic), Ok(status));
        assert_eq!(status.to_string(), topic);
        assert_eq!((register.rid(), status.rid()), ("1", "2"));
        let turned = "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=5.a.b-c&$rid=2";
        assert_eq!(DpsRequest::parse(turned), Ok(status));
    }

    #[test]
    fn other_topics_are_told_apart() {
        for (topic, error) in [
            ("$dps/registrations/PUT/iotdps-register", TopicError::RequestId),
            ("$dps/registrations/PUT/iotdps-register/", TopicError::RequestId),
            ("$dps/registrations/PUT/iotdps-registered/?$rid=1", TopicError::Unknown),
            ("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2", TopicError::OperationId),
            ("devices/d/messages/events/", TopicError::Unknown),
        ] {
            assert_eq!(DpsRequest::parse(topic), Err(error), "{topic}");
        }
    }

    #[test]
    fn answers_are_read_tolerantly_and_written_strictly() {
        let answer = DpsResponse { status: 202, rid: "a-b", retry_after: Some(3) };
        assert_eq!(answer.to_string(), "$dps/registrations/res/202/?$rid=a-b&retry-after=3");
        for topic in [
            "$dps/registrations/res/202/?$rid=a-b&retry-after=3",
            "$dps/registrations/res/202/?retry-after=3&$rid=a-b",
            "$dps/registrations/res/202/?$rid=a-b&Retry-After=3&more=1",
        ] {
            assert_eq!(DpsResponse::parse(topic), Ok(answer), "{topic}");
        }
        for (text, seconds) in [("3.0", 3), ("2.5", 3), ("-1", 0), ("99999999999", retry_after::LONGEST)] {
            let topic = format!("$dps/registrations/res/202/?$rid=a-b&retry-after={text}");
            assert_eq!(DpsResponse::parse(&topic), Ok(DpsResponse { retry_after: Some(seconds), ..answer }), "{topic}");
        }
        let soon = DpsResponse::parse("$dps/registrations/res/200/?$rid=1&retry-after=soon");
        assert_eq!(soon, Ok(DpsResponse { status: 200, rid: "1", retry_after: None }));
        assert_eq!(DpsResponse::parse("$dps/registrations/res/2000/?$rid=1"), Err(TopicError::Status));
        assert_eq!(DpsResponse::parse("$dps/registrations/res/ok/?$rid=1"), Err(TopicError::Status));
        assert_eq!(DpsResponse::parse("$dps/registrations/res/200/"), Err(TopicError::RequestId));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(tail in any::<String>()) {
            for prefix in ["", DpsRequest::REGISTER, DpsRequest::OPERATION_STATUS, DpsResponse::PREFIX] {
                let _ = DpsRequest::parse(&format!("{prefix}{tail}"));
                let _ = DpsResponse::parse(&format!("{prefix}{tail}"));
            }
        }
    }
}
