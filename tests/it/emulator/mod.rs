//! The emulator as devices meet it: every answer, at its place, in its words.

mod client;
mod dps_connect;
mod dps_register;
mod faults;
mod hostile;
mod http_client;
mod https;
mod hub;
mod hub_client;
mod hub_hostile;
mod hub_identity;
mod hub_messages;
mod hub_methods;
mod hub_model;
mod hub_renewal;
mod hub_session;
mod hub_twin;
mod management;
mod model;
mod outages;
mod settings;
mod sockets;
mod state;
mod time_scale;
mod websocket;
mod x509;
