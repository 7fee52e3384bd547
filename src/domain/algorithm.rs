use crate::domain::named;
use std::str::FromStr;

named! {
    /// Key pair algorithm of a device or certificate authority.
    ///
    /// ADR documents only P-384 for device keys, live services were seen to accept P-256 and RSA-2048 too.
    #[derive(Hash, PartialOrd, Ord)]
    pub enum KeyAlgorithm {
        /// ECDSA on NIST P-256, signing with SHA-256.
        EcdsaP256 = "ecdsa-p256",
        /// ECDSA on NIST P-384, signing with SHA-384.
        EcdsaP384 = "ecdsa-p384",
        /// RSA with a 2048-bit modulus, PKCS#1 v1.5 with SHA-256.
        Rsa2048 = "rsa-2048",
        /// RSA with a 3072-bit modulus, PKCS#1 v1.5 with SHA-256.
        Rsa3072 = "rsa-3072",
        /// RSA with a 4096-bit modulus, PKCS#1 v1.5 with SHA-256.
        Rsa4096 = "rsa-4096",
    }
}

impl KeyAlgorithm {
    /// Modulus length in bits, `None` for elliptic curves.
    pub const fn rsa_bits(self) -> Option<usize> {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 => None,
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|a| a.name() == text).ok_or_else(|| {
            format!("unknown key algorithm `{text}`: use one of {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

named! {
    /// Which library makes keys and signatures.
    #[derive(Hash, Default)]
    pub enum CryptoProvider {
        /// aws-lc-rs: fastest on P-384, and the only one of the two that generates RSA keys.
        #[default]
        AwsLc = "aws-lc-rs",
        /// ring: ECDSA only.
        Ring = "ring",
    }
}

named! {
    /// Where the keys of devices come from.
    #[derive(Default)]
    pub enum KeySource {
        /// Randomness of the operating system, made a little ahead of need while devices come.
        #[default]
        Fresh = "fresh",
        /// Randomness of the operating system, all made before the first device is due.
        PreGenerated = "pre-generated",
        /// One key for all devices of a class, as cloned images have it; every device has a CSR of its own.
        Shared = "shared",
        /// Drawn from the seed of the run, the same on every run: for tests only, marked in the report.
        Seeded = "seeded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_read_as_they_are_shown() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let bits = algorithm.name().strip_prefix("rsa-").map(|bits| bits.parse().unwrap());
            assert_eq!(algorithm.rsa_bits(), bits);
        }
        let error = "ed25519".parse::<KeyAlgorithm>().unwrap_err();
        assert!(error.starts_with("unknown key algorithm `ed25519`: use one of ecdsa-p256, "), "{error}");
    }
}
