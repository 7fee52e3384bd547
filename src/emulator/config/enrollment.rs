use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::default_policy;
use crate::pki::sas::SymmetricKey;

/// The symmetric-key enrollment group that is there from the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Primary key; random when absent. Never in a file of settings: the command line reads it from a file or the
    /// environment.
    #[serde(skip)]
    pub primary_key: Option<SymmetricKey>,
    /// Secondary key; random when absent.
    #[serde(skip)]
    pub secondary_key: Option<SymmetricKey>,
    /// Refuse its devices.
    pub disabled: bool,
    /// Devices that send a CSR get a certificate of this policy; an empty text means none.
    pub credential_policy: String,
}

/// Another enrollment group (`[[groups]]`). It has one kind of attestation: `ca_references`, `signing_certificate_files`
/// or a key, which is random when nothing is named.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// Its id.
    pub id: String,
    /// One or two names of `[[ca_certificates]]`.
    #[serde(default)]
    pub ca_references: Vec<String>,
    /// One or two files with the certificate (PEM) of an authority that signs the group's devices; only the first
    /// certificate of a file counts.
    #[serde(default)]
    pub signing_certificate_files: Vec<PathBuf>,
    /// The certificates (DER), read from the files by the command line.
    #[serde(skip)]
    pub signing_certificates: Vec<Vec<u8>>,
    /// File with the primary key in base64.
    #[serde(default)]
    pub primary_key_file: Option<PathBuf>,
    /// Primary key, read from the file by the command line.
    #[serde(skip)]
    pub primary_key: Option<SymmetricKey>,
    /// Refuse its devices.
    #[serde(default)]
    pub disabled: bool,
    /// Devices that send a CSR get a certificate of this policy; an empty text means none.
    #[serde(default = "default_policy")]
    pub credential_policy: String,
}

/// An individual enrollment with a symmetric key or with certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Individual {
    /// The registration id.
    pub registration_id: String,
    /// The device id at the hub; the registration id when absent.
    #[serde(default)]
    pub device_id: Option<String>,
    /// File with the primary key in base64.
    #[serde(default)]
    pub primary_key_file: Option<PathBuf>,
    /// Primary key, read from the file by the command line; random when absent.
    #[serde(skip)]
    pub primary_key: Option<SymmetricKey>,
    /// One or two files with the device's own certificate (PEM), of which it must present one; only the first
    /// certificate of a file counts.
    #[serde(default)]
    pub certificate_files: Vec<PathBuf>,
    /// The certificates (DER), read from the files by the command line.
    #[serde(skip)]
    pub certificates: Vec<Vec<u8>>,
    /// Refuse the device.
    #[serde(default)]
    pub disabled: bool,
    /// As of the group.
    #[serde(default = "default_policy")]
    pub credential_policy: String,
}

/// A CA certificate that is uploaded from the start (`[[ca_certificates]]`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaEntry {
    /// Its name, for `ca_references` of groups.
    pub name: String,
    /// File with the certificate (PEM); only the first certificate counts.
    pub file: PathBuf,
    /// The certificate (DER), read from the file by the command line.
    #[serde(skip)]
    pub certificate: Vec<u8>,
    /// Whether the possession of its key counts as proved. Devices are let in by verified ones only.
    #[serde(default = "verified")]
    pub verified: bool,
}

const fn verified() -> bool {
    true
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
        Self {
            id: id.to_owned(),
            ca_references: Vec::new(),
            signing_certificate_files: Vec::new(),
            signing_certificates: Vec::new(),
            primary_key_file: None,
            primary_key: None,
            disabled: false,
            credential_policy: default_policy(),
        }
    }
}

impl Individual {
    /// An enrollment with a random key.
    pub fn new(registration_id: &str) -> Self {
        Self {
            registration_id: registration_id.to_owned(),
            device_id: None,
            primary_key_file: None,
            primary_key: None,
            certificate_files: Vec::new(),
            certificates: Vec::new(),
            disabled: false,
            credential_policy: default_policy(),
        }
    }
}

impl CaEntry {
    /// A certificate (DER) that is verified.
    pub fn new(name: &str, certificate: Vec<u8>) -> Self {
        Self { name: name.to_owned(), file: PathBuf::new(), certificate, verified: true }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            id: "fleet".to_owned(),
            primary_key: None,
            secondary_key: None,
            disabled: false,
            credential_policy: default_policy(),
        }
    }
}
