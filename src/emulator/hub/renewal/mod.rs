//! Certificate renewal over the hub: the device asks, the hub says 202 at once and 200 with the new chain when the
//! authority has signed. Nothing is polled: the result is kept and sent as soon as a subscription wants it.
//! Source: Microsoft's own test report of the live service, and the official SDKs.

mod answer;
mod issue;

use std::sync::Arc;
use std::time::Duration;

use ring::digest;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::FleetTime;
use crate::emulator::clock::hub_time;
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::fault::CaOutage;
use crate::emulator::registry::{Device, DeviceState, Renewal};
use crate::emulator::service_model::{QueueFull, ServiceStep};
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::mqtt::QoS;
use crate::protocol::payload::{CertificateRequest, CheckedRequest, RenewalAccepted};
use crate::protocol::topic::HubDelivery;
use answer::RenewalRefusal;

/// First API version that knows renewal. Versions are dates, so their texts compare as they do.
const FIRST_WITH_RENEWAL: &str = "2025-08-01-preview";

/// An operation is given up so long after it began.
const LIFE: FleetTime = FleetTime::from_secs(12 * 3600);

/// Whether renewal exists for a device of that API version. For others its topics are unknown ones.
pub(super) fn is_known_to(api_version: &str) -> bool {
    api_version >= FIRST_WITH_RENEWAL && api_version.starts_with(|c: char| c.is_ascii_digit())
}

/// A device asks for a certificate.
///
/// Nothing happens without a request id, because the answer has no topic then, nor without a subscription to the answer.
pub(super) fn request(core: &Arc<Core>, device: &Arc<Device>, rid: Option<&str>, body: &[u8], out: &mut Outbox) {
    let Some(rid) = rid else { return };
    let accepted_topic = HubDelivery::Credential { status: 202, rid }.to_string();
    let Some(qos) = device.with(|state| state.subscriptions.qos(&accepted_topic)) else { return };
    let mut due = None;
    let accepted = allow(core).and_then(|answered| {
        due = answered;
        accept(core, device, rid, body, due)
    });
    match accepted {
        Ok(accepted) => {
            core.tally.count(Event::RenewalsAccepted);
            out.publish_at(due, accepted_topic, qos, accepted.to_body());
        }
        Err(refusal) => {
            core.tally.count(refusal.event());
            refusal.publish(core, rid, (due, qos), out);
        }
    }
}

/// What load does to a renewal: it may be over a quota, and its answer takes time; `None` is at once.
fn allow(core: &Core) -> Result<Option<Instant>, RenewalRefusal> {
    let now = Instant::now();
    if let Some(status) = core.faults.server_error(now) {
        core.tally.count(Event::FaultServerError);
        return Err(RenewalRefusal::Server(status));
    }
    core.model.quotas.renewal(now).map_err(|over| RenewalRefusal::OverQuota(over.retry_after))?;
    core.model.admit(ServiceStep::RenewalAccept, now).map_err(|QueueFull| RenewalRefusal::Busy)
}

/// When the result is there at the earliest, as work that begins with the answer, which is `due`; and whether the
/// authority is away and signs nothing.
fn ready_at(core: &Core, due: Option<Instant>) -> Result<(Instant, bool), RenewalRefusal> {
    let now = Instant::now();
    let work = core.model.admit(ServiceStep::RenewalIssue, now).map_err(|QueueFull| RenewalRefusal::Busy)?;
    let mut ready = work.unwrap_or(now) + due.map_or(Duration::ZERO, |due| due.duration_since(now));
    let outage = core.faults.ca_outage(now);
    if let Some(outage) = outage {
        core.tally.count(Event::FaultCaOutage);
        if let CaOutage::Until(back) = outage {
            ready = ready.max(back);
        }
    }
    if let Some(delay) = core.faults.result_delay(now) {
        core.tally.count(Event::FaultDelayed);
        ready += delay;
    }
    Ok((ready, outage == Some(CaOutage::Fails)))
}

/// Takes a request on, or not.
///
/// 1. Is it whole? 2. Is another one pending, and is this one to replace it? 3. The operation is noted. 4. The authority
///    gets the CSR, in the background.
fn accept(
    core: &Arc<Core>,
    device: &Arc<Device>,
    rid: &str,
    body: &[u8],
    due: Option<Instant>,
) -> Result<RenewalAccepted<'static>, RenewalRefusal> {
    if !CertificateRequest::is_request_id(rid) {
        return Err(RenewalRefusal::RequestId);
    }
    let request = CheckedRequest::parse(body, &device.id).map_err(RenewalRefusal::Request)?;
    let csr_digest = digest(&request.csr);
    let now = core.clock.now();
    let operation = device.with(|state| {
        let pending = state.renewal.as_deref().filter(|renewal| renewal.is_pending(now));
        if let Some(pending) = pending.filter(|p| *p.request_id == *rid && p.csr_digest == csr_digest) {
            // The same request once more, after a lost connection: it goes on as it began.
            return Ok((accepted(pending), None));
        }
        may_begin(pending, request.replace.as_deref())?;
        let policy = issue::policy(core, state).ok_or(RenewalRefusal::NotAvailable)?;
        let (ready_at, away) = ready_at(core, due)?;
        let renewal = Renewal::new(rid.into(), Uuid::new_v4(), LIFE.after(now), csr_digest, ready_at);
        let job = issue::RenewalJob::new(device, state, policy, request.csr, &renewal, away);
        let answer = accepted(&renewal);
        state.renewal = Some(Box::new(renewal));
        Ok((answer, Some(job)))
    });
    let (answer, job) = operation?;
    if let Some(job) = job {
        job.submit(core)?;
    }
    Ok(answer)
}

/// Whether a new operation may begin although `pending` is, and does what `replace` asks.
fn may_begin(pending: Option<&Renewal>, replace: Option<&str>) -> Result<(), RenewalRefusal> {
    match (pending, replace) {
        (None, None | Some("*")) | (Some(_), Some("*")) => Ok(()),
        (Some(pending), Some(named)) if *pending.request_id == *named => Ok(()),
        (_, Some(named)) => Err(RenewalRefusal::NothingToReplace { request_id: named.to_owned() }),
        (Some(pending), None) => Err(RenewalRefusal::Pending {
            request_id: pending.request_id.to_string(),
            expires: pending.expires,
            correlation_id: pending.correlation_id,
        }),
    }
}

/// Sends the result of a renewal, if there is one to send and a subscription wants it.
pub(super) fn deliver(core: &Core, state: &mut DeviceState, out: &mut Outbox) {
    let Some(renewal) = state.renewal.as_deref_mut() else { return };
    if core.clock.now() >= renewal.expires {
        state.renewal = None;
        return;
    }
    let Some(result) = renewal.unsent_result(Instant::now()) else { return };
    let (status, body) = match result {
        Ok(chain) => (200, answer::issued(core, renewal.correlation_id, chain)),
        Err(reason) => answer::failed(core, renewal.correlation_id, reason),
    };
    let topic = HubDelivery::Credential { status, rid: &renewal.request_id }.to_string();
    let Some(qos) = state.subscriptions.qos(&topic) else { return };
    if status == 200 {
        core.tally.count(Event::Renewed);
    }
    if qos == QoS::AtMostOnce {
        state.renewal = None;
        out.publish(topic, qos, body);
    } else {
        let packet_id = renewal.sent(&mut state.renewal_packet_id);
        out.publish_as(packet_id, false, topic, body);
    }
}

fn accepted(renewal: &Renewal) -> RenewalAccepted<'static> {
    RenewalAccepted {
        correlation_id: renewal.correlation_id.to_string().into(),
        operation_expires: hub_time(renewal.expires).into(),
    }
}

fn digest(csr: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, csr).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config::Config;
    use crate::emulator::registry::test_group;
    use std::time::SystemTime;

    #[test]
    fn renewal_is_known_from_its_first_api_version_on() {
        for (version, known) in [
            ("2025-08-01-preview", true),
            ("2026-11-02-preview", true),
            ("2021-04-12", false),
            ("2025-07-01-preview", false),
            ("latest", false),
            ("", false),
        ] {
            assert_eq!(is_known_to(version), known, "{version}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_authority_has_too_much_to_do_the_device_is_told_to_wait() {
        let mut config = Config::default();
        (config.adr.issuance_threads, config.adr.issuance_queue) = (1, 1);
        let core = Core::new(config).unwrap();
        let mut group = Arc::into_inner(test_group()).unwrap();
        group.credential_policy = Some(core.config.adr.policy.as_str().into());
        let (id, now) = (Arc::from("dev1"), SystemTime::UNIX_EPOCH);
        let (_, device) = core.registry.register(Arc::new(group), &id, "dev1", now).unwrap();
        let busy = core.issuance.keep_busy();
        let refusal = accept(&core, &device, "rid-1", br#"{"id":"dev1","csr":"AAAA"}"#, None).unwrap_err();
        assert!(matches!(refusal, RenewalRefusal::Busy), "{refusal:?}");
        assert!(device.with(|state| state.renewal.is_none()), "nothing is pending");
        drop(busy);
    }
}
