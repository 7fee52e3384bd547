use crate::domain::named;
use std::fmt;

named! {
    /// Why an attempt failed, as a class that reports count and thresholds compare.
    #[derive(Hash, PartialOrd, Ord)]
    pub enum FailureClass {
        /// TCP could not connect, or the connection broke.
        Network = "network",
        /// The TLS handshake failed (alert, unknown issuer, bad certificate).
        Tls = "tls",
        /// The service said 429.
        Throttled = "throttled",
        /// The service refused: CONNACK code, 4xx or 5xx answer, `failed` or `disabled` state.
        Rejected = "rejected",
        /// The peer sent something that the protocol does not allow.
        Protocol = "protocol",
        /// The issued certificate is not the one that was asked for.
        Verification = "verification",
        /// An answer did not come in time.
        Timeout = "timeout",
        /// The generator itself failed (file descriptors, source ports, key generation).
        Generator = "generator",
        /// What the run was given does not let the device go on: its bootstrap certificate, the addresses to connect from, a hub
        /// that nobody confirmed.
        Configuration = "configuration",
        /// The run ended (duration, Ctrl-C) before the attempt did.
        Cut = "cut",
    }
}

impl FailureClass {
    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A failed attempt: what class, which code the service gave, in which words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class.
    pub class: FailureClass,
    /// The service's error code (`401002`), CONNACK return code (`5`) or 0 when there is none.
    pub code: u32,
    /// For a person. Carries no secret and no device name. Failures whose words have the same [`crate::domain::cause`] are
    /// counted together.
    pub message: String,
}

impl Failure {
    /// A failure without a code of the service.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, code: 0, message: message.into() }
    }

    /// The service refused with `code`.
    pub fn rejected(code: u32, message: impl Into<String>) -> Self {
        Self { class: FailureClass::Rejected, code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            0 => write!(f, "{}: {}", self.class, self.message),
            code => write!(f, "{} {code}: {}", self.class, self.message),
        }
    }
}

impl std::error::Error for Failure {}
