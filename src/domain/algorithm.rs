use std::fmt;
use std::str::FromStr;

/// Key pair algorithm of a device or certificate authority.
///
/// ADR documents only P-384 for device keys, live services were seen to accept P-256 and RSA-2048 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256, signing with SHA-256.
    EcdsaP256,
    /// ECDSA on NIST P-384, signing with SHA-384.
    EcdsaP384,
    /// RSA with a 2048-bit modulus, PKCS#1 v1.5 with SHA-256.
    Rsa2048,
    /// RSA with a 3072-bit modulus, PKCS#1 v1.5 with SHA-256.
    Rsa3072,
    /// RSA with a 4096-bit modulus, PKCS#1 v1.5 with SHA-256.
    Rsa4096,
}

impl KeyAlgorithm {
    /// Every algorithm, in the order of documentation.
    pub const ALL: [Self; 5] = [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The name used in scenarios, reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

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

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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

/// Which library makes keys and signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CryptoProvider {
    /// aws-lc-rs: fastest on P-384, and the only one of the two that generates RSA keys.
    #[default]
    AwsLc,
    /// ring: ECDSA only.
    Ring,
}

impl CryptoProvider {
    /// The name used in scenarios, reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "aws-lc-rs",
            Self::Ring => "ring",
        }
    }
}

impl fmt::Display for CryptoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CryptoProvider {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::AwsLc, Self::Ring]
            .into_iter()
            .find(|p| p.name() == text)
            .ok_or_else(|| format!("unknown crypto provider `{text}`: use aws-lc-rs or ring"))
    }
}

/// Where the keys of devices come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeySource {
    /// Randomness of the operating system, made a little ahead of need while devices come.
    #[default]
    Fresh,
    /// Randomness of the operating system, all made before the first device is due.
    PreGenerated,
    /// One key for all devices of a class, as cloned images have it; every device has a CSR of its own.
    Shared,
    /// Drawn from the seed of the run, the same on every run: for tests only, marked in the report.
    Seeded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_and_providers_are_read_as_they_are_shown() {
        for algorithm in KeyAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let bits = algorithm.name().strip_prefix("rsa-").map(|bits| bits.parse().unwrap());
            assert_eq!(algorithm.rsa_bits(), bits);
        }
        for provider in [CryptoProvider::AwsLc, CryptoProvider::Ring] {
            assert_eq!(provider.to_string().parse(), Ok(provider));
        }
        let error = "ed25519".parse::<KeyAlgorithm>().unwrap_err();
        assert!(error.starts_with("unknown key algorithm `ed25519`: use one of ecdsa-p256, "), "{error}");
        let error = "openssl".parse::<CryptoProvider>().unwrap_err();
        assert_eq!(error, "unknown crypto provider `openssl`: use aws-lc-rs or ring");
    }
}
