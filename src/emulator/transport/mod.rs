//! Connections and bytes: who may have one ([`room`]), TLS in turns ([`handshake`], [`turns`]), packets and requests in
//! and out ([`wire`], [`http`]). What they mean is decided above; what is decided, in the words of
//! [`conversation`].

pub(crate) mod conversation;
pub(crate) mod handshake;
pub(crate) mod held;
pub(crate) mod http;
pub(crate) mod outbox;
pub(crate) mod room;
pub(crate) mod stepwise;
pub(crate) mod turns;
pub(crate) mod watched;
pub(crate) mod wire;
#[cfg(test)]
pub(crate) mod wrapped;
