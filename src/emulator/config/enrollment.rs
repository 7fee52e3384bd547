use std::path::PathBuf;

use super::{DEFAULT_POLICY, credential_policy};
use crate::domain::RegistrationId;
use crate::pki::sas::SymmetricKey;
use crate::settings::declare::settings;
use crate::settings::expect::{Expect, boolean, list, path, text};

settings! {
    /// The symmetric-key enrollment group that is there from the start.
    pub struct Group {
        /// Its id.
        pub id: String = value("fleet".to_owned(), text("the id of the enrollment group"));
        /// Primary key; random when absent. Never in a file of settings: the command line reads it from a file or the
        /// environment.
        pub primary_key: Option<SymmetricKey> = unread;
        /// Secondary key; random when absent.
        pub secondary_key: Option<SymmetricKey> = unread;
        /// Refuse its devices.
        pub disabled: bool = value(false, boolean());
        /// Devices that send a CSR get a certificate of this policy; an empty text means none.
        pub credential_policy: String = value(DEFAULT_POLICY.to_owned(), credential_policy());
    }
}

settings! {
    /// Another enrollment group (`[[groups]]`). It has one kind of attestation: `ca_references`, `signing_certificate_files`
    /// or a key, which is random when nothing is named.
    pub struct GroupEntry {
        /// Its id.
        pub id: String = required(text("the id of the enrollment group"));
        /// One or two names of `[[ca_certificates]]`.
        pub ca_references: Vec<String> = value(Vec::new(), two("names of `[[ca_certificates]]`", text("a name")));
        /// One or two files with the certificate (PEM) of an authority that signs the group's devices; only the first
        /// certificate of a file counts.
        pub signing_certificate_files: Vec<PathBuf> = value(Vec::new(), certificate_files());
        /// The certificates (DER), read from the files by the command line.
        pub signing_certificates: Vec<Vec<u8>> = unread;
        /// File with the primary key in base64.
        pub primary_key_file: Option<PathBuf> = optional(key_file());
        /// Primary key, read from the file by the command line.
        pub primary_key: Option<SymmetricKey> = unread;
        /// Refuse its devices.
        pub disabled: bool = value(false, boolean());
        /// Devices that send a CSR get a certificate of this policy; an empty text means none.
        pub credential_policy: String = value(DEFAULT_POLICY.to_owned(), credential_policy());
    }
}

settings! {
    /// An individual enrollment with a symmetric key or with certificates.
    pub struct Individual {
        /// The registration id.
        pub registration_id: String = required(registration_id());
        /// The device id at the hub; the registration id when absent.
        pub device_id: Option<String> = optional(text("the device id at the hub"));
        /// File with the primary key in base64.
        pub primary_key_file: Option<PathBuf> = optional(key_file());
        /// Primary key, read from the file by the command line; random when absent.
        pub primary_key: Option<SymmetricKey> = unread;
        /// One or two files with the device's own certificate (PEM), of which it must present one; only the first
        /// certificate of a file counts.
        pub certificate_files: Vec<PathBuf> = value(Vec::new(), certificate_files());
        /// The certificates (DER), read from the files by the command line.
        pub certificates: Vec<Vec<u8>> = unread;
        /// Refuse the device.
        pub disabled: bool = value(false, boolean());
        /// As of the group.
        pub credential_policy: String = value(DEFAULT_POLICY.to_owned(), credential_policy());
    }
}

settings! {
    /// A CA certificate that is uploaded from the start (`[[ca_certificates]]`).
    pub struct CaEntry {
        /// Its name, for `ca_references` of groups.
        pub name: String = required(text("the name of the CA certificate"));
        /// File with the certificate (PEM); only the first certificate counts.
        pub file: PathBuf = required(path("a PEM file with the certificate"));
        /// The certificate (DER), read from the file by the command line.
        pub certificate: Vec<u8> = unread;
        /// Whether the possession of its key counts as proved. Devices are let in by verified ones only.
        pub verified: bool = value(true, boolean());
    }
}

fn registration_id() -> Expect<String> {
    text("the registration id of a device")
        .then(|id| RegistrationId::new(&id).map(|_| id).map_err(|error| error.to_string()))
}

fn key_file() -> Expect<PathBuf> {
    path("a file with the primary key in base64")
}

fn certificate_files() -> Expect<Vec<PathBuf>> {
    two("PEM files with a certificate each", path("the name of a file"))
}

/// A primary and a secondary, the latter of which may be missing, or neither.
fn two<T: 'static>(what: &str, item: Expect<T>) -> Expect<Vec<T>> {
    list(&format!("a list of one or two {what}"), 2, item)
}

impl GroupEntry {
    /// A group by the authority whose certificate (PEM) is in `file`.
    pub fn by_signing_certificate(id: &str, file: PathBuf) -> Self {
        Self { signing_certificate_files: vec![file], ..Self::by_ca_references(id, &[]) }
    }

    /// A group by the CA certificates of these names.
    pub fn by_ca_references(id: &str, names: &[&str]) -> Self {
        Self { ca_references: names.iter().map(|name| (*name).to_owned()).collect(), ..Self::new(id) }
    }

    /// A group by one or two authorities' certificates (DER).
    pub fn by_signing_certificates(id: &str, certificates: Vec<Vec<u8>>) -> Self {
        Self { signing_certificates: certificates, ..Self::new(id) }
    }

    fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }
}

impl Individual {
    /// An enrollment with a random key.
    pub fn new(registration_id: &str) -> Self {
        Self { registration_id: registration_id.to_owned(), ..Self::default() }
    }
}

impl CaEntry {
    /// A certificate (DER) that is verified.
    pub fn new(name: &str, certificate: Vec<u8>) -> Self {
        Self { name: name.to_owned(), certificate, ..Self::default() }
    }
}
