use std::sync::Arc;

use super::token::Token;
use crate::emulator::core::Core;
use crate::emulator::service::Service;

/// What all requests share.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub(super) service: Service,
    pub(super) server_root: Arc<[u8]>,
    pub(super) token: Token,
}

impl Plane {
    pub(super) const fn core(&self) -> &Arc<Core> {
        self.service.core()
    }
}
