//! How large things may be. Source: Microsoft Learn, "IoT Hub quotas and throttling" and "Understand and invoke direct
//! methods from IoT Hub"; twins have theirs in [`registry`](crate::emulator::registry).

use crate::domain::percent_decode;
use crate::protocol::topic::Query;

/// Largest device-to-cloud message in bytes, as [`message_size`] counts; the largest batch of them over HTTPS, too.
pub(crate) const MAX_TELEMETRY: usize = 256 * 1024;
/// Largest cloud-to-device message in bytes, as [`message_size`] counts.
pub(crate) const MAX_CLOUD_TO_DEVICE: usize = 64 * 1024;
/// Largest payload of a direct method in bytes, there and back.
pub(crate) const MAX_METHOD_PAYLOAD: usize = 128 * 1024;

/// The size of a message in bytes, as the service counts whatever carries it: its body, the values of its system properties,
/// and names and values of its application properties. `properties` are those of its topic, percent-encoded. Source:
/// Microsoft Learn, "Create and read IoT Hub messages", message size.
pub(crate) fn message_size(properties: &str, body: &[u8]) -> usize {
    let decoded = |text: &str| percent_decode(text).map_or(text.len(), |text| text.len());
    let pairs = Query::new(properties).pairs().map(|(name, value)| {
        let is_system = percent_decode(name).is_some_and(|name| name.starts_with("$.") || name.starts_with("iothub-"));
        decoded(value) + if is_system { 0 } else { decoded(name) }
    });
    body.len() + pairs.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_system_properties_and_encoding_do_not_count() {
        assert_eq!(message_size("", b"1234"), 4);
        assert_eq!(message_size("$.ct=application%2Fjson&%24.ce=utf-8&iothub-ack=full", b""), 16 + 5 + 4);
        assert_eq!(message_size("room=a%20b&flag&&broken%=%", b"1"), 1 + 4 + 3 + 4 + 7 + 1);
    }
}
