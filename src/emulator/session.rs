//! One MQTT connection, whatever carries it: packets in, packets out, silence noticed. What the packets mean is decided
//! by [`dps`](super::dps) and [`hub`](super::hub), which never wait: all waiting is here.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

use super::config::HubOutageEffect;
use super::core::Core;
use super::counters::Event;
use super::dps::DpsSession;
use super::fault::Cut;
use super::hub::HubSession;
use super::registry::DeviceLink;
use super::service_model::{Over, QueueFull, ServiceStep};
use super::transport::conversation::{AfterPacket, End, PeerChain, Refused};
use super::transport::outbox::Outbox;
use super::transport::room::Place;
use super::transport::wire::Wire;
use crate::protocol::mqtt::{self, Connect, ConnectReturnCode, DPS_PACKET_LIMIT, Packet, PacketError, QoS};
use crate::protocol::topic::UserName;

/// How a CONNECT fails.
enum Denied {
    /// With an answer.
    Refused(Refused),
    /// The connection is closed without a word.
    Dropped,
}

/// The two services behind one port.
#[derive(Debug)]
enum Role {
    Dps(DpsSession),
    Hub(HubSession),
}

impl Role {
    fn begin(core: &Arc<Core>, connect: &Connect, peer: PeerChain, out: &mut Outbox) -> Result<Self, Refused> {
        let text = connect.login.as_ref().map_or("", |login| login.username.as_str());
        match UserName::parse(text) {
            Ok(UserName::Dps(name)) => DpsSession::begin(core, connect, &name, peer, out)
                .map(Self::Dps)
                .inspect_err(|_| core.tally.count(Event::DpsRefused)),
            Ok(UserName::Hub(name)) => HubSession::begin(core, connect, &name, &peer, out)
                .map(Self::Hub)
                .inspect_err(|_| core.tally.count(Event::HubRefused)),
            Err(_) => Err(Refused(ConnectReturnCode::BadUserNamePassword)),
        }
    }

    const fn packet_limit(&self) -> usize {
        match self {
            Self::Dps(_) => DPS_PACKET_LIMIT,
            Self::Hub(_) => mqtt::HUB_PACKET_LIMIT,
        }
    }

    const fn link(&self) -> &DeviceLink {
        match self {
            Self::Dps(session) => session.link(),
            Self::Hub(session) => session.link(),
        }
    }

    const fn silence(&self) -> Duration {
        match self {
            Self::Dps(session) => session.silence(),
            Self::Hub(session) => session.silence(),
        }
    }

    /// When the session ends because its credential does.
    fn expiry(&self, core: &Core) -> Option<Instant> {
        match self {
            Self::Dps(_) => None,
            Self::Hub(session) => session.expiry(core),
        }
    }

    fn packet(&mut self, core: &Arc<Core>, packet: Packet, out: &mut Outbox) -> AfterPacket {
        match packet {
            Packet::PingReq => {
                out.pingresp();
                AfterPacket::Continue
            }
            Packet::Disconnect => AfterPacket::End(End::Left),
            packet => {
                let acknowledged = matches!(&packet, Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce);
                let cut = acknowledged.then(|| core.faults.publish(Instant::now())).flatten();
                let before = out.len();
                let next = match self {
                    _ if cut == Some(Cut::BeforePuback) => AfterPacket::Continue,
                    Self::Dps(session) => session.packet(core, packet, out),
                    Self::Hub(session) => session.packet(core, packet, out),
                };
                if cut.is_none() {
                    return next;
                }
                core.tally.count(Event::FaultDropped);
                out.keep_puback_since(before);
                AfterPacket::End(End::Injected)
            }
        }
    }

    fn woken(&mut self, core: &Core, out: &mut Outbox) -> AfterPacket {
        match self {
            Self::Dps(session) => session.woken(core),
            Self::Hub(session) => session.woken(core, out),
        }
    }

    const fn authenticated(&self) -> bool {
        match self {
            Self::Dps(session) => session.authenticated(),
            Self::Hub(_) => true,
        }
    }

    fn end(&self, core: &Core, end: End) {
        match self {
            Self::Dps(session) => session.end(core),
            Self::Hub(session) => session.end(core, end),
        }
    }
}

/// Serves one connection until it ends.
#[allow(clippy::manual_async_fn, reason = "an async fn would hold the stream twice: 1.2 KB for each held connection")]
pub(crate) fn serve<S>(core: Arc<Core>, mut stream: S, peer: PeerChain, place: Place) -> impl Future<Output = End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    async move {
        let mut wire = Wire::new(&core.config.listen, &core.faults);
        let end = match converse(&core, &mut wire, &mut stream, peer, &place).await {
            Ok(end) | Err(end) => end,
        };
        match end {
            End::Violation => core.tally.count(Event::ProtocolViolation),
            End::TimedOut => core.tally.count(Event::TimedOut),
            End::TakenOver => core.tally.count(Event::TakenOver),
            End::Throttled => core.tally.count(Event::Throttled),
            End::Left | End::Closed | End::Refused | End::Expired | End::Dismissed | End::Injected | End::Broken => {}
        }
        // The peer may be gone already; there is nobody to tell.
        let _ = core.faults.pause.timeout(core.config.listen.write_timeout(), pin!(stream.shutdown())).await;
        end
    }
}

async fn converse<S>(
    core: &Arc<Core>,
    wire: &mut Wire<'_>,
    stream: &mut S,
    peer: PeerChain,
    place: &Place,
) -> Result<End, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limit = core.config.listen.unauthenticated_timeout();
    let connect = core.faults.pause.timeout(limit, pin!(connect(wire, stream))).await.unwrap_or(Err(End::TimedOut))?;
    let mut role = begin(core, wire, stream, &connect, peer).await?;
    let end = match exchange(core, wire, stream, &mut role, place).await {
        Ok(end) | Err(end) => end,
    };
    role.end(core, end);
    Ok(end)
}

/// Waits for CONNECT.
async fn connect<S>(wire: &mut Wire<'_>, stream: &mut S) -> Result<Connect, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match mqtt::decode(&mut wire.input, DPS_PACKET_LIMIT) {
            Ok(Some(Packet::Connect(connect))) => return Ok(connect),
            Ok(Some(_)) => return Err(End::Violation),
            Ok(None) => wire.read(stream).await?,
            Err(PacketError::ProtocolLevel) => {
                wire.out.connack(ConnectReturnCode::RefusedProtocolVersion, false);
                wire.write(stream).await?;
                return Err(End::Refused);
            }
            Err(_) => return Err(End::Violation),
        }
    }
}

/// Answers CONNECT, when it is time.
async fn begin<S>(
    core: &Arc<Core>,
    wire: &mut Wire<'_>,
    stream: &mut S,
    connect: &Connect,
    peer: PeerChain,
) -> Result<Role, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let admitted = match hub_connection(core, connect, &peer) {
        Ok(Some(due)) => {
            sleep_until(due).await;
            hub_is_there(core, Instant::now())
        }
        Ok(None) => Ok(()),
        Err(denied) => Err(denied),
    };
    match admitted.and_then(|()| Role::begin(core, connect, peer, &mut wire.out).map_err(Denied::Refused)) {
        Ok(role) => Ok(role),
        Err(Denied::Refused(Refused(code))) => {
            wire.out.connack(code, false);
            wire.write(stream).await?;
            Err(End::Refused)
        }
        Err(Denied::Dropped) => Err(End::Injected),
    }
}

/// When a CONNECT at the hub is dealt with: as quota, latency and capacity have it. DPS has no limit of connections. Who is not
/// let in anyhow is told so at once, and uses up nothing of what is there for others.
fn hub_connection(core: &Core, connect: &Connect, peer: &PeerChain) -> Result<Option<Instant>, Denied> {
    let name = connect.login.as_ref().map_or("", |login| login.username.as_str());
    let Ok(UserName::Hub(name)) = UserName::parse(name) else { return Ok(None) };
    let now = Instant::now();
    hub_is_there(core, now)?;
    if !core.model.bounds_hub_connections() || !HubSession::would_begin(core, connect, &name, peer) {
        return Ok(None);
    }
    let throttled = || {
        core.tally.count(Event::Throttled);
        core.tally.count(Event::HubRefused);
        Denied::Refused(Refused(ConnectReturnCode::ServiceUnavailable))
    };
    let allowed = core.model.quotas.hub_connection(now).map_err(|Over { .. }| throttled())?;
    let done = core.model.admit(ServiceStep::HubConnect, now).map_err(|QueueFull| throttled())?;
    let due = done.unwrap_or(now) + allowed.duration_since(now);
    Ok((due > now).then_some(due))
}

/// Whether the fault of the hub's outage lets somebody connect.
fn hub_is_there(core: &Core, now: Instant) -> Result<(), Denied> {
    let Some(effect) = core.faults.hub_outage(now) else { return Ok(()) };
    core.tally.count(Event::FaultHubOutage);
    core.tally.count(Event::HubRefused);
    Err(match effect {
        HubOutageEffect::Refuse => Denied::Refused(Refused(ConnectReturnCode::ServiceUnavailable)),
        HubOutageEffect::Drop => Denied::Dropped,
    })
}

/// Everything after CONNECT.
async fn exchange<S>(
    core: &Arc<Core>,
    wire: &mut Wire<'_>,
    stream: &mut S,
    role: &mut Role,
    place: &Place,
) -> Result<End, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if role.authenticated() {
        place.prove();
    }
    let mut begun = Instant::now();
    let link = role.link().clone();
    let silence = role.silence();
    let mut expiry = role.expiry(core);
    let earliest = |due: Instant, expiry: Option<Instant>| expiry.map_or(due, |expiry| due.min(expiry));
    let first = begun + silence.min(core.config.listen.unauthenticated_timeout());
    let mut alarm = pin!(sleep_until(earliest(first, expiry)));
    loop {
        wire.out.release(Instant::now());
        if let Some(end) = packets(core, wire, stream, role, place).await? {
            return Ok(end);
        }
        if let Some(due) = wire.out.next_due().filter(|due| *due < alarm.deadline()) {
            alarm.as_mut().reset(due);
        }
        let full = wire.out.is_full();
        // In this order nothing starves: the alarm is set anew for later whenever it went off, and who wakes the session
        // has work of his own; a peer that never stops sending comes last, as it would hold up the other two.
        tokio::select! {
            biased;
            () = alarm.as_mut() => {
                // What the peer said during a pause could not be heard: it was not silent.
                if let Some(end) = core.faults.pause.end_after(wire.last_heard) {
                    (wire.last_heard, begun) = (end, begun.max(end));
                }
                let mut due = wire.last_heard + silence;
                if !role.authenticated() {
                    due = due.min(begun + core.config.listen.unauthenticated_timeout());
                }
                let now = Instant::now();
                if due <= now {
                    return Ok(End::TimedOut);
                }
                if expiry.is_some_and(|expiry| expiry <= now) {
                    return Ok(End::Expired);
                }
                alarm.as_mut().reset(earliest(due, expiry));
            }
            () = link.woken() => {
                // What has waited its time goes before what is new.
                wire.out.release(Instant::now());
                match role.woken(core, &mut wire.out) {
                    AfterPacket::Continue => {}
                    AfterPacket::End(end) => return Ok(end),
                }
                // The wall clock may have been moved, or have begun to run faster.
                if let Some(nearer) = role.expiry(core).filter(|new| expiry.is_some_and(|old| *new < old)) {
                    expiry = Some(nearer);
                    if nearer < alarm.deadline() {
                        alarm.as_mut().reset(nearer);
                    }
                }
            }
            read = wire.read(stream), if !full => read?,
        }
    }
}

/// Does what the packets want that are there, and writes what there is to say; why the session ends, if it does.
async fn packets<S>(
    core: &Arc<Core>,
    wire: &mut Wire<'_>,
    stream: &mut S,
    role: &mut Role,
    place: &Place,
) -> Result<Option<End>, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while !wire.out.is_full() {
        match mqtt::decode(&mut wire.input, role.packet_limit()) {
            Ok(Some(packet)) => match role.packet(core, packet, &mut wire.out) {
                AfterPacket::Continue => {}
                AfterPacket::End(end) => {
                    wire.write(stream).await?;
                    return Ok(Some(end));
                }
            },
            Ok(None) => break,
            Err(_) => return Ok(Some(End::Violation)),
        }
        if role.authenticated() {
            place.prove();
        }
        if wire.out.is_above_high_water() {
            wire.write(stream).await?;
        }
    }
    wire.write(stream).await?;
    Ok(None)
}
