use std::time::{Duration, SystemTime};

use super::*;
use crate::domain::KeyAlgorithm;
use crate::emulator::registry::enrollment::CertificatePair;
use crate::pki::bootstrap;
use crate::pki::ca::CertificateAuthority;
use crate::pki::possession::PossessionError;
use crate::pki::sas::SymmetricKey;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn ca() -> CertificateAuthority {
    bootstrap::root("root", KeyAlgorithm::EcdsaP256, 3650, now()).unwrap()
}

fn by_key(id: &str, kind: EnrollmentKind) -> Enrollment {
    let attestation =
        EnrollmentAttestation::SymmetricKey { primary: SymmetricKey::random(), secondary: SymmetricKey::random() };
    let scope = match kind {
        EnrollmentKind::Group => Scope::Group,
        EnrollmentKind::Individual => Scope::Individual { device_id: None },
    };
    Enrollment::new(id, scope, attestation, now())
}

#[test]
fn enrollments_are_stored_listed_changed_and_deleted_on_condition() {
    let enrollments = Enrollments::new(false, None);
    for kind in [EnrollmentKind::Individual, EnrollmentKind::Group] {
        for id in ["b", "C", "a"] {
            enrollments.put(by_key(id, kind), Condition::None, now()).unwrap();
        }
        let ids = |after: Option<&str>, count| {
            enrollments.list(kind, after, count).iter().map(|e| e.id.to_ascii_lowercase()).collect::<Vec<_>>()
        };
        assert_eq!(ids(None, 10).len(), 3);
        let first = enrollments.list(kind, None, 1).remove(0);
        let pages: Vec<_> = [ids(None, 1), ids(Some(&first.id), 10)].concat();
        assert_eq!(pages, ids(None, 10));

        let first = enrollments.get(kind, "A").unwrap();
        let tag = first.revision.etag.to_string();
        let later = now() + Duration::from_secs(1);
        let second = enrollments.put(by_key("A", kind), Condition::Tags(&tag), later).unwrap();
        assert_eq!((second.revision.created, second.revision.updated), (now(), later));
        let stale = enrollments.put(by_key("a", kind), Condition::Tags(&tag), later);
        assert_eq!(stale.unwrap_err(), ChangeError::Precondition);
        assert_eq!(enrollments.delete(kind, "a", Condition::Tags(&tag)), Err(ChangeError::Precondition));
        assert_eq!(enrollments.delete(kind, "a", Condition::Exists), Ok(()));
        assert_eq!(enrollments.delete(kind, "a", Condition::None), Err(ChangeError::NotFound));
        assert!(enrollments.get(kind, "a").is_none());
        let absent = enrollments.put(by_key("a", kind), Condition::Exists, now());
        assert_eq!(absent.unwrap_err(), ChangeError::Precondition);
    }
}

#[test]
fn there_are_as_many_groups_as_the_service_allows() {
    let enrollments = Enrollments::new(false, None);
    for i in 0..Enrollments::MAX_GROUPS {
        enrollments.put(by_key(&format!("g{i}"), EnrollmentKind::Group), Condition::None, now()).unwrap();
    }
    let one_more = enrollments.put(by_key("more", EnrollmentKind::Group), Condition::None, now());
    assert_eq!(one_more.unwrap_err(), ChangeError::TooMany(Enrollments::MAX_GROUPS));
    assert!(
        enrollments.put(by_key("g0", EnrollmentKind::Group), Condition::None, now()).is_ok(),
        "it is there already"
    );
}

#[test]
fn a_device_of_a_group_derives_its_key_from_its_id_as_it_writes_it_or_in_lower_case() {
    let group = by_key("g", EnrollmentKind::Group);
    let EnrollmentAttestation::SymmetricKey { primary, secondary } = &group.attestation else { panic!("it has keys") };
    for key in [primary, secondary] {
        let verifies = |sent: &str, derived: &str| {
            group.verifies(&key.derive(derived).sign("0ne00000001/registrations/dev1", 1_800_000_000, None), sent)
        };
        assert!(verifies("Dev1", "Dev1") && verifies("Dev1", "dev1") && !verifies("Dev1", "DEV1"));
        assert!(verifies("dev1", "dev1") && !verifies("dev1", "Dev1"));
    }
}

#[test]
fn attestation_fits_the_kind_of_enrollment() {
    let (enrollments, ca) = (Enrollments::new(false, None), ca());
    let pair = || CertificatePair::new(ca.der(), None).unwrap();
    let put = |scope, attestation| {
        enrollments.put(Enrollment::new("x", scope, attestation, now()), Condition::None, now()).map(drop)
    };
    let individual = || Scope::Individual { device_id: None };
    let references = |name: &str| EnrollmentAttestation::CaReferences { primary: name.into(), secondary: None };
    assert!(matches!(
        put(Scope::Group, EnrollmentAttestation::ClientCertificates(pair())),
        Err(ChangeError::Attestation(_))
    ));
    assert!(matches!(
        put(individual(), EnrollmentAttestation::SigningCertificates(pair())),
        Err(ChangeError::Attestation(_))
    ));
    assert!(matches!(put(individual(), references("ca")), Err(ChangeError::Attestation(_))));
    assert_eq!(put(Scope::Group, references("ca")), Err(ChangeError::UnknownCa("ca".into())));
    enrollments.put_ca("ca", ca.der(), false, Condition::None, now()).unwrap();
    assert_eq!(put(Scope::Group, references("ca")), Ok(()));
    assert_eq!(put(Scope::Group, EnrollmentAttestation::SigningCertificates(pair())), Ok(()));
    assert_eq!(put(individual(), EnrollmentAttestation::ClientCertificates(pair())), Ok(()));
}

#[test]
fn a_ca_certificate_is_verified_by_a_proof_with_its_code() {
    let (enrollments, ca) = (Enrollments::new(false, None), ca());
    let proof = |code: &str| bootstrap::proof_of_possession(&ca, code, 30, now()).unwrap();
    let verify = |code: &str, at| enrollments.verify_ca("ca", &proof(code), Condition::None, at).map(|ca| ca.verified);
    assert_eq!(verify("C0DE", now()), Err(ChangeError::NotFound));
    let uploaded = enrollments.put_ca("ca", ca.der(), false, Condition::None, now()).unwrap();
    assert_eq!(verify("C0DE", now()), Err(ChangeError::Verification(VerificationError::NoCode)));
    let tag = uploaded.revision.etag.to_string();
    let with_code = enrollments.generate_code("ca", Condition::Tags(&tag), now()).unwrap();
    let stale = enrollments.generate_code("ca", Condition::Tags(&tag), now());
    assert_eq!(stale.unwrap_err(), ChangeError::Precondition);
    let code = with_code.verification_code.unwrap().code;
    assert_eq!(code.len(), 48);
    let wrong = ChangeError::Verification(VerificationError::Proof(PossessionError::Code));
    assert_eq!(verify("C0DE", now()), Err(wrong));
    let (life, no_code) = (Duration::from_secs(1800), || Err(ChangeError::Verification(VerificationError::NoCode)));
    assert_eq!(verify(&code, now() + life), no_code());
    let next = enrollments.generate_code("ca", Condition::None, now()).unwrap().verification_code.unwrap().code;
    let old = ChangeError::Verification(VerificationError::Proof(PossessionError::Code));
    assert_eq!(verify(&code, now()), Err(old), "only the last code counts");
    assert_eq!(verify(&next, now() + life - Duration::from_secs(1)), Ok(true));
    assert_eq!(verify(&next, now()), no_code(), "a code is good once");
    assert!(enrollments.ca("ca").unwrap().verified);
    assert_eq!(enrollments.cas().len(), 1);
    assert_eq!(enrollments.delete_ca("ca", Condition::None), Ok(()));
    assert_eq!(enrollments.delete_ca("ca", Condition::None), Err(ChangeError::NotFound));
}

#[test]
fn there_are_as_many_ca_certificates_as_the_service_allows() {
    let (enrollments, ca) = (Enrollments::new(false, None), ca());
    let put = |name: &str| enrollments.put_ca(name, ca.der(), true, Condition::None, now()).map(drop);
    for i in 0..Enrollments::MAX_CAS {
        assert_eq!(put(&format!("ca{i}")), Ok(()));
    }
    assert_eq!(put("more"), Err(ChangeError::TooMany(Enrollments::MAX_CAS)));
    assert_eq!(put("ca0"), Ok(()));
    assert_eq!(
        enrollments.put_ca("ca0", b"junk", true, Condition::None, now()).unwrap_err(),
        ChangeError::NotAuthority
    );
}
