use hyper::body::Incoming;
use hyper::header::{HOST, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use hyper::{Method, Request, StatusCode};
use tokio::time::sleep_until;

use super::route::{self, DpsRoute};
use super::{Client, JSON, Response, authorization, with_body};
use crate::domain::percent_encode;
use crate::emulator::core::Core;
use crate::emulator::dps::{self, Answer, Caller, DpsRefusal, Introduction, Malformed};
use crate::emulator::transport::http::{self, BodyError};
use crate::protocol::mqtt::DPS_PACKET_LIMIT;

/// The error code, for clients that do not read the body.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// A request of DPS. Source: DPS device REST API, "Runtime Registration".
pub(super) async fn answer(
    client: &Client,
    request: Request<Incoming>,
    scope: &str,
    id: &str,
    of: DpsRoute,
) -> Response {
    let core = &client.core;
    match attempt(client, request, scope, id, of).await {
        Ok(response) => response,
        Err(refusal) => refuse(core, refusal),
    }
}

/// The answer to a refused request.
pub(super) fn refuse(core: &Core, refusal: DpsRefusal) -> Response {
    response(dps::refuse(core, refusal), None)
}

async fn attempt(
    client: &Client,
    request: Request<Incoming>,
    scope: &str,
    id: &str,
    of: DpsRoute,
) -> Result<Response, DpsRefusal> {
    let core = &client.core;
    let (head, body) = request.into_parts();
    let expected = match of {
        DpsRoute::Register => Method::PUT,
        DpsRoute::Operation(_) => Method::GET,
        DpsRoute::Lookup => Method::POST,
    };
    if head.method != expected {
        return Err(DpsRefusal::Method);
    }
    let token = authorization(&head.headers);
    let introduction = Introduction {
        id_scope: scope,
        registration_id: id,
        api_version: route::api_version(&head.uri),
        token,
        certificates: if token.is_empty() { client.peer.clone() } else { Vec::new() },
    };
    let caller = Caller::new(introduction).map_err(|malformed| match malformed {
        Malformed::RegistrationId => DpsRefusal::RegistrationId,
        Malformed::ApiVersion => DpsRefusal::ApiVersion,
        Malformed::Token => DpsRefusal::WrongCredential,
    })?;
    // Also that of a status request, which has none to speak of: some clients send one, and the next request follows it.
    let body = http::body(body, DPS_PACKET_LIMIT, &core.config.listen).await.map_err(|error| match error {
        BodyError::TooLarge => DpsRefusal::TooLarge,
        BodyError::Slow => DpsRefusal::Slow,
        BodyError::Broken => DpsRefusal::Deserialization,
    })?;
    let answer = match of {
        DpsRoute::Register => {
            let (answer, attested) = dps::register(core, &caller, &body);
            if attested.is_some() {
                client.place.prove();
            }
            answer
        }
        DpsRoute::Lookup => {
            let answer = dps::status_lookup(core, &caller, &body);
            if answer.status == 200 {
                client.place.prove();
            }
            answer
        }
        DpsRoute::Operation(operation) => {
            dps::attest(core, &caller)?;
            client.place.prove();
            dps::operation_status(core, &caller, &operation)
        }
    };
    if let Some(due) = answer.due {
        sleep_until(due).await;
    }
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or(&core.config.dps_host);
    let location = format!("https://{host}/{}/registrations/{}/register", percent_encode(scope), percent_encode(id));
    Ok(response(answer, Some(location)))
}

fn response(answer: Answer, location: Option<String>) -> Response {
    let Answer { status, retry_after, code, due: _, body } = answer;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_body(status, JSON, body);
    let headers = response.headers_mut();
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(code) = code {
        headers.insert(ERROR_CODE, code.into());
    }
    if let Some(location) = location.filter(|_| status == StatusCode::ACCEPTED)
        && let Ok(location) = HeaderValue::try_from(location)
    {
        headers.insert(LOCATION, location);
    }
    response
}
