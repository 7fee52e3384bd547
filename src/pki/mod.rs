//! Keys, CSRs, SAS signatures, certificate authorities and chain checks: synchronous and CPU-bound. Knows no async
//! runtime, no socket and no wire format.

pub mod chain;
pub mod csr;
pub mod issuing_ca;
pub mod key;
mod public_key;
pub mod sas;
pub mod store;
pub mod tls;
