use serde::Serialize;

use crate::domain::FleetTime;
use crate::settings::declare::settings;
use crate::settings::expect::{Expect, boolean, choice, list, number, whole};

settings! {
    /// What goes wrong on purpose (`[faults]`). By default nothing does. All times count from the start of the emulator, from
    /// the beginning of the measured part, or from the moment at which the control plane changes the plan, in fleet time;
    /// `delay_ms` is real time.
    #[derive(PartialEq, Serialize)]
    pub struct Faults {
        /// A message at QoS 1 is lost: the connection ends before PUBACK, nothing is done.
        pub drop_before_puback: Chance = table;
        /// A message at QoS 1 arrives, but its answer is lost: the connection ends after PUBACK.
        pub drop_after_puback: Chance = table;
        /// The result of a registration or renewal (status 200) comes late.
        pub delayed_result: Delay = table;
        /// Registrations, polls and renewals are answered with a server error.
        pub server_error: ServerError = table;
        /// The authority signs nothing for a while.
        pub ca_outage: Outage = table;
        /// The hub ends all its connections.
        pub hub_disconnect: Disconnect = table;
        /// The hub ends all its connections and takes no new ones for a while.
        pub hub_outage: HubOutage = table;
        /// Nobody gets an answer for a while.
        pub pause: Pause = table;
        /// The credential policy that `adr.policy` names gets a new issuing CA.
        pub policy_revoked: Revocation = table;
        /// The server lets clients wait before it begins the TLS handshake.
        pub slow_handshake: Delay = table;
    }
}

settings! {
    /// A fault that happens now and then.
    #[derive(PartialEq, Serialize)]
    pub struct Chance {
        /// From 0 (never) to 1 (always).
        pub probability: f64 = value(0.0, probability());
        /// Not before so many seconds.
        pub from_seconds: f64 = value(0.0, seconds());
        /// For so many seconds; for ever when absent.
        pub for_seconds: Option<f64> = optional(seconds());
    }
}

settings! {
    /// Something that takes longer now and then.
    #[derive(PartialEq, Serialize)]
    pub struct Delay {
        /// From 0 (never) to 1 (always).
        pub probability: f64 = value(0.0, probability());
        /// How much longer, in milliseconds.
        pub delay_ms: u64 = value(5000, whole(0..=3_600_000));
        /// Not before so many seconds.
        pub from_seconds: f64 = value(0.0, seconds());
        /// For so many seconds; for ever when absent.
        pub for_seconds: Option<f64> = optional(seconds());
    }
}

settings! {
    /// A server error now and then.
    #[derive(PartialEq, Serialize)]
    pub struct ServerError {
        /// From 0 (never) to 1 (always).
        pub probability: f64 = value(0.0, probability());
        /// 500 to 599.
        pub status: u16 = value(500, whole(500..=599));
        /// Not before so many seconds.
        pub from_seconds: f64 = value(0.0, seconds());
        /// For so many seconds; for ever when absent.
        pub for_seconds: Option<f64> = optional(seconds());
    }
}

settings! {
    /// A time without authority.
    #[derive(PartialEq, Serialize)]
    pub struct Outage {
        /// It begins after so many seconds.
        pub from_seconds: f64 = value(0.0, seconds());
        /// It lasts so many seconds; 0 is no outage.
        pub for_seconds: f64 = value(0.0, seconds());
        /// What becomes of requests for certificates meanwhile.
        pub effect: OutageEffect = value(OutageEffect::default(), choice(&OutageEffect::NAMED));
    }
}

settings! {
    /// What becomes of requests for certificates while the authority signs nothing.
    pub enum OutageEffect {
        /// They wait until the authority is back.
        Wait = "wait",
        /// They fail with a server error.
        Fail = "fail",
    }
}

settings! {
    /// A time without hub.
    #[derive(PartialEq, Serialize)]
    pub struct HubOutage {
        /// It begins after so many seconds.
        pub from_seconds: f64 = value(0.0, seconds());
        /// It lasts so many seconds; 0 is no outage.
        pub for_seconds: f64 = value(0.0, seconds());
        /// What becomes of those who connect meanwhile.
        pub effect: HubOutageEffect = value(HubOutageEffect::default(), choice(&HubOutageEffect::NAMED));
    }
}

settings! {
    /// What becomes of those who connect with the hub while it is away.
    pub enum HubOutageEffect {
        /// CONNECT is answered with CONNACK 3 (HTTPS: 503).
        Refuse = "refuse",
        /// The connection is closed without a word.
        Drop = "drop",
    }
}

settings! {
    /// A time in which nothing is answered, and after which everything goes on.
    #[derive(PartialEq, Serialize)]
    pub struct Pause {
        /// It begins after so many seconds.
        pub from_seconds: f64 = value(0.0, seconds());
        /// It lasts so many seconds; 0 is no pause.
        pub for_seconds: f64 = value(0.0, seconds());
    }
}

settings! {
    /// Moments at which the issuing CA is replaced: the hub refuses the certificates of the old one at once.
    #[derive(PartialEq, Serialize)]
    pub struct Revocation {
        /// After so many seconds, in ascending order.
        pub at_seconds: Vec<f64> = value(Vec::new(), moments());
        /// Whether sessions end that were opened with a certificate of the old one.
        pub end_sessions: bool = value(true, boolean());
        /// The hub learns of the new one so many seconds later, unless `hub.synced` says that it learns nothing by itself.
        pub sync_after_seconds: f64 = value(0.0, seconds());
    }
}

settings! {
    /// Moments at which the hub ends all its connections.
    #[derive(PartialEq, Serialize)]
    pub struct Disconnect {
        /// After so many seconds, in ascending order.
        pub at_seconds: Vec<f64> = value(Vec::new(), moments());
    }
}

impl Faults {
    /// Whether nothing ever goes wrong.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn probability() -> Expect<f64> {
    number(0.0..=1.0)
}

/// No more than a year.
fn seconds() -> Expect<f64> {
    number(0.0..=31_536_000.0)
}

fn moments() -> Expect<Vec<f64>> {
    let valid = "a list of at most 1,000 moments from 0 to 31536000, in ascending order";
    list(valid, 1000, seconds()).then(|moments| match moments.is_sorted() {
        true => Ok(moments),
        false => Err("it is not in ascending order".to_owned()),
    })
}

/// Seconds that were checked.
pub(crate) fn fleet_time(seconds: f64) -> FleetTime {
    FleetTime::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::emulator::Config;

    /// What is told of a value of a fault.
    fn wrong(text: &str) -> Option<String> {
        let problems = Config::read("x", &format!("[faults]\n{text}")).err()?;
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Some(told.join("\n"))
    }

    #[test]
    fn every_value_of_a_fault_has_its_bounds() {
        let windows = ["from_seconds", "for_seconds"].map(|key| (key, ["0", "31536000"], ["-1", "31536000.5", "nan"]));
        let probability = ("probability", ["0", "1"], ["-0.1", "1.1", "nan"]);
        let often = ["drop_before_puback", "drop_after_puback", "delayed_result", "server_error", "slow_handshake"];
        let bounds = |fault: &str, key: &str, good: &[&str], bad: &[&str]| {
            for value in good {
                assert_eq!(wrong(&format!("{fault}.{key} = {value}")), None, "{fault}.{key} = {value}");
            }
            for value in bad {
                let told = wrong(&format!("{fault}.{key} = {value}")).unwrap_or_default();
                assert!(told.starts_with(&format!("`faults.{fault}.{key}` cannot be")), "{value}: {told}");
            }
        };
        for fault in often.into_iter().chain(["ca_outage", "hub_outage", "pause"]) {
            for (key, good, bad) in windows.into_iter().chain(often.contains(&fault).then_some(probability)) {
                bounds(fault, key, &good, &bad);
            }
        }
        bounds("server_error", "status", &["500", "599"], &["499", "600"]);
        bounds("delayed_result", "delay_ms", &["3600000"], &["3600001"]);
        bounds("slow_handshake", "delay_ms", &["3600000"], &["3600001"]);
        bounds("policy_revoked", "sync_after_seconds", &["31536000"], &["-1", "31536001"]);
    }

    #[test]
    fn moments_are_few_in_order_and_within_a_year() {
        for fault in ["hub_disconnect", "policy_revoked"] {
            let wrong = |moments: &[f64]| wrong(&format!("{fault}.at_seconds = {moments:?}"));
            for good in [&[][..], &[0.0, 5.0, 5.0, 31_536_000.0], &[1.0; 1000]] {
                assert_eq!(wrong(good), None);
            }
            for bad in [&[5.0, 3.0][..], &[-1.0, 5.0], &[5.0, 31_536_000.5], &[1.0; 1001]] {
                let told = wrong(bad).unwrap_or_default();
                assert!(told.starts_with(&format!("`faults.{fault}.at_seconds` cannot be")), "{} {told}", bad.len());
            }
        }
    }

    #[test]
    fn there_is_a_fault_as_soon_as_anything_is_set() {
        let faults = |text: &str| Config::read("x", &format!("[faults]\n{text}")).unwrap().faults;
        assert!(faults("").is_none());
        for text in ["pause.for_seconds = 1", "hub_disconnect.at_seconds = [1]", "server_error.probability = 1"] {
            assert!(!faults(text).is_none(), "{text}");
        }
    }
}
