use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;

use super::{HubError, find};
use crate::domain::{FleetTime, percent_encode};
use crate::emulator::hub::limits::{MAX_CLOUD_TO_DEVICE, message_size};
use crate::emulator::registry::Letter;
use crate::emulator::service::Service;
use crate::protocol::topic::HubDelivery;

/// A cloud-to-device message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudToDevice {
    /// Body.
    pub payload: Bytes,
    /// Names it.
    pub message_id: Option<String>,
    /// Names what it belongs to.
    pub correlation_id: Option<String>,
    /// Who sends it.
    pub user_id: Option<String>,
    /// Such as `application/json`.
    pub content_type: Option<String>,
    /// Such as `utf-8`.
    pub content_encoding: Option<String>,
    /// `none`, `positive`, `negative` or `full`; the device sees it, no feedback is made of it.
    pub ack: Option<String>,
    /// Dropped from then on; in an hour when absent.
    pub expires: Option<SystemTime>,
    /// Application properties, in the order in which the device gets them; one without a value has only its name.
    pub properties: Vec<(String, Option<String>)>,
}

/// Longest topic that MQTT can carry, in bytes.
const MAX_TOPIC: usize = u16::MAX as usize;
/// How long a message waits unless it says otherwise. Source: as of [`CloudToDevice`], `defaultTtlAsIso8601`.
const TIME_TO_LIVE: FleetTime = FleetTime::from_secs(3600);

impl Service {
    /// Sends a message to a device: now if it is connected and subscribed, else when it is.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`]; [`HubError::QueueFull`] when 50 messages wait already; [`HubError::TooLarge`].
    pub fn send_cloud_to_device(&self, id: &str, message: &CloudToDevice) -> Result<(), HubError> {
        let core = self.core();
        let device = find(core, id)?;
        let properties = property_bag(&device.id, message);
        let size = message_size(&properties, &message.payload);
        if size > MAX_CLOUD_TO_DEVICE {
            return Err(HubError::TooLarge { what: "a message", size, limit: MAX_CLOUD_TO_DEVICE });
        }
        let topic = HubDelivery::CloudToDevice { device_id: &device.id, properties: &properties }.to_string();
        if topic.len() > MAX_TOPIC {
            return Err(HubError::TooLarge { what: "a topic", size: topic.len(), limit: MAX_TOPIC });
        }
        let now = core.clock.now();
        let expires = message.expires.unwrap_or(TIME_TO_LIVE.after(now));
        let letter = Letter::new(topic.into(), message.payload.clone(), expires);
        Ok(device.with_session(|state| state.inbox.push(letter, now))?)
    }
}

/// System properties by their short names, then application properties, all percent-encoded. The order is that of a
/// message which the live service delivered.
fn property_bag(device_id: &str, message: &CloudToDevice) -> String {
    let to = format!("/devices/{device_id}/messages/deviceBound");
    let expires = message.expires.and_then(|at| Timestamp::try_from(at).ok()).map(|at| at.to_string());
    let system = [
        ("$.mid", message.message_id.as_deref()),
        ("$.to", Some(to.as_str())),
        ("$.cid", message.correlation_id.as_deref()),
        ("$.uid", message.user_id.as_deref()),
        ("$.exp", expires.as_deref()),
        ("$.ct", message.content_type.as_deref()),
        ("$.ce", message.content_encoding.as_deref()),
        ("iothub-ack", message.ack.as_deref()),
    ];
    let system = system.into_iter().filter(|(_, value)| value.is_some());
    let application = message.properties.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    let pairs = system.chain(application).map(|(name, value)| match value {
        Some(value) => format!("{}={}", percent_encode(name), percent_encode(value)),
        None => percent_encode(name),
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_written_as_the_live_service_writes_them() {
        let message = CloudToDevice {
            message_id: Some("f618dedc".to_owned()),
            properties: vec![("key1".to_owned(), Some("a b".to_owned())), ("é&".to_owned(), None)],
            ..CloudToDevice::default()
        };
        assert_eq!(
            property_bag("dev1", &message),
            "%24.mid=f618dedc&%24.to=%2Fdevices%2Fdev1%2Fmessages%2FdeviceBound&key1=a%20b&%C3%A9%26"
        );
        let message = CloudToDevice {
            correlation_id: Some(String::new()),
            content_type: Some("text/plain; charset=UTF-8".to_owned()),
            content_encoding: Some("utf-8".to_owned()),
            ack: Some("full".to_owned()),
            expires: Some(SystemTime::UNIX_EPOCH),
            ..CloudToDevice::default()
        };
        assert_eq!(
            property_bag("d", &message),
            "%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&%24.cid=&%24.exp=1970-01-01T00%3A00%3A00Z&\
             %24.ct=text%2Fplain%3B%20charset%3DUTF-8&%24.ce=utf-8&iothub-ack=full"
        );
    }
}
