//! The pipe on stdin by which a parent process leads the emulator (`--parent-pipe`): lines, until it is closed.
//!
//! `begin NANOSECONDS` says that the measured part of a run began then, in nanoseconds since 1970-01-01T00:00:00Z; it may come once
//! for each of several runs. The end of the
//! pipe ends the emulator, so that it never outlives its parent.

use std::convert::Infallible;
use std::io::{self, BufRead, Read as _};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::cli::Terminal;
use crate::emulator::Service;

/// Longest line in bytes.
const LONGEST: u64 = 256;
/// Orders that may wait until they are followed.
const WAITING: usize = 16;

/// What a parent wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParentOrder {
    /// The measured part began at this moment.
    Begin(SystemTime),
}

/// A line that is no order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("stdin: {0:?} is not understood: with --parent-pipe a line is `begin NANOSECONDS-SINCE-1970`")]
pub(super) struct NoOrder(String);

/// Reads orders from stdin, and cancels `stop` when it ends.
pub(super) fn listen(stop: CancellationToken) -> io::Result<Receiver<Result<ParentOrder, NoOrder>>> {
    let (orders, receiver) = channel(WAITING);
    // A thread of its own, because nothing can interrupt a blocking read; it ends with the process.
    thread::Builder::new().name("parent-pipe".to_owned()).spawn(move || {
        read(io::stdin().lock(), &orders);
        stop.cancel();
    })?;
    Ok(receiver)
}

/// Follows the orders as they come. Never ends: a parent that says nothing more is still there.
pub(super) async fn follow(
    mut orders: Receiver<Result<ParentOrder, NoOrder>>,
    service: &Service,
    terminal: &Terminal,
) -> Infallible {
    while let Some(order) = orders.recv().await {
        match order {
            Ok(ParentOrder::Begin(anchor)) => service.begin(anchor),
            Err(error) => terminal.note(format_args!("emulator: {error}")),
        }
    }
    std::future::pending().await
}

/// Until the end of the pipe, or until nobody follows any more.
fn read(mut pipe: impl BufRead, orders: &Sender<Result<ParentOrder, NoOrder>>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match pipe.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            // A longer line comes in pieces, of which none is an order.
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if orders.blocking_send(parse(text.trim())).is_err() {
            return;
        }
    }
}

fn parse(line: &str) -> Result<ParentOrder, NoOrder> {
    let moment = line.strip_prefix("begin ").and_then(|nanoseconds| nanoseconds.trim().parse().ok());
    let moment = moment.and_then(|nanoseconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds)));
    moment.map(ParentOrder::Begin).ok_or_else(|| NoOrder(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_orders_or_reported_and_nothing_ends_but_with_the_pipe() {
        let (orders, mut told) = channel(WAITING);
        let long = "x".repeat(300);
        let text = format!("begin 1700000000123456789\n\nbegin\nbegin -1\nend\n{long}\n\u{fffd}\nbegin 5");
        read(text.as_bytes(), &orders);
        drop(orders);
        let told: Vec<_> = std::iter::from_fn(|| told.blocking_recv()).collect();
        let begin = |nanos| Ok(ParentOrder::Begin(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)));
        assert_eq!((&told[0], told.last().unwrap()), (&begin(1_700_000_000_123_456_789), &begin(5)));
        assert!(told[1..told.len() - 1].iter().all(Result::is_err), "{told:?}");
        assert_eq!(told[4].as_ref().unwrap_err().to_string().split(" is not").next(), Some("stdin: \"end\""));
    }
}
