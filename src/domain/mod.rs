//! The words of the field as values. Knows no clock, socket, runtime or serialisation format.

mod algorithm;
mod attempt_facts;
mod byte_order_mark;
mod cause;
mod count;
mod failure;
mod injected_panic;
mod phase;
mod phase_times;
mod quota;
mod random;
mod registration;
mod sas_token;
mod setting;
mod shard;
mod time_scale;
mod tls_versions;
mod transport;

pub use algorithm::{CryptoProvider, KeyAlgorithm, KeySource};
pub use attempt_facts::AttemptFacts;
pub use byte_order_mark::{BYTE_ORDER_MARK, without_byte_order_mark};
pub use cause::cause;
pub use count::{Adding, ByClass, Concern, Count, Counts, Level, Slot, Subject, Unknown, Value};
pub use failure::{Failure, FailureClass};
pub use injected_panic::injected_panic;
pub use phase::Phase;
pub use phase_times::PhaseTimes;
pub use quota::{QuotaLimits, QuotaProfile};
pub use random::rng;
pub use registration::{IdScope, InvalidId, RegistrationId};
pub use sas_token::{ParseSasTokenError, SasToken, percent_decode, percent_encode};
pub use setting::{Origin, Setting};
pub use shard::{NoShard, Shard};
pub use time_scale::TimeScale;
pub use tls_versions::TlsVersions;
pub use transport::Transport;
