use std::path::PathBuf;
use std::time::Duration;

use crate::domain::{CryptoProvider, InvalidId, KeyAlgorithm, KeySource, RegistrationId, TlsVersions, Transport};
use crate::scenario::expect::{self, Expect, choice, count};
use crate::scenario::reader::Section;
use crate::scenario::{BehaviourPreset, DeviceClass, Mix, Network};

/// The devices of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Number of devices, 1 to [`Self::MAX_DEVICES`].
    pub devices: u32,
    /// How their registration ids are made.
    pub registration_id: IdPattern,
    /// Library that makes keys, signatures and TLS.
    pub crypto_provider: CryptoProvider,
    /// Validity of their SAS tokens for DPS (fleet time).
    pub token_life: Duration,
    /// The kinds of devices, at least one.
    pub classes: Vec<DeviceClass>,
    /// Which device is of which class.
    pub mix: Mix,
}

/// How the devices of a fleet prove to DPS who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// A key derived from the enrollment group's key.
    SymmetricKey,
    /// A bootstrap certificate each, from the folder that `fleetstorm pki` made. Its key is another one than the CSR's.
    X509 {
        /// The folder, with a subfolder `devices`.
        bootstrap_dir: PathBuf,
    },
}

impl Fleet {
    /// Most devices of one run: DPS holds a million registrations per instance.
    pub const MAX_DEVICES: u32 = 1_000_000;

    /// The class of a device.
    pub fn class_of(&self, device: u32) -> &DeviceClass {
        &self.classes[self.mix.class_of(device)]
    }

    /// Whether any device is of a class that is so.
    pub fn any(&self, is: impl FnMut(&DeviceClass) -> bool) -> bool {
        self.classes.iter().any(is)
    }
}

/// A pattern such as `dev-{index:06}`: registration ids made from the index of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPattern {
    prefix: String,
    width: usize,
    suffix: String,
}

impl IdPattern {
    const VALID: &str = "a pattern such as \"dev-{index:06}\": letters, digits and - . _ : around one {index}, \
                         which :0N fills with zeros to N digits";

    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let (prefix, rest) = text.split_once('{').ok_or("it has no {index}, so all devices would be the same one")?;
        let (field, suffix) = rest.split_once('}').ok_or("its { is never closed")?;
        let width = match field.strip_prefix("index") {
            Some("") => 0,
            Some(format) => {
                let digits = format.strip_prefix(":0").filter(|d| d.len() == 1);
                digits.and_then(|d| d.parse().ok()).ok_or_else(|| format!("{{index{format}}} is not {{index:0N}}"))?
            }
            None => return Err(format!("{{{field}}} is not {{index}}")),
        };
        let pattern = Self { prefix: prefix.to_owned(), width, suffix: suffix.to_owned() };
        let longest = pattern.registration_id(Fleet::MAX_DEVICES - 1).map_err(|e| e.to_string())?;
        // The id becomes the common name of the certificate.
        if longest.as_str().len() > RegistrationId::MAX_LENGTH_X509 {
            return Err(format!(
                "ids get longer than the {} characters of a common name",
                RegistrationId::MAX_LENGTH_X509
            ));
        }
        Ok(pattern)
    }

    /// The id of one device, in lower case.
    ///
    /// # Errors
    /// Never for an index below [`Fleet::MAX_DEVICES`].
    pub fn registration_id(&self, index: u32) -> Result<RegistrationId, InvalidId> {
        RegistrationId::new(&format!("{}{index:0width$}{}", self.prefix, self.suffix, width = self.width))
    }
}

const ALGORITHMS: &[(&str, KeyAlgorithm)] = &{
    let all = KeyAlgorithm::ALL;
    [
        (all[0].name(), all[0]),
        (all[1].name(), all[1]),
        (all[2].name(), all[2]),
        (all[3].name(), all[3]),
        (all[4].name(), all[4]),
    ]
};
const PROVIDERS: &[(&str, CryptoProvider)] =
    &[(CryptoProvider::AwsLc.name(), CryptoProvider::AwsLc), (CryptoProvider::Ring.name(), CryptoProvider::Ring)];
const KEYS: &[(&str, KeySource)] = &[("fresh", KeySource::Fresh), ("seeded", KeySource::Seeded)];
const TLS: &[(&str, TlsVersions)] = &[
    (TlsVersions::Any.name(), TlsVersions::Any),
    (TlsVersions::Tls12.name(), TlsVersions::Tls12),
    (TlsVersions::Tls13.name(), TlsVersions::Tls13),
];

const TRANSPORTS: &[(&str, Transport)] = &[
    (Transport::Mqtt.name(), Transport::Mqtt),
    (Transport::MqttWebSocket.name(), Transport::MqttWebSocket),
    (Transport::Https.name(), Transport::Https),
];

/// [`Attestation`] without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AttestationKind {
    SymmetricKey,
    X509,
}

const ATTESTATIONS: &[(&str, AttestationKind)] =
    &[("symmetric-key", AttestationKind::SymmetricKey), ("x509", AttestationKind::X509)];

fn read_attestation(section: &mut Section<'_>) -> Option<Attestation> {
    let kind = section.or("attestation", "symmetric-key", &choice(ATTESTATIONS));
    match kind? {
        AttestationKind::SymmetricKey => {
            if section.has("bootstrap_dir") {
                section.problem(
                    "bootstrap_dir",
                    "is of no use: devices attest with a symmetric key",
                    "add attestation = \"x509\", or leave it away",
                );
            }
            Some(Attestation::SymmetricKey)
        }
        AttestationKind::X509 => {
            let folder =
                expect::text("the folder that `fleetstorm pki --dir` made").then(|text| Ok(PathBuf::from(text)));
            Some(Attestation::X509 { bootstrap_dir: section.or("bootstrap_dir", "pki", &folder)? })
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Option<Fleet> {
    let devices = section.required("devices", &count(1..=Fleet::MAX_DEVICES));
    let pattern: Expect<IdPattern> = expect::text(IdPattern::VALID).then(|text| IdPattern::new(&text));
    let registration_id = section.or("registration_id", "device-{index:06}", &pattern);
    let key_algorithm = section.or("key_algorithm", KeyAlgorithm::EcdsaP256.name(), &choice(ALGORITHMS));
    let crypto_provider = section.or("crypto_provider", CryptoProvider::default().name(), &choice(PROVIDERS));
    let keys = section.or("keys", "fresh", &choice(KEYS));
    let tls = section.or("tls", "any", &choice(TLS));
    let transport = section.or("transport", Transport::default().name(), &choice(TRANSPORTS));
    let attestation = read_attestation(&mut section);
    if let (Some(KeySource::Seeded), Some(algorithm)) = (keys, key_algorithm)
        && algorithm.rsa_bits().is_some()
    {
        section.problem(
            "keys",
            &format!("cannot be \"seeded\" for {algorithm} keys: RSA keys are not made from a seed"),
            "use keys = \"fresh\", or an ECDSA key_algorithm",
        );
    }
    if let (Some(CryptoProvider::Ring), Some(algorithm)) = (crypto_provider, key_algorithm)
        && algorithm.rsa_bits().is_some()
    {
        section.problem(
            "crypto_provider",
            &format!("cannot be \"ring\" for {algorithm} keys: ring does not generate RSA keys"),
            "use crypto_provider = \"aws-lc-rs\", or an ECDSA key_algorithm",
        );
    }
    section.finish();
    let class = DeviceClass {
        name: "all".to_owned(),
        share: 1,
        key_algorithm: key_algorithm?,
        keys: keys?,
        tls: tls?,
        tls_resumption: false,
        transport: transport?,
        attestation: attestation?,
        behaviour: BehaviourPreset::OneAttempt.behaviour(),
        network: Network::default(),
    };
    Some(Fleet {
        devices: devices?,
        registration_id: registration_id?,
        crypto_provider: crypto_provider?,
        token_life: Duration::from_secs(3_600),
        mix: Mix::new(&[class.share]),
        classes: vec![class],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lower_case_and_filled_with_zeros() {
        let id = |pattern, index| IdPattern::new(pattern).unwrap().registration_id(index).unwrap().to_string();
        assert_eq!(id("Dev-{index:04}-A", 7), "dev-0007-a");
        assert_eq!(id("d{index}", 123_456), "d123456");
    }

    #[test]
    fn patterns_that_the_service_would_refuse_are_refused() {
        for wrong in
            ["device", "d{index", "d{i}", "d{index:4}", "d{index:0x}", "d {index}", "d{index}.", "{index}{index}"]
        {
            assert!(IdPattern::new(wrong).is_err(), "{wrong}");
        }
        assert!(IdPattern::new(&format!("{}{{index}}", "d".repeat(58))).is_ok());
        assert!(IdPattern::new(&format!("{}{{index}}", "d".repeat(59))).is_err());
    }
}
