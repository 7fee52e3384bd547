//! Keys, CSRs, SAS signatures, certificate authorities and chain checks: synchronous and CPU-bound. Knows no async
//! runtime, no socket and no wire format.

mod authority;
pub mod bootstrap;
pub mod ca;
pub mod certificate;
pub mod chain;
mod chain_error;
mod client;
pub mod csr;
pub mod description;
mod ec_pkcs8;
mod extension;
mod handshake;
pub mod issuing_ca;
pub mod key;
mod name;
mod path;
pub mod pem_text;
pub mod pfx;
pub mod possession;
pub mod sas;
mod seeded;
mod sign;
mod signature;
pub mod store;
#[cfg(test)]
mod test_support;
pub mod tls;
mod tls_sessions;
pub mod trust;
mod walk;
