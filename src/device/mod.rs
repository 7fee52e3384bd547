//! One virtual device: its credentials, its connections, its conversation with DPS and the hub. Knows nothing of other
//! devices, of when it was due, and of histograms.

mod attempt;
mod bootstrap;
mod channel;
mod clock;
mod connector;
mod credential;
mod failures;
mod hub;
mod prepare;
mod provision;
mod register;
mod renew;
mod session;
mod settings;

pub use attempt::Provisioned;
pub use clock::{SystemClock, WallClock};
pub use connector::{Connector, MemoryConnector, MemoryPeer, Target, TcpConnector};
pub use credential::Credential;
pub use prepare::{Prepared, PreparedRenewal, prepare, prepare_renewal};
pub use provision::provision;
pub use renew::{reconnect, renew};
pub use settings::{Attestation, Endpoint, HubSettings, Settings, Telemetry, Timeouts};
