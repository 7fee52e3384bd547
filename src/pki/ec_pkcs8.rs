//! PKCS#8 of elliptic-curve keys in the full form that every library reads.

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair};
use yasna::Tag;
use yasna::models::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::domain::KeyAlgorithm;
use crate::pki::key::{KeyError, aws_ecdsa};

const EC_PUBLIC_KEY: [u64; 6] = [1, 2, 840, 10045, 2, 1];
const P256: [u64; 7] = [1, 2, 840, 10045, 3, 1, 7];
const P384: [u64; 5] = [1, 3, 132, 0, 34];

/// PKCS#8 of the key with this private scalar.
///
/// # Errors
/// [`KeyError::Library`] when the scalar is zero or not below the order of the curve.
pub(super) fn from_scalar(algorithm: KeyAlgorithm, scalar: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |_| KeyError::Library("make a key pair from a private scalar");
    let pair = EcdsaKeyPair::from_pkcs8(aws_ecdsa(algorithm), &document(algorithm, scalar, None)).map_err(failed)?;
    Ok(document(algorithm, scalar, Some(pair.public_key().as_ref())))
}

/// PKCS#8 with the public key in it, also when the document that `pair` was read from had none.
///
/// # Errors
/// [`KeyError::Library`] when the library does not give the scalar.
pub(super) fn of_pair(algorithm: KeyAlgorithm, pair: &EcdsaKeyPair) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let scalar = pair.private_key().as_be_bytes().map_err(|_| KeyError::Library("encode a private key"))?;
    Ok(document(algorithm, scalar.as_ref(), Some(pair.public_key().as_ref())))
}

/// OneAsymmetricKey (RFC 5958) with an ECPrivateKey (RFC 5915).
fn document(algorithm: KeyAlgorithm, scalar: &[u8], public: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    let curve: &[u64] = if algorithm == KeyAlgorithm::EcdsaP384 { &P384 } else { &P256 };
    let private = Zeroizing::new(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(1);
            writer.next().write_bytes(scalar);
            if let Some(public) = public {
                let bits = public.len() * 8;
                writer.next().write_tagged(Tag::context(1), |writer| writer.write_bitvec_bytes(public, bits));
            }
        });
    }));
    Zeroizing::new(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_u8(0);
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(&EC_PUBLIC_KEY));
                writer.next().write_oid(&ObjectIdentifier::from_slice(curve));
            });
            writer.next().write_bytes(&private);
        });
    }))
}
