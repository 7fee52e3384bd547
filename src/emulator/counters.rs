use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the emulator counts. The names are those of reports and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// A TCP connection was accepted.
    Accepted,
    /// TLS handshake finished.
    Handshake,
    /// TLS handshake that resumed a session; counts as one that finished too.
    Resumed,
    /// TLS handshake failed, was cut or took too long.
    HandshakeFailed,
    /// Connection closed because others needed its place, and its peer had proved nothing and was slow.
    TurnedOut,
    /// A connection became a WebSocket for MQTT.
    WebSocket,
    /// HTTPS request of a device.
    HttpRequest,
    /// CONNECT accepted by DPS.
    DpsConnected,
    /// CONNECT refused by DPS.
    DpsRefused,
    /// Register request answered 202.
    Registered,
    /// Register request answered with an error.
    RegisterRefused,
    /// Operation status asked.
    Polled,
    /// Final answer `assigned` given for the first time.
    Assigned,
    /// Final answer `failed` given for the first time.
    Failed,
    /// Answered 429.
    Throttled,
    /// Device certificate signed.
    Issued,
    /// CSR refused by the authority.
    CsrRefused,
    /// CONNECT accepted by the hub.
    HubConnected,
    /// CONNECT refused by the hub.
    HubRefused,
    /// Connection closed because its device connected again.
    TakenOver,
    /// Device-to-cloud message.
    Telemetry,
    /// Connection closed because its peer broke a rule of the protocol.
    ProtocolViolation,
    /// Connection closed because its peer was silent for too long.
    TimedOut,
    /// Twin read by its device.
    TwinReads,
    /// Twin changed, by its device or a back end.
    TwinUpdates,
    /// Direct method call sent to a device.
    MethodCalls,
    /// Cloud-to-device message sent, each time it was.
    CloudToDevice,
    /// Last will of a device that left without a word; counts as telemetry too.
    Wills,
    /// Renewal request answered 202.
    RenewalsAccepted,
    /// Renewal request answered with an error at once.
    RenewalsRefused,
    /// Renewed certificate sent, each time it was.
    Renewed,
    /// Fault: connection cut before or after PUBACK.
    FaultDropped,
    /// Fault: result sent late.
    FaultDelayed,
    /// Fault: answered with a server error.
    FaultServerError,
    /// Fault: request for a certificate met the authority's outage.
    FaultCaOutage,
    /// Fault: connection ended by the hub.
    FaultDisconnected,
    /// Fault: TLS handshake put off.
    FaultHandshake,
    /// Fault: CONNECT or request met the hub's outage.
    FaultHubOutage,
    /// Fault: connection held up by a pause.
    FaultPaused,
    /// Fault: credential policy revoked.
    FaultPolicyRevoked,
    /// Fault that could not be injected, as the library failed.
    FaultFailed,
}

impl Event {
    /// Number of events.
    pub const COUNT: usize = 41;

    /// Every event, in the order of documentation.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Accepted,
        Self::Handshake,
        Self::Resumed,
        Self::HandshakeFailed,
        Self::TurnedOut,
        Self::WebSocket,
        Self::HttpRequest,
        Self::DpsConnected,
        Self::DpsRefused,
        Self::Registered,
        Self::RegisterRefused,
        Self::Polled,
        Self::Assigned,
        Self::Failed,
        Self::Throttled,
        Self::Issued,
        Self::CsrRefused,
        Self::HubConnected,
        Self::HubRefused,
        Self::TakenOver,
        Self::Telemetry,
        Self::ProtocolViolation,
        Self::TimedOut,
        Self::TwinReads,
        Self::TwinUpdates,
        Self::MethodCalls,
        Self::CloudToDevice,
        Self::Wills,
        Self::RenewalsAccepted,
        Self::RenewalsRefused,
        Self::Renewed,
        Self::FaultDropped,
        Self::FaultDelayed,
        Self::FaultServerError,
        Self::FaultCaOutage,
        Self::FaultDisconnected,
        Self::FaultHandshake,
        Self::FaultHubOutage,
        Self::FaultPaused,
        Self::FaultPolicyRevoked,
        Self::FaultFailed,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Handshake => "handshakes",
            Self::Resumed => "handshakes_resumed",
            Self::HandshakeFailed => "handshakes_failed",
            Self::TurnedOut => "turned_out",
            Self::WebSocket => "websockets",
            Self::HttpRequest => "http_requests",
            Self::DpsConnected => "dps_connected",
            Self::DpsRefused => "dps_refused",
            Self::Registered => "registered",
            Self::RegisterRefused => "register_refused",
            Self::Polled => "polled",
            Self::Assigned => "assigned",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::Issued => "issued",
            Self::CsrRefused => "csr_refused",
            Self::HubConnected => "hub_connected",
            Self::HubRefused => "hub_refused",
            Self::TakenOver => "taken_over",
            Self::Telemetry => "telemetry",
            Self::ProtocolViolation => "protocol_violations",
            Self::TimedOut => "timed_out",
            Self::TwinReads => "twin_reads",
            Self::TwinUpdates => "twin_updates",
            Self::MethodCalls => "method_calls",
            Self::CloudToDevice => "cloud_to_device",
            Self::Wills => "wills",
            Self::RenewalsAccepted => "renewals_accepted",
            Self::RenewalsRefused => "renewals_refused",
            Self::Renewed => "renewed",
            Self::FaultDropped => "faults_dropped",
            Self::FaultDelayed => "faults_delayed",
            Self::FaultServerError => "faults_server_errors",
            Self::FaultCaOutage => "faults_ca_outage",
            Self::FaultDisconnected => "faults_disconnected",
            Self::FaultHandshake => "faults_handshakes",
            Self::FaultHubOutage => "faults_hub_outage",
            Self::FaultPaused => "faults_paused",
            Self::FaultPolicyRevoked => "faults_policy_revoked",
            Self::FaultFailed => "faults_failed",
        }
    }
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
