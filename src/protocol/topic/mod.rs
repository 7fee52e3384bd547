//! Topics and MQTT user names of DPS, IoT Hub and certificate renewal: strict when written, tolerant when read, on both
//! sides. Source: Microsoft Learn, "Communicate with DPS using the MQTT protocol" and "Communicate with IoT Hub using
//! the MQTT protocol"; where they are silent, what the official SDKs send and accept.

mod dps;
mod filter;
mod hub;
mod query;
mod user_name;

pub use dps::{DpsRequest, DpsResponse};
pub use filter::{filter_is_valid, filter_matches};
pub use hub::{HubDelivery, HubRequest};
pub use query::Query;
pub use user_name::{DpsUserName, HubUserName, UserName};

/// Filter of all answers of DPS.
pub const DPS_RESPONSES: &str = "$dps/registrations/res/#";
/// Filter of all answers to renewal requests.
pub const CREDENTIAL_RESPONSES: &str = "$iothub/credentials/res/#";
/// Filter of all answers to twin requests.
pub const TWIN_RESPONSES: &str = "$iothub/twin/res/#";
/// Filter of changes of desired properties.
pub const TWIN_DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
/// Filter of direct method calls.
pub const METHOD_CALLS: &str = "$iothub/methods/POST/#";

/// Filter of a device's cloud-to-device messages.
pub fn cloud_to_device_filter(device_id: &str) -> String {
    format!("devices/{device_id}/messages/devicebound/#")
}

/// Why a topic or user name is not one of the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// None of the topics that the service knows.
    #[error("unknown topic")]
    Unknown,
    /// The part that should be a status is not a number of three digits.
    #[error("the topic has no status of three digits")]
    Status,
    /// No `$rid`.
    #[error("the topic has no $rid")]
    RequestId,
    /// No `operationId` in a status request.
    #[error("the topic has no operationId")]
    OperationId,
    /// Not `{scope}/registrations/{id}/…` and not `{host}/{device}/…`.
    #[error("the user name is neither {{scope}}/registrations/{{id}}/… nor {{host}}/{{device}}/…")]
    UserName,
}

/// Splits `200/?$rid=1` into status and parameters.
fn status_and_query(rest: &str) -> Result<(u16, Query<'_>), TopicError> {
    let (status, query) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let valid = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()) && !status.starts_with('0');
    let status = status.parse().ok().filter(|_| valid).ok_or(TopicError::Status)?;
    Ok((status, Query::new(query)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_cloud_have_a_filter_of_their_device() {
        let filter = cloud_to_device_filter("dev1");
        assert_eq!(filter, "devices/dev1/messages/devicebound/#");
        assert!(filter_matches(&filter, "devices/dev1/messages/devicebound/%24.mid=1"));
        assert!(!filter_matches(&filter, "devices/dev2/messages/devicebound/"));
    }
}
