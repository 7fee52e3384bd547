//! Several messages in one request. Source: IoT Hub REST API, "Send Device Event", and what the official SDKs send: an array
//! of `{"body":"BASE64","properties":{"NAME":"TEXT"}}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::properties;

/// A message with its properties as MQTT writes them into a topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) properties: String,
    pub(super) body: Bytes,
}

/// The body is no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A message as it is in the array.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    body: String,
    /// The C SDK sends texts as they are, and says so.
    base64_encoded: Option<bool>,
    /// With the names that headers have, or those of application properties alone.
    properties: Option<Map<String, Value>>,
}

/// Whether a request is a batch.
pub(super) fn is_announced(headers: &HeaderMap) -> bool {
    const BATCH: &str = "application/vnd.microsoft.iothub.json";
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(BATCH))
}

/// The messages of a batch; at least one.
pub(super) fn messages(body: &[u8]) -> Result<Vec<Message>, Malformed> {
    let items: Vec<Item> = serde_json::from_slice(body).map_err(|_| Malformed)?;
    if items.is_empty() {
        return Err(Malformed);
    }
    items.into_iter().map(message).collect()
}

fn message(item: Item) -> Result<Message, Malformed> {
    let Item { body, base64_encoded, properties } = item;
    let body = match base64_encoded {
        None | Some(true) => STANDARD.decode(body).map_err(|_| Malformed)?.into(),
        Some(false) => body.into(),
    };
    let properties = properties.unwrap_or_default().into_iter().map(|(name, value)| match value {
        Value::String(value) => Ok(properties::pair(&name, &value)),
        _ => Err(Malformed),
    });
    Ok(Message { properties: properties.collect::<Result<Vec<_>, _>>()?.join("&"), body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Vec<(String, String)>, Malformed> {
        let text = |message: Message| (message.properties, String::from_utf8_lossy(&message.body).into_owned());
        messages(body.as_bytes()).map(|messages| messages.into_iter().map(text).collect())
    }

    #[test]
    fn batches_of_the_official_sdks_are_read() {
        let body = r#"[{"body":"e30=","properties":{"zone":"a b","iothub-app-Line":"4","IoTHub-MessageId":"m-1"}},
            {"body":"IQ==","base64Encoded":true,"properties":null,"more":1},
            {"body":"plain é","base64Encoded":false,"properties":{}}]"#;
        let read = read(body).unwrap();
        let read: Vec<_> = read.iter().map(|(properties, body)| (properties.as_str(), body.as_str())).collect();
        assert_eq!(read, [("zone=a%20b&Line=4&%24.mid=m-1", "{}"), ("", "!"), ("", "plain é")]);
    }

    #[test]
    fn other_bodies_are_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"body":"e30="}"#,
            r#"[{"properties":{}}]"#,
            r#"[{"body":"no base64"}]"#,
            r#"[{"body":1}]"#,
            r#"[{"body":"e30=","properties":{"n":1}}]"#,
            r#"[{"body":"e30=","properties":[]}]"#,
            r#"[{"body":"e30="},null]"#,
            r#"[{"body":"e30="}"#,
        ] {
            assert_eq!(read(body), Err(Malformed), "{body}");
        }
    }

    #[test]
    fn the_media_type_announces_one() {
        let is_announced =
            |value: &'static str| is_announced(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]));
        assert!(is_announced("application/vnd.microsoft.iothub.json"));
        assert!(is_announced("Application/vnd.Microsoft.IotHub.json ; charset=utf-8"));
        assert!(!is_announced("application/json") && !super::is_announced(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in any::<Vec<u8>>()) {
            let _ = messages(&body);
        }
    }
}
