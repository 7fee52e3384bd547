//! One virtual device: its credentials, its connections, its conversation with DPS and the hub. Knows nothing of other
//! devices, of when it was due, and of histograms.

mod clock;
mod connector;
mod prepare;
mod provision;
mod settings;

pub use clock::{SystemClock, WallClock};
pub use connector::{Connector, Target, TcpConnector};
pub use prepare::{Prepared, prepare};
pub use provision::{Credential, Provisioned, provision};
pub use settings::{Attestation, Endpoint, HubSettings, Settings, Telemetry, Timeouts};
