use std::fmt;

/// A part of an attempt that is timed on its own. The names are CSV column values and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// From the due time to the start: the generator's own lateness, waiting for a key included.
    Queued,
    /// Making the key pair. Done ahead of need on the CPU pool, not part of `total`.
    Keygen,
    /// Building and signing the CSR. Done ahead of need on the CPU pool, not part of `total`.
    Csr,
    /// Deriving the device key, ahead of need on the CPU pool, and signing the SAS token, at the start of each attempt.
    Sas,
    /// TCP connect to DPS.
    Tcp,
    /// TLS handshake with DPS.
    Tls,
    /// CONNECT sent until CONNACK read (DPS).
    Connack,
    /// SUBSCRIBE sent until SUBACK read (DPS).
    Suback,
    /// Register sent until its first answer (normally 202).
    Register,
    /// Time spent obeying retry-after.
    PollWait,
    /// Time in requests and answers after the first 202 until the final answer.
    Assign,
    /// Checking the issued chain.
    Verify,
    /// DISCONNECT and closing the DPS connection.
    DpsClose,
    /// TCP connect to the hub.
    HubTcp,
    /// Mutual TLS handshake with the hub.
    HubTls,
    /// CONNECT sent until CONNACK read (hub).
    HubConnack,
    /// Telemetry PUBLISH sent until its PUBACK.
    TelemetryAck,
    /// TCP connect to the hub with the old certificate, when a device that holds no connection renews.
    RenewTcp,
    /// Mutual TLS handshake with the hub with the old certificate, when a device that holds no connection renews.
    RenewTls,
    /// CONNECT sent until CONNACK read with the old certificate, when a device that holds no connection renews.
    RenewConnack,
    /// Renewal request sent until its 202.
    RenewAccept,
    /// 202 of a renewal until the new chain arrived.
    RenewIssue,
    /// Waiting between a failed attempt and the next one of the same device.
    Backoff,
    /// From the loss of a held hub connection until the device was connected again.
    Recover,
    /// The whole work of a device from its due time, further attempts and the waits between them included (corrected for
    /// coordinated omission).
    Total,
    /// One attempt from its start (uncorrected, for comparison): what a client that forgets its failures would report.
    TotalRaw,
}

impl Phase {
    /// Number of phases.
    pub const COUNT: usize = 26;

    /// Every phase in the order of an attempt.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Queued,
        Self::Keygen,
        Self::Csr,
        Self::Sas,
        Self::Tcp,
        Self::Tls,
        Self::Connack,
        Self::Suback,
        Self::Register,
        Self::PollWait,
        Self::Assign,
        Self::Verify,
        Self::DpsClose,
        Self::HubTcp,
        Self::HubTls,
        Self::HubConnack,
        Self::TelemetryAck,
        Self::RenewTcp,
        Self::RenewTls,
        Self::RenewConnack,
        Self::RenewAccept,
        Self::RenewIssue,
        Self::Backoff,
        Self::Recover,
        Self::Total,
        Self::TotalRaw,
    ];

    /// The name in CSV files, JSON and thresholds.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Keygen => "keygen",
            Self::Csr => "csr",
            Self::Sas => "sas",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Connack => "connack",
            Self::Suback => "suback",
            Self::Register => "register",
            Self::PollWait => "poll_wait",
            Self::Assign => "assign",
            Self::Verify => "verify",
            Self::DpsClose => "dps_close",
            Self::HubTcp => "hub_tcp",
            Self::HubTls => "hub_tls",
            Self::HubConnack => "hub_connack",
            Self::TelemetryAck => "telemetry_ack",
            Self::RenewTcp => "renew_tcp",
            Self::RenewTls => "renew_tls",
            Self::RenewConnack => "renew_connack",
            Self::RenewAccept => "renew_accept",
            Self::RenewIssue => "renew_issue",
            Self::Backoff => "backoff",
            Self::Recover => "recover",
            Self::Total => "total",
            Self::TotalRaw => "total_raw",
        }
    }

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The phase of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
