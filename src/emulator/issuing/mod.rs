//! Authorities and certificates: what signs ([`adr`]), on which threads ([`issuance`]), and whom the hub trusts
//! ([`trusted`]).

pub(crate) mod adr;
pub(crate) mod issuance;
pub(crate) mod trusted;
