//! Topics, filters and user names of devices and services.
#![no_main]

use fleetstorm::protocol::topic::{
    DpsRequest, DpsResponse, HubDelivery, HubRequest, UserName, filter_is_valid, filter_matches,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = DpsRequest::parse(text);
    let _ = DpsResponse::parse(text);
    let _ = HubRequest::parse(text);
    let _ = HubDelivery::parse(text);
    let _ = UserName::parse(text);
    let (filter, topic) = text.split_once('\n').unwrap_or((text, text));
    if filter_is_valid(filter) {
        let _ = filter_matches(filter, topic);
    }
});
