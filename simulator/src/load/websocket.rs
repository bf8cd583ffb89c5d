//! Just enough of WebSocket (RFC 6455) for a client that sends prepared frames and reads fast.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long opening a connection may take.
pub const OPEN_TIME: Duration = Duration::from_secs(20);

/// Bytes of the longest message that is listened to.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;

/// Masks are there so that a client's bytes cannot be mistaken for HTTP by a proxy on the way.
/// On loopback one does for all; it is not zero, so that the server has its work with it.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x9e];

/// A blocking connection.
pub fn connect(authority: &str) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(authority)
        .map_err(|error| format!("nothing can be reached at {authority}: {error}"))?;
    let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(OPEN_TIME)));
    set.map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Makes a connection a WebSocket.
pub fn upgrade(authority: &str, path: &str, protocol: Option<&str>) -> Result<TcpStream, String> {
    let mut stream = connect(authority)?;
    let protocol = protocol.map_or(String::new(), |p| format!("Sec-WebSocket-Protocol: {p}\r\n"));
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: c2Vuc29jdG8gbG9hZCBydQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
    )
    .map_err(|error| error.to_string())?;
    // Byte for byte, so that nothing of the first frame is taken.
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16_384 {
        stream.read_exact(&mut byte).map_err(|error| format!("{authority}{path}: {error}"))?;
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101") {
        return Ok(stream);
    }
    Err(format!("{authority}{path}: {}", refusal(&head)))
}

/// What a server answers that does not open a socket, fit for a terminal.
fn refusal(head: &[u8]) -> String {
    const SHOWN_MAX: usize = 100;
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    if line.starts_with(b"HTTP/")
        && line.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
    {
        line.iter().take(SHOWN_MAX).map(|&byte| char::from(byte)).collect()
    } else {
        "what answers there does not speak HTTP".into()
    }
}

/// Adds a frame to `wire`; `payload` writes what is in it.
pub fn frame(opcode: u8, wire: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = wire.len();
    // Room for the longest head; what is too much is closed up behind.
    wire.extend_from_slice(&[0; 14]);
    payload(wire);
    let length = wire.len() - start - 14;
    let mut head = [0; 14];
    head[0] = 0x80 | opcode;
    let head_length = match length {
        0..=125 => {
            head[1] = 0x80 | length as u8;
            2
        }
        126..=0xffff => {
            head[1] = 0x80 | 126;
            head[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 0x80 | 127;
            head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    head[head_length..head_length + 4].copy_from_slice(&MASK);
    for (index, byte) in wire[start + 14..].iter_mut().enumerate() {
        *byte ^= MASK[index & 3];
    }
    wire[start..start + head_length + 4].copy_from_slice(&head[..head_length + 4]);
    wire.copy_within(start + 14.., start + head_length + 4);
    wire.truncate(start + head_length + 4 + length);
}

/// The first frame of a server's bytes: opcode, payload, and its length with its head. `None`
/// until it is whole.
pub fn first_frame(wire: &[u8]) -> Result<Option<(u8, &[u8], usize)>, String> {
    let &[first, second, ..] = wire else { return Ok(None) };
    if second & 0x80 != 0 || first & 0x80 == 0 {
        return Err("a masked or fragmented frame from the server".into());
    }
    let (length, head) = match second & 0x7f {
        126 if wire.len() < 4 => return Ok(None),
        126 => (u64::from(u16::from_be_bytes([wire[2], wire[3]])), 4),
        127 if wire.len() < 10 => return Ok(None),
        127 => (wire[2..10].iter().fold(0, |n, &byte| n << 8 | u64::from(byte)), 10),
        short => (u64::from(short), 2),
    };
    if length > MESSAGE_BYTES_MAX {
        return Err(format!("a frame of {length} bytes"));
    }
    let end = head + length as usize;
    Ok(wire.get(head..end).map(|payload| (first & 0x0f, payload, end)))
}

/// What a close frame says, as an error about `what`.
pub fn closed(what: &str, payload: &[u8]) -> String {
    match payload.split_at_checked(2) {
        None => format!("the server closed {what} without a code"),
        Some((code, reason)) => {
            let code = u16::from_be_bytes([code[0], code[1]]);
            let reason = String::from_utf8_lossy(reason);
            let gap = if reason.is_empty() { "" } else { " " };
            format!("the server closed {what} with {code}{gap}{reason}")
        }
    }
}

/// Reads frames from a blocking connection until `done` says so of one; returns what is left.
pub fn read_until(
    stream: &mut TcpStream,
    mut done: impl FnMut(u8, &[u8]) -> Result<bool, String>,
) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    let mut chunk = [0; 16_384];
    loop {
        while let Some((opcode, payload, end)) = first_frame(&wire)? {
            let over = done(opcode, payload)?;
            wire.drain(..end);
            if over {
                return Ok(wire);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(count) => wire.extend_from_slice(&chunk[..count]),
            Err(error) => return Err(format!("no answer: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_http_is_not_shown_to_a_terminal() {
        assert_eq!(refusal(b"HTTP/1.1 403 Forbidden\r\n\r\n"), "HTTP/1.1 403 Forbidden");
        for head in [&b"\x1b[2J\x07"[..], b"HTTP/1.1 200 \x1b[31m\r\n", b"\xff\xfe\r\n", b""] {
            assert_eq!(refusal(head), "what answers there does not speak HTTP");
        }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let mut wire = vec![7];
            frame(BINARY, &mut wire, |out| out.resize(out.len() + length, 0xab));
            let mut wire = wire.split_off(1);
            // As the server would have sent it: without the mask.
            let head = wire.len() - length - 4;
            assert_eq!(wire[head..head + 4], MASK);
            wire.drain(head..head + 4);
            wire[1] &= 0x7f;
            for (index, byte) in wire[head..].iter_mut().enumerate() {
                *byte ^= MASK[index & 3];
            }
            let (opcode, payload, end) = first_frame(&wire).unwrap().unwrap();
            assert_eq!((opcode, payload.len(), end), (BINARY, length, wire.len()));
            assert!(payload.iter().all(|&byte| byte == 0xab));
            assert_eq!(first_frame(&wire[..wire.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(first_frame(&[0x81, 0x80]).is_err());
        assert!(first_frame(&[0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert_eq!(first_frame(&[0x81]), Ok(None));
    }
}
