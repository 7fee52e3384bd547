use super::*;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

const LIMIT: usize = 1000;

/// A client and the server's WebSocket, after the handshake.
async fn connected() -> (WebSocketBytes<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (client, server) = duplex(4096);
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let check = |request: &Request, mut response: Response| {
        assert_eq!(request.uri().path(), WEBSOCKET_PATH);
        let offered = request.headers()[SEC_WEBSOCKET_PROTOCOL].to_str().unwrap();
        let chosen = choose_subprotocol(offered).unwrap().parse().unwrap();
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        Ok(response)
    };
    let (client, server) =
        tokio::join!(WebSocketBytes::connect(client, "dps.example", LIMIT), accept_hdr_async(server, check));
    (client.unwrap(), server.unwrap())
}

#[tokio::test]
async fn bytes_come_whole_however_they_are_framed() {
    let (mut client, mut server) = connected().await;
    for frame in [&b"a"[..], b"", b"bc", b"defgh"] {
        server.send(Message::Binary(Bytes::copy_from_slice(frame))).await.unwrap();
    }
    server.send(Message::Ping(Bytes::new())).await.unwrap();
    server.close(None).await.unwrap();
    let mut first = [0; 4];
    client.read_exact(&mut first).await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!((&first, &*rest), (b"abcd", &b"efgh"[..]));
}

#[tokio::test]
async fn both_ends_of_ours_understand_each_other() {
    let (client, server) = connected().await;
    let mut server = WebSocketBytes::upgraded(server.into_inner(), Vec::new(), LIMIT).await;
    let mut client = client;
    client.write_all(b"hello").await.unwrap();
    client.flush().await.unwrap();
    let mut bytes = [0; 5];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
}

#[tokio::test]
async fn text_and_large_frames_are_errors() {
    let (mut client, mut server) = connected().await;
    server.send(Message::Text("x".into())).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (mut client, mut server) = connected().await;
    server.send(Message::Binary(vec![0; LIMIT + 1].into())).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// What comes of a handshake that a server answers so, `{accept}` being the right key, in pieces of so many bytes.
async fn answered(answer: &str, piece: usize) -> Result<WebSocketBytes<DuplexStream>, HandshakeError> {
    let (client, mut server) = duplex(piece);
    let serve = async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(server.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let answer = answer.replace("{accept}", &derive_accept_key(key.as_bytes())).replace('\n', "\r\n");
        // The client may have seen enough.
        let _ = server.write_all(answer.as_bytes()).await;
    };
    tokio::join!(WebSocketBytes::connect(client, "dps.example", LIMIT), serve).0
}

const GOOD: &str = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: websocket\n\
                    Sec-WebSocket-Protocol: mqtt\nSec-WebSocket-Accept: {accept}\n\n";

#[tokio::test]
async fn handshakes_are_good_in_any_pieces_and_breaches_say_which() {
    for piece in [1, 7, 4096] {
        assert!(answered(GOOD, piece).await.is_ok(), "in pieces of {piece}");
    }
    for (right, wrong, expected) in [
        ("{accept}", "AAAA", "key mismatch in \"Sec-WebSocket-Accept\" header"),
        ("Upgrade: websocket", "Upgrade: h2c", "no \"Upgrade: websocket\" header"),
        ("Protocol: mqtt", "Protocol: amqp", "subProtocol error: Server sent an invalid subprotocol"),
        ("Sec-WebSocket-Protocol: mqtt\n", "", "subProtocol error: Server sent no subprotocol"),
        ("mqtt\n", "mqtt\nSec-WebSocket-Extensions: x\n", "the server chose an extension that was not offered"),
        ("HTTP/1.1", "HTTP/1.0", "HTTP version must be 1.1 or higher"),
        ("101 Switching Protocols", "103 Early Hints", "the handshake was answered with HTTP status 103"),
        ("HTTP/1.1 101", "SSH-2.0", "invalid HTTP version"),
    ] {
        match answered(&GOOD.replace(right, wrong), 4096).await {
            Err(HandshakeError::Invalid(reason)) => assert_eq!(reason, expected),
            other => panic!("{wrong}: {:?}", other.err()),
        }
    }
    for status in [200, 302, 403, 503] {
        let refused = answered(&format!("HTTP/1.1 {status} So\nContent-Length: 0\n\n"), 4096).await;
        assert!(matches!(refused, Err(HandshakeError::Refused(is)) if is == status), "{status}");
    }
}

#[tokio::test]
async fn a_handshake_that_ends_early_or_never_is_an_error_of_the_connection() {
    for length in 0..GOOD.len() - 1 {
        match answered(&GOOD[..length], 4096).await {
            Err(HandshakeError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}"),
            other => panic!("{length}: {:?}", other.err()),
        }
    }
    let endless = format!("HTTP/1.1 101 So\n{}\n", "X: y\n".repeat(5_000));
    match answered(&endless, 4096).await {
        Err(HandshakeError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::InvalidData),
        other => panic!("{:?}", other.err()),
    }
}

/// The error that a client has of these bytes, after which the server closes.
async fn read_error(bytes: &[u8]) -> io::Error {
    let (mut client, server) = connected().await;
    let mut server = server.into_inner();
    server.write_all(bytes).await.unwrap();
    drop(server);
    client.read_u8().await.unwrap_err()
}

#[tokio::test]
async fn every_breach_of_the_framing_is_told_from_an_end_of_the_connection() {
    let big = [&[0x89, 0x7e, 0x00, 0x7e][..], &[0; 126]].concat();
    for (bytes, expected) in [
        (&b"\x82\x81\0\0\0\0x"[..], "received a masked frame from server"),
        (b"\xc2\x01x", "reserved bits are non-zero"),
        (b"\x83\x01x", "encountered invalid opcode: 3"),
        (b"\x8b\x00", "encountered invalid opcode: 11"),
        (b"\x09\x00", "fragmented control frame"),
        (&big, "control frame too big (payload must be 125 bytes or less)"),
        (b"\x81\x01x", "a text frame cannot carry MQTT"),
        (b"\x81\x01\xff", "text that is not UTF-8"),
        (b"\x80\x01x", "continue frame but nothing to continue"),
        (b"\x02\x01x\x82\x01x", "while waiting for more fragments received: BINARY"),
        (b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "a frame or message of more than 1000 bytes"),
        (b"\x88\x01\x03", "invalid close sequence"),
        (b"\x88\x03\x03\xe8\xff", "text that is not UTF-8"),
        (b"\x88\x02\x03\xed", "a close frame with a code that must not be sent"),
    ] {
        let error = read_error(bytes).await;
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::InvalidData, expected), "{bytes:x?}");
    }
    for bytes in [&b""[..], b"\x82", b"\x82\x05ab", b"\x02\x01x", b"\x88\x02\x03\xe8"] {
        assert_eq!(read_error(bytes).await.kind(), io::ErrorKind::UnexpectedEof, "{bytes:x?}");
    }
    for (bytes, code) in [(b"\x88\x02\x03\xf3", 1011), (b"\x88\x02\x03\xea", 1002)] {
        let error = read_error(bytes).await;
        assert_eq!(error.to_string(), format!("closed the WebSocket with code {code}"));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}

/// Both roles answer pings by themselves, whether the peer takes the answers or not.
#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_and_does_not_read_costs_no_memory() {
    const PIPE: usize = 4096;
    const PINGS: usize = 5000;
    for ours in [Role::Server, Role::Client] {
        let theirs = if ours == Role::Server { Role::Client } else { Role::Server };
        let (near, far) = duplex(PIPE);
        let inner = WebSocketStream::from_raw_socket(WholeHead::past(near), ours, Some(config(LIMIT))).await;
        let mut near = WebSocketBytes::over(inner);
        let mut far = WebSocketStream::from_raw_socket(far, theirs, None).await;
        let flood = async {
            for _ in 0..PINGS {
                // The sink's flush alone, which reads nothing.
                far.feed(Message::Ping(Bytes::from_static(&[7; 125]))).await.unwrap();
                far.flush().await.unwrap();
            }
            far.send(Message::Binary(Bytes::from_static(b"!"))).await.unwrap();
            far
        };
        let (mut far, read) = tokio::join!(flood, near.read_u8());
        assert_eq!(read.unwrap(), b'!');
        // What is sent now comes behind all that waits: it is counted, and it comes whole.
        let answer = vec![9; 3 * MAX_WAITING];
        let send = async {
            near.write_all(&answer).await.unwrap();
            near.flush().await.unwrap();
        };
        let receive = async {
            let (mut waited, mut got, mut largest) = (0, 0, 0);
            while got < answer.len() {
                match far.next().await.unwrap().unwrap() {
                    Message::Pong(payload) => waited += payload.len(),
                    Message::Binary(bytes) => {
                        got += bytes.len();
                        largest = bytes.len().max(largest);
                    }
                    other => panic!("{other}"),
                }
            }
            (waited, got, largest)
        };
        let ((), (waited, got, largest)) = tokio::join!(send, receive);
        assert_eq!((got, largest), (answer.len(), 16 * 1024));
        assert!(waited <= MAX_WAITING + PIPE, "{waited} bytes of answers of {}", PINGS * 125);
    }
}

#[tokio::test]
async fn frames_that_carry_nothing_end_somewhere() {
    for frame in [&b"\x89\x00"[..], b"\x8a\x00", b"\x82\x00"] {
        let (mut client, server) = connected().await;
        let (mut answers, mut server) = tokio::io::split(server.into_inner());
        let flood = async {
            let many = frame.repeat(1_000);
            while server.write_all(&many).await.is_ok() {}
        };
        let read = async {
            let error = client.read_u8().await.unwrap_err();
            drop(client);
            error
        };
        let mut nowhere = tokio::io::sink();
        let ((), error, _) = tokio::join!(flood, read, tokio::io::copy(&mut answers, &mut nowhere));
        assert_eq!(error.to_string(), "more than 100000 frames in a row that carry nothing");
    }
}

#[tokio::test]
async fn a_hundred_thousand_frames_that_carry_nothing_are_taken() {
    let (mut client, _server) = connected().await;
    for _ in 0..100_000 {
        client.idle_frame().unwrap();
    }
    assert_eq!(client.idle_frame().unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn subprotocols_are_chosen_in_either_case() {
    assert_eq!(choose_subprotocol("AMQPWSB10, MQTT"), Some("MQTT"));
    assert_eq!(choose_subprotocol("mqtt"), Some("mqtt"));
    assert_eq!(choose_subprotocol("AMQPWSB10"), None);
}
