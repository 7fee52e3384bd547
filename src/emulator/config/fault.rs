use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// What goes wrong on purpose (`[faults]`). By default nothing does. All times count from the start of the emulator, from
/// the beginning of the measured part, or from the moment at which the control plane changes the plan, in fleet time;
/// `delay_ms` is real time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// A message at QoS 1 is lost: the connection ends before PUBACK, nothing is done.
    pub drop_before_puback: Chance,
    /// A message at QoS 1 arrives, but its answer is lost: the connection ends after PUBACK.
    pub drop_after_puback: Chance,
    /// The result of a registration or renewal (status 200) comes late.
    pub delayed_result: Delay,
    /// Registrations, polls and renewals are answered with a server error.
    pub server_error: ServerError,
    /// The authority signs nothing for a while.
    pub ca_outage: Outage,
    /// The hub ends all its connections.
    pub hub_disconnect: Disconnect,
    /// The hub ends all its connections and takes no new ones for a while.
    pub hub_outage: HubOutage,
    /// Nobody gets an answer for a while.
    pub pause: Pause,
    /// The credential policy that `adr.policy` names gets a new issuing CA.
    pub policy_revoked: Revocation,
    /// The server lets clients wait before it begins the TLS handshake.
    pub slow_handshake: Delay,
}

/// A fault that happens now and then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chance {
    /// From 0 (never) to 1 (always).
    pub probability: f64,
    /// Not before so many seconds.
    pub from_seconds: f64,
    /// For so many seconds; for ever when absent.
    pub for_seconds: Option<f64>,
}

/// Something that takes longer now and then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delay {
    /// From 0 (never) to 1 (always).
    pub probability: f64,
    /// How much longer, in milliseconds.
    pub delay_ms: u64,
    /// Not before so many seconds.
    pub from_seconds: f64,
    /// For so many seconds; for ever when absent.
    pub for_seconds: Option<f64>,
}

/// A server error now and then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerError {
    /// From 0 (never) to 1 (always).
    pub probability: f64,
    /// 500 to 599.
    pub status: u16,
    /// Not before so many seconds.
    pub from_seconds: f64,
    /// For so many seconds; for ever when absent.
    pub for_seconds: Option<f64>,
}

/// A time without authority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outage {
    /// It begins after so many seconds.
    pub from_seconds: f64,
    /// It lasts so many seconds; 0 is no outage.
    pub for_seconds: f64,
    /// What becomes of requests for certificates meanwhile.
    pub effect: OutageEffect,
}

/// What becomes of requests for certificates while the authority signs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutageEffect {
    /// They wait until the authority is back.
    #[default]
    Wait,
    /// They fail with a server error.
    Fail,
}

/// A time without hub.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubOutage {
    /// It begins after so many seconds.
    pub from_seconds: f64,
    /// It lasts so many seconds; 0 is no outage.
    pub for_seconds: f64,
    /// What becomes of those who connect meanwhile.
    pub effect: HubOutageEffect,
}

/// What becomes of those who connect with the hub while it is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HubOutageEffect {
    /// CONNECT is answered with CONNACK 3 (HTTPS: 503).
    #[default]
    Refuse,
    /// The connection is closed without a word.
    Drop,
}

/// A time in which nothing is answered, and after which everything goes on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pause {
    /// It begins after so many seconds.
    pub from_seconds: f64,
    /// It lasts so many seconds; 0 is no pause.
    pub for_seconds: f64,
}

/// Moments at which the issuing CA is replaced: the hub refuses the certificates of the old one at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revocation {
    /// After so many seconds, in ascending order.
    pub at_seconds: Vec<f64>,
    /// Whether sessions end that were opened with a certificate of the old one.
    pub end_sessions: bool,
    /// The hub learns of the new one so many seconds later, unless `hub.synced` says that it learns nothing by itself.
    pub sync_after_seconds: f64,
}

/// Moments at which the hub ends all its connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disconnect {
    /// After so many seconds, in ascending order.
    pub at_seconds: Vec<f64>,
}

impl Default for Chance {
    fn default() -> Self {
        Self { probability: 0.0, from_seconds: 0.0, for_seconds: None }
    }
}

impl Default for Delay {
    fn default() -> Self {
        Self { probability: 0.0, delay_ms: 5000, from_seconds: 0.0, for_seconds: None }
    }
}

impl Default for ServerError {
    fn default() -> Self {
        Self { probability: 0.0, status: 500, from_seconds: 0.0, for_seconds: None }
    }
}

impl Default for Outage {
    fn default() -> Self {
        Self { from_seconds: 0.0, for_seconds: 0.0, effect: OutageEffect::default() }
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Self { at_seconds: Vec::new(), end_sessions: true, sync_after_seconds: 0.0 }
    }
}

impl Faults {
    /// Most moments of a fault.
    const MAX_MOMENTS: usize = 1000;

    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// [`ConfigError::Entry`] with the fault's key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self {
            drop_before_puback: before,
            drop_after_puback: after,
            delayed_result: result,
            server_error: error,
            ca_outage,
            hub_disconnect,
            hub_outage,
            pause,
            policy_revoked,
            slow_handshake: handshake,
        } = self;
        for (name, probability, from, length) in [
            ("drop_before_puback", before.probability, before.from_seconds, before.for_seconds),
            ("drop_after_puback", after.probability, after.from_seconds, after.for_seconds),
            ("delayed_result", result.probability, result.from_seconds, result.for_seconds),
            ("server_error", error.probability, error.from_seconds, error.for_seconds),
            ("slow_handshake", handshake.probability, handshake.from_seconds, handshake.for_seconds),
            ("ca_outage", 0.0, ca_outage.from_seconds, Some(ca_outage.for_seconds)),
            ("hub_outage", 0.0, hub_outage.from_seconds, Some(hub_outage.for_seconds)),
            ("pause", 0.0, pause.from_seconds, Some(pause.for_seconds)),
        ] {
            let failed = |problem: &str| Err(ConfigError::entry("faults", name, problem));
            if !(0.0..=1.0).contains(&probability) {
                return failed("`probability` must be from 0 to 1");
            }
            if !is_time(from) || !length.is_none_or(is_time) {
                return failed("`from_seconds` and `for_seconds` must be from 0 to 31536000");
            }
        }
        let failed = |name: &str, problem: &str| Err(ConfigError::entry("faults", name, problem));
        if !(500..=599).contains(&error.status) {
            return failed("server_error", "`status` must be from 500 to 599");
        }
        if result.delay_ms > 3_600_000 || handshake.delay_ms > 3_600_000 {
            return failed("delayed_result, slow_handshake", "`delay_ms` may be 3600000 at most");
        }
        for (name, moments) in
            [("hub_disconnect", &hub_disconnect.at_seconds), ("policy_revoked", &policy_revoked.at_seconds)]
        {
            if moments.len() > Self::MAX_MOMENTS || !moments.iter().all(|at| is_time(*at)) || !moments.is_sorted() {
                return failed(
                    name,
                    "`at_seconds` must be at most 1000 moments from 0 to 31536000, in ascending order",
                );
            }
        }
        if !is_time(policy_revoked.sync_after_seconds) {
            return failed("policy_revoked", "`sync_after_seconds` must be from 0 to 31536000");
        }
        Ok(())
    }

    /// Whether nothing ever goes wrong.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Seconds of no more than a year.
fn is_time(seconds: f64) -> bool {
    (0.0..=31_536_000.0).contains(&seconds)
}

/// Seconds that were checked.
pub(crate) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Faults {
        toml::from_str(text).unwrap()
    }

    /// Which fault is wrong.
    fn wrong(text: &str) -> Option<String> {
        match faults(text).check() {
            Ok(()) => None,
            Err(ConfigError::Entry { entry, .. }) => Some(entry),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_value_of_a_fault_has_its_bounds() {
        let windows = ["from_seconds", "for_seconds"].map(|key| (key, ["0", "31536000"], ["-1", "31536000.5", "nan"]));
        let probability = ("probability", ["0", "1"], ["-0.1", "1.1", "nan"]);
        let often = ["drop_before_puback", "drop_after_puback", "delayed_result", "server_error", "slow_handshake"];
        for fault in often.into_iter().chain(["ca_outage", "hub_outage", "pause"]) {
            let own = often.contains(&fault).then_some(probability);
            for (key, good, bad) in windows.into_iter().chain(own) {
                for value in good {
                    assert_eq!(wrong(&format!("{fault}.{key} = {value}")), None, "{fault}.{key} = {value}");
                }
                for value in bad {
                    let fault_of = wrong(&format!("{fault}.{key} = {value}"));
                    assert_eq!(fault_of.as_deref(), Some(fault), "{fault}.{key} = {value}");
                }
            }
        }
        for status in [500, 599] {
            assert_eq!(wrong(&format!("server_error.status = {status}")), None);
        }
        for status in [499, 600] {
            assert_eq!(wrong(&format!("server_error.status = {status}")).as_deref(), Some("server_error"));
        }
        for fault in ["delayed_result", "slow_handshake"] {
            assert_eq!(wrong(&format!("{fault}.delay_ms = 3600000")), None);
            assert!(wrong(&format!("{fault}.delay_ms = 3600001")).is_some_and(|which| which.contains(fault)));
        }
        assert_eq!(wrong("policy_revoked.sync_after_seconds = 31536000"), None);
        for seconds in ["-1", "31536001"] {
            let which = wrong(&format!("policy_revoked.sync_after_seconds = {seconds}"));
            assert_eq!(which.as_deref(), Some("policy_revoked"), "{seconds}");
        }
    }

    #[test]
    fn moments_are_few_in_order_and_within_a_year() {
        for fault in ["hub_disconnect", "policy_revoked"] {
            let wrong = |moments: &[f64]| wrong(&format!("{fault}.at_seconds = {moments:?}"));
            for good in [&[][..], &[0.0, 5.0, 5.0, 31_536_000.0], &[1.0; 1000]] {
                assert_eq!(wrong(good), None);
            }
            for bad in [&[5.0, 3.0][..], &[-1.0, 5.0], &[5.0, 31_536_000.5], &[1.0; 1001]] {
                assert_eq!(wrong(bad).as_deref(), Some(fault), "{} from {}", bad.len(), bad[0]);
            }
        }
    }

    #[test]
    fn there_is_a_fault_as_soon_as_anything_is_set() {
        assert!(faults("").is_none());
        for text in ["pause.for_seconds = 1", "hub_disconnect.at_seconds = [1]", "server_error.probability = 1"] {
            assert!(!faults(text).is_none(), "{text}");
        }
    }
}
