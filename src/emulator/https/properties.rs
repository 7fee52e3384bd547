//! Properties of messages: headers in HTTP, a bag of pairs at the end of a topic in MQTT. Source: IoT Hub REST API,
//! "Send Device Event", "Receive Device Bound Notification".

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::domain::{percent_decode, percent_encode};

/// System properties: their header and their name in a topic.
const SYSTEM: [(&str, &str); 8] = [
    ("iothub-messageid", "$.mid"),
    ("iothub-correlationid", "$.cid"),
    ("iothub-userid", "$.uid"),
    ("iothub-to", "$.to"),
    ("iothub-expiry", "$.exp"),
    ("iothub-contenttype", "$.ct"),
    ("iothub-contentencoding", "$.ce"),
    ("iothub-ack", "iothub-ack"),
];
/// Before the names of application properties.
const APPLICATION: &str = "iothub-app-";

/// The properties of a message to the hub, as MQTT writes them into a topic.
pub(super) fn to_topic(headers: &HeaderMap) -> String {
    let pairs = headers.iter().filter_map(|(header, value)| {
        let value = value.to_str().ok()?;
        name(header.as_str()).map(|name| encoded(name, value))
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A property of a message in a batch: its name is that of a header, or of an application property alone.
pub(super) fn pair(property: &str, value: &str) -> String {
    encoded(name(property).unwrap_or(property), value)
}

/// What a topic calls the property of a header; headers have no case.
fn name(header: &str) -> Option<&str> {
    let system = SYSTEM.iter().find(|(name, _)| name.eq_ignore_ascii_case(header)).map(|(_, short)| *short);
    let application = || {
        let (prefix, name) = header.split_at_checked(APPLICATION.len())?;
        prefix.eq_ignore_ascii_case(APPLICATION).then_some(name)
    };
    system.or_else(application)
}

fn encoded(name: &str, value: &str) -> String {
    format!("{}={}", percent_encode(name), percent_encode(value))
}

/// The headers of a message from the hub, whose topic ends with `bag`. What no header can hold stays percent-encoded.
pub(super) fn to_headers(bag: &str, headers: &mut HeaderMap) {
    for pair in bag.split('&').filter(|pair| !pair.is_empty()) {
        let (name, encoded) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = percent_decode(name) else { continue };
        let system = SYSTEM.iter().find(|(_, short)| *short == name).map(|(header, _)| (*header).to_owned());
        let header = system.unwrap_or_else(|| format!("{APPLICATION}{name}"));
        let plain = percent_decode(encoded).and_then(|value| HeaderValue::try_from(value).ok());
        let value = plain.map_or_else(|| HeaderValue::try_from(encoded), Ok);
        if let (Ok(header), Ok(value)) = (HeaderName::try_from(header), value) {
            headers.append(header, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_topics_say_the_same() {
        let mut headers = HeaderMap::new();
        to_headers("%24.mid=m-1&%24.to=%2Fdevices%2Fd&iothub-ack=full&colour=deep%20red&flag", &mut headers);
        assert_eq!(headers["iothub-messageid"], "m-1");
        assert_eq!(headers["iothub-to"], "/devices/d");
        assert_eq!(
            (&headers["iothub-ack"], &headers["iothub-app-colour"]),
            (&"full".parse().unwrap(), &"deep red".parse().unwrap())
        );
        assert_eq!(headers["iothub-app-flag"], "");
        headers.insert("host", HeaderValue::from_static("h"));
        let topic = to_topic(&headers);
        assert!(
            topic.contains("%24.mid=m-1") && topic.contains("colour=deep%20red") && !topic.contains("host"),
            "{topic}"
        );
    }

    #[test]
    fn what_no_header_can_hold_is_encoded_or_left_out() {
        let mut headers = HeaderMap::new();
        to_headers("name=a%0Ab&bad%20name=1&broken%=1", &mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["iothub-app-name"], "a%0Ab");
    }
}
