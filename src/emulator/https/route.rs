use hyper::Uri;

use crate::domain::percent_decode;

/// What a device's request is about. Fixed words in paths have no case and a slash at the end changes nothing, as at the
/// services; ids are kept as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Something of DPS.
    Dps {
        /// The id scope.
        scope: String,
        /// The registration id.
        id: String,
        /// What of the registration.
        of: DpsRoute,
    },
    /// Something of the hub.
    Hub {
        /// The device id.
        device: String,
        /// What of the device.
        of: HubRoute,
    },
}

/// Resources of DPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DpsRoute {
    /// `register`.
    Register,
    /// `operations/{operationId}`.
    Operation(String),
    /// The registration itself.
    Lookup,
}

/// Resources of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HubRoute {
    /// `messages/events`.
    Telemetry,
    /// `messages/devicebound`.
    Messages,
    /// `messages/devicebound/{lock}`.
    Message(String),
    /// `messages/devicebound/{lock}/abandon`.
    Abandon(String),
}

impl Route {
    /// From the path; `None` when there is no such resource or an escape is broken.
    pub(super) fn parse(uri: &Uri) -> Option<Self> {
        let path = uri.path().strip_prefix('/')?;
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        let is = |at: usize, word: &str| segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
        let text = |at: usize| segments.get(at).and_then(|segment| percent_decode(segment)).filter(|t| !t.is_empty());
        let dps = |of| Some(Self::Dps { scope: text(0)?, id: text(2)?, of });
        let hub = |of| Some(Self::Hub { device: text(1)?, of });
        match segments.len() {
            3 if is(1, "registrations") => dps(DpsRoute::Lookup),
            4 if is(1, "registrations") && is(3, "register") => dps(DpsRoute::Register),
            5 if is(1, "registrations") && is(3, "operations") => dps(DpsRoute::Operation(text(4)?)),
            4 if is(0, "devices") && is(2, "messages") && is(3, "events") => hub(HubRoute::Telemetry),
            4..=6 if is(0, "devices") && is(2, "messages") && is(3, "devicebound") => match segments.len() {
                4 => hub(HubRoute::Messages),
                5 => hub(HubRoute::Message(text(4)?)),
                _ if is(5, "abandon") => hub(HubRoute::Abandon(text(4)?)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The value of `api-version` in the query; names have no case.
pub(super) fn api_version(uri: &Uri) -> Option<&str> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("api-version")).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<Route> {
        Route::parse(&path.parse().unwrap())
    }

    fn dps(of: DpsRoute) -> Option<Route> {
        Some(Route::Dps { scope: "0ne1".to_owned(), id: "dev:1".to_owned(), of })
    }

    fn hub(of: HubRoute) -> Option<Route> {
        Some(Route::Hub { device: "d 1".to_owned(), of })
    }

    #[test]
    fn paths_of_real_clients_are_known() {
        assert_eq!(parse("/0ne1/registrations/dev%3A1/register?api-version=2019-03-31"), dps(DpsRoute::Register));
        assert_eq!(parse("/0ne1/Registrations/dev:1/Register"), dps(DpsRoute::Register));
        assert_eq!(parse("/0ne1/registrations/dev:1/operations/5.a.b"), dps(DpsRoute::Operation("5.a.b".to_owned())));
        assert_eq!(parse("/0ne1/registrations/dev:1"), dps(DpsRoute::Lookup));
        assert_eq!(parse("/devices/d%201/messages/events?api-version=2021-04-12"), hub(HubRoute::Telemetry));
        assert_eq!(parse("/devices/d%201/messages/deviceBound"), hub(HubRoute::Messages));
        assert_eq!(parse("/devices/d%201/messages/events/?api-version=2021-04-12"), hub(HubRoute::Telemetry));
        assert_eq!(parse("/0ne1/registrations/dev:1/register/"), dps(DpsRoute::Register));
        assert_eq!(parse("/devices/d%201/messages/devicebound/l?reject"), hub(HubRoute::Message("l".to_owned())));
        assert_eq!(parse("/devices/d%201/messages/devicebound/l/abandon"), hub(HubRoute::Abandon("l".to_owned())));
    }

    #[test]
    fn other_paths_are_not() {
        for path in [
            "/",
            "/0ne1",
            "/0ne1/registrations/",
            "/0ne1/registrations/%ff",
            "//registrations/d/register",
            "/0ne1/registrations/d/register//",
            "/0ne1/registrations/d/operations/",
            "/devices/d/messages",
            "/devices//messages/events",
            "/devices/d/files",
            "/devices/d/messages/devicebound//",
            "/devices/d/messages/devicebound/l/complete",
            "/devices/d/messages/devicebound/l/abandon/x",
            "/0ne1/registrations/d/deregister",
            "/0ne1/enrollments/d/register",
            "/0ne1/registrations/d/results/5.a.b",
            "/0ne1/enrollments/d/operations/5.a.b",
            "/devices/d/messages/operations",
            "/devices/d/files/events",
            "/modules/d/messages/events",
            "/devices/d/files/devicebound",
            "/modules/d/messages/devicebound",
            "/devices/d/messages/operations/l",
            "/devices/d/files/devicebound/l",
            "/modules/d/messages/devicebound/l",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn the_api_version_is_found_anywhere_in_the_query() {
        let version = |uri: &str| api_version(&uri.parse().unwrap()).map(str::to_owned);
        assert_eq!(version("/?a=b&API-version=2021-04-12&c").as_deref(), Some("2021-04-12"));
        assert_eq!((version("/?api-version"), version("/")), (None, None));
    }
}
