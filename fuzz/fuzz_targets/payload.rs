//! JSON bodies of DPS and of certificate renewal, on both sides.
#![no_main]

use fleetstorm::protocol::payload::{
    CertificatesIssued, CheckedRequest, ErrorDetails, OperationStatus, RegistrationRequest, RenewalAccepted,
    RenewalError, decode_chain, decode_csr,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = RegistrationRequest::parse(body)
        && let Some(csr) = &request.csr
    {
        let _ = decode_csr(csr);
    }
    if let Ok(status) = OperationStatus::parse(body)
        && let Some(chain) = status.registration_state.and_then(|state| state.issued_certificate_chain)
    {
        let _ = decode_chain(&chain);
    }
    let _ = ErrorDetails::parse(body);
    let _ = CheckedRequest::parse(body, "device");
    let _ = RenewalAccepted::parse(body);
    let _ = CertificatesIssued::parse(body);
    let _ = RenewalError::parse(body);
});
