use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ETAG, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::batch::{self, Malformed, Message};
use super::hub_error::HubRefusal;
use super::route::{self, HubRoute};
use super::{Client, Response, authorization, empty, properties, with_body};
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::hub;
use crate::emulator::registry::{Device, Inbox};
use crate::emulator::service_model::{QueueFull, ServiceStep};
use crate::emulator::transport::http::{self, BodyError};

/// A request of the hub. Source: IoT Hub REST API, "Device".
pub(super) async fn answer(client: &Client, request: Request<Incoming>, device_id: &str, of: HubRoute) -> Response {
    attempt(client, request, device_id, of).await.unwrap_or_else(|refusal| {
        client.core.tally.count(Event::HubRefused);
        refusal.response(&client.core)
    })
}

async fn attempt(
    client: &Client,
    request: Request<Incoming>,
    device_id: &str,
    of: HubRoute,
) -> Result<Response, HubRefusal> {
    let core = &client.core;
    let (head, body) = request.into_parts();
    let expected = match of {
        HubRoute::Telemetry | HubRoute::Abandon(_) => Method::POST,
        HubRoute::Messages => Method::GET,
        HubRoute::Message(_) => Method::DELETE,
    };
    if head.method != expected {
        return Err(HubRefusal::Method);
    }
    if route::api_version(&head.uri).is_none_or(str::is_empty) {
        return Err(HubRefusal::ApiVersion);
    }
    let device = authorize(client, authorization(&head.headers), device_id)?;
    client.place.prove();
    let body = http::body(body, hub::MAX_TELEMETRY, &core.config.listen).await.map_err(|error| match error {
        BodyError::TooLarge => HubRefusal::TooLarge,
        BodyError::Slow => HubRefusal::Slow,
        BodyError::Broken => HubRefusal::Argument,
    })?;
    match of {
        HubRoute::Telemetry => {
            send(core, &device, &messages(&head.headers, body)?).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        HubRoute::Messages => Ok(receive(core, &device)),
        // Rejected messages are gone too, as nothing looks at them later.
        HubRoute::Message(lock) => settle(core, &device, &lock, Inbox::complete),
        HubRoute::Abandon(lock) => settle(core, &device, &lock, Inbox::abandon),
    }
}

/// The messages of a request, which is a batch or one message.
fn messages(headers: &HeaderMap, body: Bytes) -> Result<Vec<Message>, HubRefusal> {
    let messages = match batch::is_announced(headers) {
        true => batch::messages(&body).map_err(|Malformed| HubRefusal::Batch)?,
        false => vec![Message { properties: properties::to_topic(headers), body }],
    };
    let sizes = messages.iter().map(|message| hub::message_size(&message.properties, &message.body));
    if sizes.sum::<usize>() > hub::MAX_TELEMETRY {
        return Err(HubRefusal::TooLarge);
    }
    Ok(messages)
}

/// Takes all messages of a request when there is capacity for each of them, or none. They are taken when the last is due.
async fn send(core: &Core, device: &Device, messages: &[Message]) -> Result<(), HubRefusal> {
    let now = Instant::now();
    let due = messages.iter().map(|_| core.model.admit(ServiceStep::Telemetry, now));
    let due = due.collect::<Result<Vec<_>, QueueFull>>().map_err(|QueueFull| HubRefusal::Throttled)?;
    if let Some(due) = due.into_iter().flatten().max() {
        sleep_until(due).await;
    }
    for Message { properties, body } in messages {
        hub::receive_telemetry(core, device, properties, body, false);
    }
    Ok(())
}

/// The oldest message that waits, locked for a while: the device has to complete it with the entity tag of the answer.
fn receive(core: &Core, device: &Device) -> Response {
    let now = core.clock.now();
    let locked = device.with(|state| {
        state.inbox.lock_next(now).map(|(letter, lock)| (Arc::clone(&letter.topic), letter.payload.clone(), lock))
    });
    let Some((topic, payload, lock)) = locked else { return empty(StatusCode::NO_CONTENT) };
    core.tally.count(Event::CloudToDevice);
    let mut response = with_body(StatusCode::OK, "application/octet-stream", payload);
    let headers = response.headers_mut();
    if let Some((_, bag)) = topic.split_once("/devicebound/") {
        properties::to_headers(bag, headers);
    }
    if let Ok(tag) = HeaderValue::try_from(format!("\"{lock}\"")) {
        headers.insert(ETAG, tag);
    }
    response
}

fn settle(
    core: &Core,
    device: &Device,
    lock: &str,
    how: fn(&mut Inbox, Uuid, SystemTime) -> bool,
) -> Result<Response, HubRefusal> {
    let lock = Uuid::try_parse(lock.trim_matches('"')).map_err(|_| HubRefusal::LockLost)?;
    let now = core.clock.now();
    if device.with_session(|state| how(&mut state.inbox, lock, now)) {
        Ok(empty(StatusCode::NO_CONTENT))
    } else {
        Err(HubRefusal::LockLost)
    }
}

fn authorize(client: &Client, token: &str, device_id: &str) -> Result<Arc<Device>, HubRefusal> {
    let device = client.core.registry.device(device_id).ok_or(HubRefusal::NoSuchDevice)?;
    match hub::is_proved(&client.core, &device, token, &client.peer) {
        Ok(true) if device.with(|state| state.enabled) => Ok(device),
        Ok(true) => Err(HubRefusal::Disabled),
        Ok(false) | Err(_) => Err(HubRefusal::Unauthorized),
    }
}
