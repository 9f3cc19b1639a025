//! One request over HTTP/2 without TLS, as some proxies send it. The frames are written by hand, so that they can also be wrong.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Types and flags of frames (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Posts a form and gives the body of the answer; empty where the server refuses the stream.
pub async fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<String> {
    let mut block = Vec::new();
    let own = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path)];
    for (name, value) in own.iter().chain([("content-type", "application/x-www-form-urlencoded")].iter()).chain(headers)
    {
        // RFC 7541 §6.2.2: a literal with a new name, which no table keeps.
        block.push(0);
        text(name, &mut block);
        text(value, &mut block);
    }
    let request = [PREFACE, SETTINGS, &frame(HEADERS, END_HEADERS, &block), &frame(DATA, END_STREAM, body.as_bytes())];
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(&request.concat()).await?;
    answer(&mut stream).await
}

/// RFC 7541 §5.1 and §5.2: a length in seven bits and more where it needs them, then the text as it is.
fn text(value: &str, block: &mut Vec<u8>) {
    let mut rest = value.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(value.as_bytes());
}

/// A frame of stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

async fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await?;
        let ours = head[5..] == [0, 0, 0, 1];
        if ours && head[3] == DATA {
            body.extend(payload);
        }
        let ended = ours && [DATA, HEADERS].contains(&head[3]) && head[4] & END_STREAM != 0;
        if ended || [RST_STREAM, GOAWAY].contains(&head[3]) {
            return Ok(String::from_utf8_lossy(&body).into_owned());
        }
    }
}
