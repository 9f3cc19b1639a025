//! HTTP/1.1 over real connections, written by hand so that it can also be wrong.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    /// Reads everything until the server closes the connection.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in head.lines().skip(1).filter_map(header) {
            headers.append(name, value);
        }
        Ok(Self { status, headers, body: body.to_owned() })
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Sends bytes on a connection of their own and reads until the server closes it.
pub async fn exchange(to: SocketAddr, request: &[u8]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(to).await?;
    // A server that has heard enough answers and closes while we still write.
    let written = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes).await;
    Reply::parse(&bytes).map_err(|error| written.err().or(read.err()).unwrap_or(error))
}

pub async fn get(to: SocketAddr, path: &str) -> io::Result<Reply> {
    exchange(to, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await
}

/// Posts a form, with HTTP Basic authentication if `authorization` is not empty.
pub async fn post(to: SocketAddr, path: &str, authorization: &str, params: &[(&str, &str)]) -> io::Result<Reply> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let authorization =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(to, request.as_bytes()).await
}

/// Waits until a path answers with this status.
pub async fn until(to: SocketAddr, path: &str, status: u16) {
    for _ in 0..600 {
        if get(to, path).await.is_ok_and(|reply| reply.status == status) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} does not answer with {status}: {:?}", get(to, path).await);
}

/// Asserts that a path answers with this status before `limit`.
pub async fn answers(to: SocketAddr, path: &str, status: u16, limit: Duration) {
    let reply = tokio::time::timeout(limit, get(to, path)).await;
    let reply = reply.unwrap_or_else(|_| panic!("{path} does not answer within {limit:?}"));
    assert_eq!(reply.as_ref().map(|reply| reply.status).ok(), Some(status), "{path}: {reply:?}");
}
