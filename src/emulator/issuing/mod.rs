//! Authorities and certificates: what signs ([`adr`]), on which threads ([`issuance`]), whom the hub trusts ([`trusted`]), and
//! what is kept of it ([`record`]).

pub(crate) mod adr;
pub(crate) mod issuance;
pub(crate) mod record;
pub(crate) mod trusted;
