//! The control plane: who may use it, what it answers, and that devices feel it.

mod certificates;
mod devices;
mod enrollments;
mod plane;
mod policies;

use fleetstorm::emulator::Management;
use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde_json::Value;

use super::client::World;
use super::http_client::{HttpPeer, Reply};

/// A client of the control plane that has the token.
pub(super) struct Control {
    management: Management,
    peer: HttpPeer,
    authorization: String,
}

impl Control {
    pub(super) async fn new(world: &World) -> Self {
        let management = Management::new(&world.service, b"root of the server");
        let authorization = format!("Bearer {}", management.token());
        let peer = connection(&management).await;
        Self { management, peer, authorization }
    }

    /// Sends a request with headers and the token.
    pub(super) async fn ask(&mut self, method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut all = vec![(AUTHORIZATION.as_str(), self.authorization.as_str())];
        all.extend(headers);
        let reply = self.peer.send_with(method, uri, &all, body).await;
        assert!(!reply.header("x-ms-request-id").is_empty());
        reply
    }

    pub(super) async fn get(&mut self, uri: &str) -> Value {
        let reply = self.ask(Method::GET, uri, &[], "").await;
        assert_eq!(reply.status, 200, "{uri}: {}", reply.body);
        reply.json()
    }

    async fn put(&mut self, uri: &str, body: &str) -> Value {
        let reply = self.ask(Method::PUT, uri, &[], body).await;
        assert_eq!(reply.status, 200, "{uri}: {}", reply.body);
        reply.json()
    }

    async fn post(&mut self, uri: &str, body: &str) -> Reply {
        let reply = self.ask(Method::POST, uri, &[], body).await;
        assert!(reply.status.is_success(), "{uri}: {}", reply.body);
        reply
    }
}

/// A connection with the control plane.
async fn connection(management: &Management) -> HttpPeer {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let management = management.clone();
    tokio::spawn(async move { management.serve_connection(theirs).await });
    HttpPeer::new(ours).await
}
