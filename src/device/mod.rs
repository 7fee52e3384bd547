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
mod link;
mod local_end;
mod prepare;
mod provision;
mod register;
mod renew;
mod scaled_clock;
mod session;
mod settings;
mod shared_key;
mod source;
mod whereabouts;

pub use attempt::Done;
pub use clock::{SystemClock, WallClock};
pub use connector::{
    Confirmed, Connector, MemoryConnector, MemoryPeer, MemoryStream, NotConfirmed, PeerAddress, TcpConnector,
};
pub use credential::Credential;
pub use hub::{HoldEnd, HubSession};
pub use link::{Impaired, Link};
pub use local_end::{Counted, LocalEnd};
pub use prepare::{Prepared, prepare};
pub use provision::provision;
pub use renew::{reconnect, renew};
pub use scaled_clock::ScaledClock;
pub use settings::{DeviceAttestation, Endpoint, HubSettings, Settings, Telemetry, Timeouts};
pub use shared_key::SharedKey;
pub use source::{Source, SourceAddresses};
pub use whereabouts::Whereabouts;
