//! JSON bodies of both sides: of registrations and renewals, and of their answers.
#![no_main]

use fleetstorm::protocol::payload::{
    CertificatesIssued, CheckedRequest, ErrorDetails, OperationStatus, RegistrationRequest, RenewalAccepted,
    RenewalError, decode_chain, decode_csr,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = RegistrationRequest::parse(data) {
        let body = request.to_body();
        assert_eq!(RegistrationRequest::parse(&body).as_ref(), Ok(&request));
        if let Some(csr) = &request.csr {
            let _ = decode_csr(csr);
        }
    }
    if let Ok(status) = OperationStatus::parse(data) {
        let _ = status.to_body();
        if let Some(chain) = status.registration_state.as_ref().and_then(|s| s.issued_certificate_chain.as_ref()) {
            let _ = decode_chain(chain);
        }
    }
    let _ = CheckedRequest::parse(data, "dev1");
    if let Ok(issued) = CertificatesIssued::parse(data) {
        let _ = decode_chain(&issued.certificates);
    }
    if let Some(error) = RenewalError::parse(data) {
        let _ = error.to_body();
    }
    if let Some(error) = ErrorDetails::parse(data) {
        let _ = error.to_body();
    }
    let _ = RenewalAccepted::parse(data);
});
