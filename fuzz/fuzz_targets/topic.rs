//! Topics and user names as a peer writes them; what is understood is written the same way.
#![no_main]

use fleetstorm::protocol::topic::{
    DpsRequest, DpsResponse, HubDelivery, HubRequest, UserName, filter_is_valid, filter_matches,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(request) = DpsRequest::parse(text) {
        assert_eq!(DpsRequest::parse(&request.to_string()), Ok(request));
    }
    if let Ok(response) = DpsResponse::parse(text) {
        assert_eq!(DpsResponse::parse(&response.to_string()), Ok(response));
    }
    if let Ok(request) = HubRequest::parse(text) {
        let _ = request.to_string();
    }
    if let Ok(delivery) = HubDelivery::parse(text) {
        let _ = delivery.to_string();
    }
    // The versions of clients are escaped when written and left as they are when read.
    match UserName::parse(text) {
        Ok(UserName::Dps(name)) if name.api_version.is_some() => {
            let written = name.to_string();
            let Ok(UserName::Dps(again)) = UserName::parse(&written) else { panic!("{written}") };
            assert_eq!((again.id_scope, again.registration_id), (name.id_scope, name.registration_id));
            assert_eq!(again.api_version, name.api_version);
        }
        Ok(UserName::Hub(name)) if name.api_version.is_some() => {
            let written = name.to_string();
            let Ok(UserName::Hub(again)) = UserName::parse(&written) else { panic!("{written}") };
            assert_eq!((again.host, again.device_id, again.api_version), (name.host, name.device_id, name.api_version));
        }
        Ok(_) | Err(_) => {}
    }
    let (filter, topic) = text.split_once('\n').unwrap_or((text, text));
    if filter_is_valid(filter) && !filter.contains(['+', '#']) && !topic.is_empty() {
        assert_eq!(filter_matches(filter, topic), filter == topic);
    } else {
        let _ = filter_matches(filter, topic);
    }
});
