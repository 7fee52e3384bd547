use crate::domain::named;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

named! {
    /// What the emulator counts. The names are those of reports and never change.
    #[repr(usize)]
    pub enum Event {
        /// A TCP connection was accepted.
        Accepted = "accepted",
        /// TLS handshake finished.
        Handshake = "handshakes",
        /// TLS handshake that resumed a session; counts as one that finished too.
        Resumed = "handshakes_resumed",
        /// TLS handshake failed, was cut or took too long.
        HandshakeFailed = "handshakes_failed",
        /// Connection closed because others needed its place, and its peer had proved nothing and was slow.
        TurnedOut = "turned_out",
        /// A connection became a WebSocket for MQTT.
        WebSocket = "websockets",
        /// HTTPS request of a device.
        HttpRequest = "http_requests",
        /// CONNECT accepted by DPS.
        DpsConnected = "dps_connected",
        /// CONNECT refused by DPS.
        DpsRefused = "dps_refused",
        /// Register request answered 202.
        Registered = "registered",
        /// Register request answered with an error.
        RegisterRefused = "register_refused",
        /// Operation status asked.
        Polled = "polled",
        /// Final answer `assigned` given for the first time.
        Assigned = "assigned",
        /// Final answer `failed` given for the first time.
        Failed = "failed",
        /// Answered 429.
        Throttled = "throttled",
        /// Device certificate signed.
        Issued = "issued",
        /// CSR refused by the authority.
        CsrRefused = "csr_refused",
        /// CONNECT accepted by the hub.
        HubConnected = "hub_connected",
        /// CONNECT refused by the hub.
        HubRefused = "hub_refused",
        /// Connection closed because its device connected again.
        TakenOver = "taken_over",
        /// Device-to-cloud message.
        Telemetry = "telemetry",
        /// Connection closed because its peer broke a rule of the protocol.
        ProtocolViolation = "protocol_violations",
        /// Connection closed because its peer was silent for too long.
        TimedOut = "timed_out",
        /// Twin read by its device.
        TwinReads = "twin_reads",
        /// Twin changed, by its device or a back end.
        TwinUpdates = "twin_updates",
        /// Direct method call sent to a device.
        MethodCalls = "method_calls",
        /// Cloud-to-device message sent, each time it was.
        CloudToDevice = "cloud_to_device",
        /// Last will of a device that left without a word; counts as telemetry too.
        Wills = "wills",
        /// Renewal request answered 202.
        RenewalsAccepted = "renewals_accepted",
        /// Renewal request answered with an error at once.
        RenewalsRefused = "renewals_refused",
        /// Renewed certificate sent, each time it was.
        Renewed = "renewed",
        /// Fault: connection cut before or after PUBACK.
        FaultDropped = "faults_dropped",
        /// Fault: result sent late.
        FaultDelayed = "faults_delayed",
        /// Fault: answered with a server error.
        FaultServerError = "faults_server_errors",
        /// Fault: request for a certificate met the authority's outage.
        FaultCaOutage = "faults_ca_outage",
        /// Fault: connection ended by the hub.
        FaultDisconnected = "faults_disconnected",
        /// Fault: TLS handshake put off.
        FaultHandshake = "faults_handshakes",
        /// Fault: CONNECT or request met the hub's outage.
        FaultHubOutage = "faults_hub_outage",
        /// Fault: connection held up by a pause.
        FaultPaused = "faults_paused",
        /// Fault: credential policy revoked.
        FaultPolicyRevoked = "faults_policy_revoked",
        /// Fault that could not be injected, as the library failed.
        FaultFailed = "faults_failed",
    }
}

impl Event {
    /// Number of events.
    pub const COUNT: usize = 41;
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters([u64; Event::COUNT]);

impl Counters {
    /// How often `event` happened.
    pub fn get(&self, event: Event) -> u64 {
        self.0[event as usize]
    }

    /// Names and values, in the order of documentation.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Event::ALL.into_iter().map(|event| (event.name(), self.get(event)))
    }
}

/// `name value` pairs of what happened at all.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut happened = self.iter().filter(|(_, count)| *count > 0).peekable();
        if happened.peek().is_none() {
            return f.write_str("nothing happened");
        }
        for (i, (name, count)) in happened.enumerate() {
            write!(f, "{}{name} {count}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The counters while they count.
#[derive(Debug)]
pub(crate) struct Tally([AtomicU64; Event::COUNT]);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    pub(crate) fn count(&self, event: Event) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Counters {
        Counters(std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_counts_for_itself() {
        let tally = Tally::new();
        for (i, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, i);
            tally.count(event);
        }
        tally.count(Event::Issued);
        let counters = tally.snapshot();
        assert!(counters.iter().all(|(name, count)| count == if name == "issued" { 2 } else { 1 }));
    }

    #[test]
    fn only_what_happened_is_shown() {
        let tally = Tally::new();
        assert_eq!(tally.snapshot().to_string(), "nothing happened");
        tally.count(Event::Accepted);
        tally.count(Event::TimedOut);
        assert_eq!(tally.snapshot().to_string(), "accepted 1, timed_out 1");
    }
}
