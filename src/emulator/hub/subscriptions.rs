use crate::emulator::core::Core;
use crate::emulator::registry::Device;
use crate::protocol::mqtt::{Subscribe, SubscribeReasonCode};
use crate::protocol::topic::{CREDENTIAL_RESPONSES, METHOD_CALLS, TWIN_DESIRED, TWIN_RESPONSES, filter_is_valid};

/// Grants a SUBSCRIBE, filter by filter; `None` when it asks for a topic that the hub does not have.
/// Renewal is only there for devices that know it.
pub(super) fn subscribe(
    core: &Core,
    device: &Device,
    subscribe: Subscribe,
    renews: bool,
) -> Option<Vec<SubscribeReasonCode>> {
    if !subscribe.filters.iter().all(|filter| is_hub_filter(&filter.path, &device.id, renews)) {
        return None;
    }
    let max = core.config.hub.max_subscriptions;
    let filters = subscribe.filters.into_iter();
    Some(device.with(|state| filters.map(|filter| state.subscriptions.grant(filter, max)).collect()))
}

/// Whether a filter is one that the hub serves: the documented ones, or what they contain. One official SDK asks for
/// `devices/+/messages/devicebound/#`.
fn is_hub_filter(filter: &str, device_id: &str, renews: bool) -> bool {
    if !filter_is_valid(filter) {
        return false;
    }
    let served = [METHOD_CALLS, TWIN_DESIRED, TWIN_RESPONSES];
    let served = served.iter().chain(renews.then_some(&CREDENTIAL_RESPONSES));
    if served.into_iter().any(|whole| filter.starts_with(whole.trim_end_matches('#'))) {
        return true;
    }
    let mut levels = filter.split('/');
    levels.next() == Some("devices")
        && levels.next().is_some_and(|id| id == device_id || id == "+")
        && levels.next() == Some("messages")
        && levels.next() == Some("devicebound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_the_hub_are_told_from_others() {
        for good in [
            "devices/d/messages/devicebound/#",
            "devices/+/messages/devicebound/#",
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
            "$iothub/credentials/res/#",
        ] {
            assert!(is_hub_filter(good, "d", true), "{good}");
        }
        for bad in [
            "#",
            "devices/e/messages/devicebound/#",
            "devices/d/files/devicebound/#",
            "devices/d/messages/events/#",
            "modules/d/messages/devicebound/#",
            "$iothub/twin/res/#/x",
            "$dps/registrations/res/#",
            "",
        ] {
            assert!(!is_hub_filter(bad, "d", true), "{bad}");
        }
        assert!(!is_hub_filter("$iothub/credentials/res/#", "d", false));
    }
}
