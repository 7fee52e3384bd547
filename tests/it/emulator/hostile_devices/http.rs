//! Requests that break RFC 9112, at the port of devices and at the control plane.

use super::tool::{Case, Door, Step, Victim, cut_at_every_byte};
use crate::emulator::client::{API, SCOPE, sas};

/// A request with these lines of its head, and what follows it.
fn request(lines: &[&str], body: &str) -> Vec<u8> {
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

pub(super) fn cases(victim: &Victim) -> Vec<Case> {
    let register = format!("PUT /{SCOPE}/registrations/http1/register?api-version={API} HTTP/1.1");
    let resource = format!("{SCOPE}/registrations/http1");
    let token = format!("Authorization: {}", sas(&victim.group_key.derive("http1"), &resource, Some("registration")));
    let put = |lines: &[&str], body: &str| {
        let all: Vec<&str> = [&register, "Host: h", &token].into_iter().chain(lines.iter().copied()).collect();
        request(&all, body)
    };
    let long = "x".repeat(20_000);
    let many: Vec<String> = (0..100).map(|i| format!("X-{i}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let chunked = "Transfer-Encoding: chunked";
    let sent = [
        request(&["GET /"], ""),
        request(&["GET / HTTP/9.9", "Host: h"], ""),
        request(&["PRI * HTTP/2.0"], "SM\r\n\r\n"),
        request(&["CONNECT elsewhere:443 HTTP/1.1", "Host: h"], ""),
        request(&["OPTIONS * HTTP/1.1", "Host: h"], ""),
        request(&["GET http://elsewhere/x HTTP/1.1", "Host: h"], ""),
        request(&["GET /%ff/%00/../../etc/passwd HTTP/1.1", "Host: h"], ""),
        request(&["\u{1}\u{2} / HTTP/1.1"], ""),
        request(&[&format!("GET /{long} HTTP/1.1"), "Host: h"], ""),
        put(&[&format!("X: {long}")], ""),
        put(&many, ""),
        put(&["no colon"], ""),
        put(&[" : 1"], ""),
        put(&["X: a\u{0}b"], ""),
        put(&["X: 1\r\n folded"], ""),
        b"GET / HTTP/1.1\nHost: h\n\n".to_vec(),
        // Lengths that are none, differ, lie.
        put(&["Content-Length: -1"], "{}"),
        put(&["Content-Length: 99999999999999999999"], "{}"),
        put(&["Content-Length: 2", "Content-Length: 3"], "{}"),
        put(&["Content-Length: 1000"], "{}"),
        put(&["Content-Length: 1"], "{}{}{}"),
        put(&["Content-Length: 100000000"], "{"),
        // Two ways to say how long it is, so that a second request hides in the first.
        put(&["Content-Length: 2", chunked], "0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        put(&["Transfer-Encoding: chunked, identity"], "0\r\n\r\n"),
        put(&["Transfer-Encoding:\u{b}chunked"], "0\r\n\r\n"),
        // Chunks that are none, are too large, have endless extensions, never end.
        put(&[chunked], "zz\r\n"),
        put(&[chunked], "ffffffffffffffff1\r\n{"),
        put(&[chunked], "7fffffff\r\n{"),
        put(&[chunked], "2\r\n{}XX0\r\n\r\n"),
        put(&[chunked], &format!("2;{long}\r\n{{}}\r\n0\r\n\r\n")),
        put(&[chunked], &format!("2\r\n{{}}\r\n0\r\nX: {long}\r\n\r\n")),
        put(&[chunked], &"1\r\nx\r\n".repeat(100_000)),
        put(&["Expect: 100-continue", "Content-Length: 2"], ""),
        put(&["Upgrade: websocket", "Connection: Upgrade"], ""),
        request(&["GET /$iothub/websocket HTTP/1.1", "Host: h", "Upgrade: websocket", "Connection: Upgrade"], ""),
        request(
            &[
                "GET /$iothub/websocket HTTP/1.1",
                "Host: h",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 99",
                "Sec-WebSocket-Key: x",
                "Sec-WebSocket-Protocol: mqtt",
            ],
            "",
        ),
    ];
    let whole = put(&["Content-Length: 2"], "{}");
    let single = sent.into_iter().map(|bytes| vec![Step::Send(bytes)]).chain([
        vec![],
        vec![Step::HalfClose],
        vec![Step::Send(whole.clone()), Step::HalfClose],
        vec![Step::Send(whole[..whole.len() - 1].to_vec()), Step::HalfClose],
        vec![Step::Crumbs(whole.clone())],
        // Requests after requests, whose answers nobody reads; a chunked body without end.
        vec![Step::Flood(request(&["GET /healthz HTTP/1.1", "Host: h"], ""), 20_000)],
        vec![Step::Send(put(&[chunked], "")), Step::Flood(b"1\r\nx\r\n".to_vec(), 100_000)],
        vec![Step::Send(put(&[], "")), Step::Flood(b"X: 1\r\n".to_vec(), 100_000)],
    ]);
    let both = [Door::Https, Door::Plane];
    let single = single.flat_map(|steps| both.map(|door| Case::new(door, steps.clone())));
    single.chain(cut_at_every_byte(Door::Plane, &whole)).collect()
}
