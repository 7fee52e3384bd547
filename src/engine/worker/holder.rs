//! Connections with the hub that outlive an attempt: somebody holds each of them (an attempt of `operate`, or a keeper
//! between stages), and an attempt that needs it borrows it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::device::{Connector, HoldEnd, HubSession};
use crate::engine::worker::context::WorkerContext;
use crate::engine::worker::gauge::Gauges;

/// A connection with the hub, with the slot that it takes.
pub(crate) struct Kept<S> {
    pub(crate) session: HubSession<S>,
    slot: ConnectionSlot,
}

/// The slot of a connection that is kept.
pub(crate) struct ConnectionSlot {
    _permit: OwnedSemaphorePermit,
    _counted: HeldCount,
}

/// Counts a connection for as long as it is kept.
struct HeldCount(Arc<Gauges>);

impl Drop for HeldCount {
    fn drop(&mut self) {
        self.0.connected.fall();
    }
}

impl<S> Kept<S> {
    pub(crate) fn new(session: HubSession<S>, permit: OwnedSemaphorePermit, gauges: &Arc<Gauges>) -> Self {
        gauges.connected.rise();
        Self { session, slot: ConnectionSlot { _permit: permit, _counted: HeldCount(Arc::clone(gauges)) } }
    }

    /// The connection, and its slot apart.
    pub(crate) fn split(kept: Option<Self>) -> (Option<HubSession<S>>, Option<ConnectionSlot>) {
        kept.map(|Self { session, slot }| (session, slot)).unzip()
    }
}

/// Where a connection is asked for.
pub(crate) struct Mailbox<S> {
    request: RefCell<Option<BorrowRequest<S>>>,
    bell: Notify,
}

/// Somebody wants to borrow the connection.
pub(crate) struct BorrowRequest<S> {
    give: oneshot::Sender<Kept<S>>,
    back: oneshot::Receiver<Option<Kept<S>>>,
}

/// Where a borrowed connection, or the one that took its place, goes back to.
pub(crate) type Back<S> = oneshot::Sender<Option<Kept<S>>>;

impl<S> Mailbox<S> {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { request: RefCell::new(None), bell: Notify::new() })
    }

    /// Asks the holder; `None` when it has none (any more).
    pub(crate) async fn borrow(&self) -> Option<(Kept<S>, Back<S>)> {
        let (give, given) = oneshot::channel();
        let (sender, back) = oneshot::channel();
        // Whoever asked before and got nothing yet is told that there is nothing.
        self.request.replace(Some(BorrowRequest { give, back }));
        self.bell.notify_one();
        given.await.ok().map(|kept| (kept, sender))
    }

    /// Waits until somebody asks. May be dropped and called again.
    pub(crate) async fn asked(&self) -> BorrowRequest<S> {
        loop {
            if let Some(request) = self.request.take() {
                return request;
            }
            self.bell.notified().await;
        }
    }
}

impl<S> BorrowRequest<S> {
    /// Lends it. What comes back may be another one, or none; an error means that the borrower is gone.
    pub(crate) fn lend(self, kept: Kept<S>) -> oneshot::Receiver<Option<Kept<S>>> {
        // A borrower that is gone drops what it was lent, which ends the connection.
        let _ = self.give.send(kept);
        self.back
    }
}

/// Keeps the connection of a device alive between stages, until it is asked for or lost.
pub(crate) fn keep<C: Connector + 'static>(worker: &Rc<WorkerContext<C>>, device: u32, kept: Kept<C::Stream>)
where
    C::Stream: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mailbox = Mailbox::new();
    worker.fleet.with(device, |device| device.holder = Some(Rc::clone(&mailbox)));
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        let mut kept = kept;
        tokio::select! {
            biased;
            request = mailbox.asked() => {
                // It goes over to the borrower for good: nobody waits for it to come back.
                drop(request.lend(kept));
            }
            // It ends only when the connection is lost.
            held = kept.session.hold(None) => {
                worker.lost_between_stages.set(worker.lost_between_stages.get() + 1);
                if let HoldEnd::Lost(failure) = held {
                    worker.breaches.borrow_mut().count(&failure);
                }
            }
        }
        worker.fleet.with(device, |device| {
            if device.holder.as_ref().is_some_and(|holder| Rc::ptr_eq(holder, &mailbox)) {
                device.holder = None;
            }
        });
    });
}
