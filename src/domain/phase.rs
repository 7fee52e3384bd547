use crate::domain::named;

named! {
    /// A part of an attempt that is timed on its own. The names are CSV column values and never change.
    #[derive(Hash, PartialOrd, Ord)]
    #[repr(u8)]
    pub enum Phase {
        /// From the due time to the start: the generator's own lateness, waiting for a key included.
        Queued = "queued",
        /// From the due time of what a device does within its work to when it did it: polls, repeated requests,
        /// messages. Of the first two it is part of the phase in which the device waited. Of an attempt, the longest.
        Late = "late",
        /// Making the key pair. Done ahead of need on the CPU pool, not part of `total`.
        Keygen = "keygen",
        /// Building and signing the CSR. Done ahead of need on the CPU pool, not part of `total`.
        Csr = "csr",
        /// Deriving the device key, ahead of need on the CPU pool, and signing the SAS token, at the start of each attempt.
        Sas = "sas",
        /// TCP connect to DPS.
        Tcp = "tcp",
        /// TLS handshake with DPS.
        Tls = "tls",
        /// CONNECT sent until CONNACK read (DPS).
        Connack = "connack",
        /// SUBSCRIBE sent until SUBACK read (DPS).
        Suback = "suback",
        /// Register sent until its first answer (normally 202).
        Register = "register",
        /// Time spent obeying retry-after.
        PollWait = "poll_wait",
        /// Time in requests and answers after the first 202 until the final answer.
        Assign = "assign",
        /// Checking the issued chain.
        Verify = "verify",
        /// DISCONNECT and closing the DPS connection.
        DpsClose = "dps_close",
        /// TCP connect to the hub.
        HubTcp = "hub_tcp",
        /// Mutual TLS handshake with the hub.
        HubTls = "hub_tls",
        /// CONNECT sent until CONNACK read (hub).
        HubConnack = "hub_connack",
        /// Telemetry PUBLISH sent until its PUBACK.
        TelemetryAck = "telemetry_ack",
        /// TCP connect to the hub with the old certificate, when a device that holds no connection renews.
        RenewTcp = "renew_tcp",
        /// Mutual TLS handshake with the hub with the old certificate, when a device that holds no connection renews.
        RenewTls = "renew_tls",
        /// CONNECT sent until CONNACK read with the old certificate, when a device that holds no connection renews.
        RenewConnack = "renew_connack",
        /// Renewal request sent until its 202.
        RenewAccept = "renew_accept",
        /// 202 of a renewal until the new chain arrived.
        RenewIssue = "renew_issue",
        /// Waiting between a failed attempt and the next one of the same device.
        Backoff = "backoff",
        /// From the loss of a held hub connection until the device was connected again.
        Recover = "recover",
        /// The whole work of a device from its due time, further attempts and the waits between them included (corrected for
        /// coordinated omission).
        Total = "total",
        /// One attempt from its start (uncorrected, for comparison): what a client that forgets its failures would report.
        TotalRaw = "total_raw",
    }
}

impl Phase {
    /// Number of phases.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether the time belongs to a device, whatever attempts it takes: then everybody who began counts, and who was not seen to
    /// get through is censored. The others are parts of an attempt, and end with it.
    pub const fn is_of_device(self) -> bool {
        matches!(self, Self::Backoff | Self::Recover | Self::Total)
    }

    /// Whether every single one of an attempt is recorded, as it happens and whatever comes of the attempt, which knows only the
    /// longest.
    pub const fn is_of_steps(self) -> bool {
        matches!(self, Self::Late)
    }

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}
