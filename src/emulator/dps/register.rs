use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::answer::{Answer, DpsRefusal};
use super::attest::{Caller, attest};
use crate::emulator::config::RefusedCsr;
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::fault::CaOutage;
use crate::emulator::issuing::adr::{CertificateSubject, CredentialPolicy, IssuedCertificate};
use crate::emulator::issuing::issuance::Busy;
use crate::emulator::registry::{Assignment, Attested, Change, Device, Operation, OperationOutcome, Registration};
use crate::emulator::service_model::ServiceStep;
use crate::pki::csr::MAX_DER_LENGTH;
use crate::protocol::payload::{RegistrationRequest, decode_csr};

/// First API version whose registrations may carry a CSR. Versions are dates, so their texts compare as they do.
const FIRST_WITH_CSR: &str = "2025-07-01-preview";

/// A register request: the answer, and what let the caller in when it proved who it is.
///
/// 1. Who is it? ([`attest`]) 2. What does it want? 3. May it? 4. The hub gets a device identity. 5. The authority gets
///    the CSR, in the background, so that the certificate is there when the device asks. 6. The first answer is always
///    202 with an operation.
pub(crate) fn register(core: &Arc<Core>, caller: &Caller, body: &[u8]) -> (Answer, Option<Attested>) {
    match attest(core, caller) {
        Ok(attested) => {
            let answer = register_attested(core, caller, &attested, body).unwrap_or_else(|r| refuse(core, r));
            (answer, Some(attested))
        }
        Err(refusal) => (refuse(core, refusal), None),
    }
}

/// A status request of a caller that proved who it is.
pub(crate) fn operation_status(core: &Core, caller: &Caller, operation_id: &str) -> Answer {
    core.tally.count(Event::Polled);
    let now = Instant::now();
    let poll = || {
        server_error(core, now)?;
        core.model.quotas.poll(&caller.registration_id, now)?;
        let due = core.model.admit(ServiceStep::Poll, now)?;
        Ok(Answer { due, ..status(core, caller, operation_id, now) })
    };
    let mut answer = poll().unwrap_or_else(|refusal| refuse(core, refusal));
    if answer.status == 200
        && let Some(delay) = core.faults.result_delay(now)
    {
        core.tally.count(Event::FaultDelayed);
        answer.due = Some(answer.due.unwrap_or(now) + delay);
    }
    answer
}

fn status(core: &Core, caller: &Caller, operation_id: &str, now: Instant) -> Answer {
    let operations = &core.registry.operations;
    let Some(operation) = operations.find(operation_id, &caller.registration_id, now) else {
        return refuse(core, DpsRefusal::NoSuchOperation);
    };
    let Some(outcome) = operation.outcome(now) else {
        return Answer::assigning(&operation, core.config.dps.retry_after_seconds);
    };
    if operations.told(&operation, now) {
        core.tally.count(match outcome {
            OperationOutcome::Assigned(_) => Event::Assigned,
            OperationOutcome::Failed { .. } => Event::Failed,
        });
    }
    Answer::done(&operation, outcome, &core.config.hub_host)
}

/// A status lookup: the registration as it stands, without beginning another one. Who has not registered is told so.
pub(crate) fn status_lookup(core: &Core, caller: &Caller, body: &[u8]) -> Answer {
    let look = || {
        let enrollment = attest(core, caller)?.enrollment;
        let request = RegistrationRequest::parse(body).map_err(|_| DpsRefusal::Deserialization)?;
        if request.csr.is_some() {
            return Err(DpsRefusal::CsrInLookup);
        }
        named_itself(&request, caller)?;
        let registration = core.registry.registration(&caller.registration_id).ok_or(DpsRefusal::NotRegistered)?;
        Ok(Answer::registration(&registration, enrollment.enabled, &core.config.hub_host))
    };
    look().unwrap_or_else(|refusal| refuse(core, refusal))
}

/// The answer to a refused request, counted.
pub(crate) fn refuse(core: &Core, refusal: DpsRefusal) -> Answer {
    core.tally.count(match refusal {
        DpsRefusal::Throttled | DpsRefusal::OverQuota(_) => Event::Throttled,
        _ => Event::RegisterRefused,
    });
    refusal.answer(core.clock.now(), core.config.dps.retry_after_seconds)
}

/// The injected fault of a server error, if it is this request's turn.
fn server_error(core: &Core, now: Instant) -> Result<(), DpsRefusal> {
    match core.faults.server_error(now) {
        None => Ok(()),
        Some(status) => {
            core.tally.count(Event::FaultServerError);
            Err(DpsRefusal::Server(status))
        }
    }
}

/// What load does to a registration: it may be over a quota, and its answer takes time.
fn register_attested(
    core: &Arc<Core>,
    caller: &Caller,
    attested: &Attested,
    body: &[u8],
) -> Result<Answer, DpsRefusal> {
    let now = Instant::now();
    server_error(core, now)?;
    core.model.quotas.registration(now)?;
    let due = core.model.admit(ServiceStep::Register, now)?;
    let answer = take_on(core, caller, attested, body, due).unwrap_or_else(|refusal| refuse(core, refusal));
    Ok(Answer { due, ..answer })
}

/// Takes a registration on; its answer is sent when it is `due`.
fn take_on(
    core: &Arc<Core>,
    caller: &Caller,
    attested: &Attested,
    body: &[u8],
    due: Option<Instant>,
) -> Result<Answer, DpsRefusal> {
    let request = RegistrationRequest::parse(body).map_err(|_| DpsRefusal::Deserialization)?;
    named_itself(&request, caller)?;
    let id = &caller.registration_id;
    let csr = csr_of(&request, caller)?;
    let enrollment = &attested.enrollment;
    if !enrollment.enabled {
        return Ok(Answer::disabled(id));
    }
    let policy = enrollment.credential_policy.as_deref().and_then(|name| core.adr.policy(name));
    if let (Some(csr), Some(policy), RefusedCsr::BadRequest) = (&csr, &policy, core.config.dps.refused_csr) {
        // The device waits for the check here, and so does whoever shares the thread: a switch, not the default.
        let subject =
            CertificateSubject { csr_name: Arc::clone(id), device_id: Arc::clone(id), unique_id: Uuid::nil() };
        policy.check(csr, &subject).map_err(|_| DpsRefusal::Deserialization)?;
    }
    let begun = Instant::now();
    if csr.is_some() && policy.is_some() {
        core.model.quotas.certificate(begun)?;
    }
    // The work begins with the answer, however long that takes.
    let answered = due.map_or(Duration::ZERO, |due| due.duration_since(begun));
    let ready_at = core.model.admit(ServiceStep::Assign, begun)?.unwrap_or(begun) + answered;
    let (registration, device) =
        core.registry.register(attested.clone(), id, &caller.sent_id, core.clock.now()).ok_or(DpsRefusal::Throttled)?;
    // Without an operational certificate, the one that it attested with is the device's credential at the hub.
    let own = attested.x509.as_ref().filter(|_| csr.is_none() || policy.is_none());
    device.with(|state| state.thumbprint = own.map(|proof| proof.leaf.sha256_thumbprint.as_str().into()));
    let operations = &core.registry.operations;
    let outage = core.faults.ca_outage(begun).filter(|_| csr.is_some() && policy.is_some());
    let ready_at = match outage {
        Some(CaOutage::Until(back)) => ready_at.max(back),
        Some(CaOutage::Fails) | None => ready_at,
    };
    let operation = operations.begin(Arc::clone(id), begun, ready_at).ok_or(DpsRefusal::Throttled)?;
    if outage.is_some() {
        core.tally.count(Event::FaultCaOutage);
    }
    match (csr, policy) {
        (Some(_), Some(_)) if outage == Some(CaOutage::Fails) => operation.finish(OperationOutcome::Failed {
            code: 500_000,
            message: "The certificate authority is not available.".to_owned(),
            at: core.clock.now(),
        }),
        (Some(csr), Some(policy)) => {
            let unique_id = device.with(|state| state.unique_id);
            let done = Provisional { registration, device, operation: Arc::clone(&operation) };
            issue(core, policy, csr, done, unique_id).map_err(|Busy| {
                operations.cancel(&operation);
                DpsRefusal::Throttled
            })?;
        }
        _ => {
            let done = Provisional { registration, device, operation: Arc::clone(&operation) };
            done.assign(core).map_err(|Busy| {
                operations.cancel(&operation);
                DpsRefusal::Throttled
            })?;
        }
    }
    core.tally.count(Event::Registered);
    Ok(Answer::accepted(&operation, core.config.dps.retry_after_seconds))
}

/// The CSR of a request in DER, if it has one and may have.
fn csr_of(request: &RegistrationRequest<'_>, caller: &Caller) -> Result<Option<Vec<u8>>, DpsRefusal> {
    match &request.csr {
        None => Ok(None),
        Some(_) if *caller.api_version < *FIRST_WITH_CSR => Err(DpsRefusal::Deserialization),
        Some(text) if text.is_empty() => Err(DpsRefusal::Deserialization),
        Some(text) => decode_csr(text).map(Some).map_err(|_| DpsRefusal::Deserialization),
    }
}

/// A body may leave the registration id out, but not name another one.
fn named_itself(request: &RegistrationRequest<'_>, caller: &Caller) -> Result<(), DpsRefusal> {
    match &request.registration_id {
        Some(named) if !named.eq_ignore_ascii_case(&caller.registration_id) => Err(DpsRefusal::OtherDevice),
        _ => Ok(()),
    }
}

/// A registration that only waits for its certificate, if it gets one.
struct Provisional {
    registration: Registration,
    device: Arc<Device>,
    operation: Arc<Operation>,
}

impl Provisional {
    /// Ends the operation well, without a certificate, once the registration is on the disk.
    fn assign(self, core: &Core) -> Result<(), Busy> {
        let Self { registration, device, operation } = self;
        let Some(journal) = &core.journal else {
            operation.finish(OperationOutcome::Assigned(Box::new(Assignment { registration, chain: None })));
            return Ok(());
        };
        let changes = vec![Change::Registered(registration.clone(), device)];
        journal.try_record_then(changes, move || {
            operation.finish(OperationOutcome::Assigned(Box::new(Assignment { registration, chain: None })));
        })
    }

    /// Ends the operation well, with a certificate, once all of it is on the disk. On the thread that signed it.
    fn assign_issued(self, core: &Core, issued: IssuedCertificate) {
        let Self { registration, device, operation } = self;
        let IssuedCertificate { chain, serial } = issued;
        let journal = core.journal.as_ref();
        let changes = journal.map(|_| vec![Change::Registered(registration.clone(), device), Change::Issued(serial)]);
        let finish = move || {
            operation.finish(OperationOutcome::Assigned(Box::new(Assignment { registration, chain: Some(chain) })));
        };
        match (journal, changes) {
            (Some(journal), Some(changes)) => journal.record_then(changes, finish),
            _ => finish(),
        }
    }
}

/// Gives a CSR to the authority; the operation ends when it has been dealt with.
fn issue(
    core: &Arc<Core>,
    policy: Arc<CredentialPolicy>,
    csr: Vec<u8>,
    done: Provisional,
    unique_id: Uuid,
) -> Result<(), Busy> {
    let subject = CertificateSubject {
        csr_name: Arc::clone(&done.registration.registration_id),
        device_id: Arc::clone(&done.registration.device_id),
        unique_id,
    };
    let shared = Arc::clone(core);
    // What the authority refuses at first sight is not kept for it.
    let at_once = csr.len() > MAX_DER_LENGTH;
    let job = move || {
        let now = shared.clock.now();
        match policy.issue(&csr, &subject, now) {
            Ok(issued) => {
                shared.tally.count(Event::Issued);
                done.assign_issued(&shared, issued);
            }
            Err(error) => {
                shared.tally.count(Event::CsrRefused);
                done.operation.finish(OperationOutcome::Failed { code: 400_000, message: error.to_string(), at: now });
            }
        }
    };
    if at_once {
        job();
        return Ok(());
    }
    core.issuance.submit(job)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crossbeam_channel::Sender;
    use serde_json::Value;

    use super::*;
    use crate::domain::{CryptoProvider, KeyAlgorithm};
    use crate::emulator::config::Config;
    use crate::emulator::dps::{Introduction, operation_status};
    use crate::pki::csr;
    use crate::pki::key::DeviceKey;

    /// The authority's threads are busy and its queue is full.
    #[tokio::test(start_paused = true)]
    async fn a_csr_that_is_too_long_is_refused_and_not_kept() {
        let mut config = Config::default();
        (config.adr.issuance_threads, config.adr.issuance_queue) = (1, 1);
        let core = Core::new(config).unwrap();
        let busy = core.issuance.keep_busy();
        let token = core.group_key.derive("dev1").sign("0ne00000001/registrations/dev1", u64::MAX, None).to_text();
        let introduction = Introduction {
            id_scope: "0ne00000001",
            registration_id: "dev1",
            api_version: Some(FIRST_WITH_CSR),
            token: &token,
            certificates: Vec::new(),
        };
        let caller = Caller::new(introduction).unwrap();
        let register = |length| {
            let csr = STANDARD.encode(vec![0x30; length]);
            register(&core, &caller, format!(r#"{{"csr":"{csr}"}}"#).as_bytes()).0.status
        };
        assert_eq!((register(MAX_DER_LENGTH), register(MAX_DER_LENGTH + 1)), (429, 202));
        assert_eq!(core.tally.snapshot().get(Event::CsrRefused), 1);
        drop(busy);
    }

    /// A core that keeps state, whose disk stands still until something is sent.
    fn with_stalled_disk(folder: &std::path::Path) -> (Arc<Core>, Sender<()>) {
        let mut config = Config { state: Some(folder.to_owned()), ..Config::default() };
        config.adr.issue_inline = true;
        let core = Core::new(config).unwrap();
        let go = core.journal.as_ref().unwrap().stand_still();
        (core, go)
    }

    fn caller(core: &Core, id: &str) -> Caller {
        let expiry = core.clock.unix_seconds() + 60;
        let token = core.group_key.derive(id).sign(&format!("0ne00000001/registrations/{id}"), expiry, None);
        let introduction = Introduction {
            id_scope: "0ne00000001",
            registration_id: id,
            api_version: Some("2025-07-01-preview"),
            token: &token.to_text(),
            certificates: Vec::new(),
        };
        Caller::new(introduction).unwrap()
    }

    fn json(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[tokio::test]
    async fn nobody_is_told_assigned_before_it_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
        let with_csr = format!(r#"{{"csr":"{}"}}"#, csr::to_base64(&csr::build(&key, "dev1").unwrap()));
        for body in ["{}", &with_csr] {
            let (core, go) = with_stalled_disk(folder.path());
            let caller = caller(&core, "dev1");
            let accepted = register(&core, &caller, body.as_bytes()).0;
            let operation = json(&accepted.body)["operationId"].as_str().unwrap().to_owned();
            let ask = || json(&operation_status(&core, &caller, &operation).body)["status"].clone();
            assert_eq!((accepted.status, ask()), (202, "assigning".into()), "{body}");
            go.send(()).unwrap();
            assert!(core.durable().await);
            assert_eq!(ask(), "assigned", "{body}");
        }
    }
}
