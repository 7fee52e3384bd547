//! Bodies of the answers to renewals, live shapes and those that some SDKs expect instead.

use std::time::SystemTime;

use tokio::time::Instant;
use uuid::Uuid;

use crate::emulator::clock::hub_time;
use crate::emulator::config::{RenewalBody, RenewalCodes};
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::hub::error::ErrorBody;
use crate::emulator::issuing::adr::Chain;
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::mqtt::QoS;
use crate::protocol::payload::{CertificatesIssued, RenewalError, RenewalInfo, RequestRefusal, Text};
use crate::protocol::topic::HubDelivery;

/// A request that is refused at once.
#[derive(Debug)]
pub(super) enum RenewalRefusal {
    /// The body is not what it should be.
    Request(RequestRefusal),
    /// The request id of the topic has not the form of one.
    RequestId,
    /// Another operation is pending.
    Pending { request_id: String, expires: SystemTime, correlation_id: Uuid },
    /// `replace` names an operation that is not there.
    NothingToReplace { request_id: String },
    /// The device's enrollment has no credential policy.
    NotAvailable,
    /// There is too much to do.
    Busy,
    /// Over the quota; seconds to wait.
    OverQuota(u32),
    /// A fault of the service itself, with this status.
    Server(u16),
}

impl RenewalRefusal {
    /// What is counted.
    pub(super) const fn event(&self) -> Event {
        match self {
            Self::Busy | Self::OverQuota(_) => Event::Throttled,
            _ => Event::RenewalsRefused,
        }
    }

    /// Publishes it when it is due.
    pub(super) fn publish(&self, core: &Core, rid: &str, (due, qos): (Option<Instant>, QoS), out: &mut Outbox) {
        let error = self.body(core);
        let topic = HubDelivery::Credential { status: error.status(), rid }.to_string();
        out.publish_at(due, topic, qos, in_shape(core, &error));
    }

    fn body(&self, core: &Core) -> ErrorBody<'_> {
        let now = core.clock.now();
        match self {
            Self::Request(refusal) => ErrorBody::from_error(RenewalError::from(*refusal), now),
            Self::RequestId => ErrorBody::new(400_004, REQUEST_ID.to_owned(), now),
            Self::Pending { request_id, expires, correlation_id } => {
                let code = match core.config.hub.renewal_codes {
                    RenewalCodes::Live => 409_004,
                    RenewalCodes::Sdk => 409_005,
                };
                ErrorBody::new(code, PENDING.to_owned(), now).with_info(RenewalInfo {
                    request_id: Some(request_id.as_str().into()),
                    operation_expires: Some(hub_time(*expires).into()),
                    correlation_id: Some(correlation_id.to_string().into()),
                    ..RenewalInfo::default()
                })
            }
            Self::NothingToReplace { request_id } => {
                let info = RenewalInfo { request_id: Some(request_id.as_str().into()), ..RenewalInfo::default() };
                ErrorBody::new(412_001, NOTHING_TO_REPLACE.to_owned(), now).with_info(info)
            }
            Self::NotAvailable => ErrorBody::new(403_010, NOT_AVAILABLE.to_owned(), now),
            Self::Busy => ErrorBody::new(429_002, "Throttled".to_owned(), now)
                .with_retry_after(core.config.dps.retry_after_seconds),
            Self::OverQuota(seconds) => ErrorBody::new(429_002, "Throttled".to_owned(), now).with_retry_after(*seconds),
            Self::Server(status) => ErrorBody::new(
                u32::from(*status) * 1000 + 1,
                "The service failed to process the request.".to_owned(),
                now,
            ),
        }
    }
}

/// The chain, in the shape that is asked for.
pub(super) fn issued(core: &Core, correlation_id: Uuid, chain: &Chain) -> Vec<u8> {
    let certificates: Vec<_> = chain.texts().map(Text::from).collect();
    match core.config.hub.renewal_body {
        RenewalBody::Object => {
            CertificatesIssued { correlation_id: Some(correlation_id.to_string().into()), certificates }.to_body()
        }
        RenewalBody::Array => serde_json::to_vec(&certificates).unwrap_or_default(),
    }
}

/// The authority's refusal: status and body. `reason` is the emulator's own knowledge, which the service does not tell.
pub(super) fn failed(core: &Core, correlation_id: Uuid, reason: &str) -> (u16, Vec<u8>) {
    let (code, message, error, words) = match core.config.hub.renewal_codes {
        RenewalCodes::Live => (400_037, UNABLE, "400000", "CSR did not pass verification"),
        RenewalCodes::Sdk => (400_040, "Credential management operation failed", "FailedToDecodeCsr", reason),
    };
    let error = ErrorBody::new(code, message.to_owned(), core.clock.now()).with_info(RenewalInfo {
        correlation_id: Some(correlation_id.to_string().into()),
        credential_error: Some(error.into()),
        credential_message: Some(words.into()),
        ..RenewalInfo::default()
    });
    (error.status(), in_shape(core, &error))
}

/// The SDK that wants a bare array takes no `null` in an error either.
fn in_shape(core: &Core, error: &ErrorBody<'_>) -> Vec<u8> {
    match core.config.hub.renewal_body {
        RenewalBody::Object => error.to_body(),
        RenewalBody::Array => error.to_body_without_null(),
    }
}

const REQUEST_ID: &str = "Issue certificate request '$rid' has an invalid format. A request ID must be between 4 and \
    36 characters, only have alphanumeric characters and hyphens, and cannot start or end with a hyphen.";
const PENDING: &str = "A credential management operation is already active. Use the requestId in info to check the \
    status of the existing request, or send a new request with 'replace' to cancel and start a new one.";
const NOTHING_TO_REPLACE: &str = "No active certificate request found to replace. Ensure the request ID in the \
    'replace' property matches an existing pending request.";
const NOT_AVAILABLE: &str = "The device has no credential policy.";
const UNABLE: &str = "Unable to complete the certificate request at this time...";
