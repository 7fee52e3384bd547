use std::io;
use std::time::Duration;

use hyper::StatusCode;

/// Why metrics did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum PushFailure {
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    #[error("no TLS: {0}")]
    Tls(#[source] io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    #[error("it answered {status}{}", quoted(said))]
    Refused {
        status: StatusCode,
        /// What the receiver said to it, fit for people.
        said: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Late(Duration),
    #[error("it wants to be left alone for longer than a push may take")]
    LeftAlone,
}

/// Whether the same may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    No,
    /// To a receiver that was reached before: it may come back.
    IfReached,
    /// After a while of our choice.
    Soon,
    /// After a while that the receiver chose.
    After(Duration),
}

impl PushFailure {
    /// By the rules of OTLP (<https://opentelemetry.io/docs/specs/otlp/#failures-1>).
    pub(super) const fn again(&self) -> Again {
        match self {
            Self::Connect(_) | Self::Broken(_) => Again::IfReached,
            Self::Tls(_) | Self::Late(_) | Self::LeftAlone => Again::No,
            Self::Refused { status, retry_after, .. } => match (status.as_u16(), retry_after) {
                (429 | 502 | 503 | 504, Some(wait)) => Again::After(*wait),
                (429 | 502 | 503 | 504, None) => Again::Soon,
                _ => Again::No,
            },
        }
    }

    /// What may be done about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::Late(_) => {
                "does a collector take OTLP over HTTP there, as it usually does at port 4318? (4317 is gRPC, which is not spoken)"
            }
            Self::Tls(_) => {
                "does the port speak TLS? a PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE says whom to trust instead of the system's roots"
            }
            Self::Refused { status, .. } => match status.as_u16() {
                401 | 403 => {
                    "set OTEL_EXPORTER_OTLP_HEADERS to what the receiver asks for, such as authorization=Bearer%20…"
                }
                404 | 405 => "is the path right? /v1/metrics is appended to the URL of --otlp",
                300..=399 => "redirects are not followed: give --otlp the URL that it leads to",
                _ => "look into the receiver's log",
            },
            Self::LeftAlone => "it has too much to do: push less often with --otlp-interval",
        }
    }
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(", “{said}”") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_sent_again() {
        let refused = |status: u16, retry_after| {
            let status = StatusCode::from_u16(status).unwrap();
            PushFailure::Refused { status, said: String::new(), retry_after }.again()
        };
        for status in [429, 502, 503, 504] {
            assert_eq!(refused(status, None), Again::Soon);
            assert_eq!(refused(status, Some(Duration::from_secs(3))), Again::After(Duration::from_secs(3)));
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert_eq!(refused(status, Some(Duration::ZERO)), Again::No);
        }
        assert_eq!(PushFailure::Connect(io::ErrorKind::ConnectionRefused.into()).again(), Again::IfReached);
        assert_eq!(PushFailure::Late(Duration::from_secs(10)).again(), Again::No);
    }
}
