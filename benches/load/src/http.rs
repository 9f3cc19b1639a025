//! HTTP/1.1 as a client: one request in flight on a connection that is kept. It does as little as it can, because what it costs is
//! missing on the other side: it must not be the slower one.

use std::cmp::Ordering;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// More than any answer that is asked for here has.
const MOST_HEADERS: usize = 40;
const BUFFER: usize = 16 * 1024;

/// A connection to a server.
pub struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer, read to its end.
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    head: &'a [u8],
    /// The body.
    pub body: &'a str,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, received: Vec::with_capacity(BUFFER) })
    }

    /// Connects anew, after a failure has left the connection in a state that nobody knows.
    pub async fn reopen(&mut self) -> Result<(), Failure> {
        *self = Self::open(self.address).await?;
        Ok(())
    }

    /// Sends a request and reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Failure> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let frame = self.receive().await?;
        let (head, body) = self.received.split_at(frame.head_length);
        let body = std::str::from_utf8(body).map_err(|_| Failure::new("the body of an answer is not UTF-8"))?;
        Ok(Answer { status: frame.status, head, body })
    }

    /// Reads until an answer is complete.
    async fn receive(&mut self) -> Result<Frame, Failure> {
        loop {
            self.received.reserve(BUFFER);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Failure::new("the server closed the connection before its answer was complete"));
            }
            let Some(frame) = Frame::read(&self.received)? else { continue };
            match self.received.len().cmp(&(frame.head_length + frame.body_length)) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(frame),
                Ordering::Greater => return Err(Failure::new("the server sent more than Content-Length says")),
            }
        }
    }
}

/// What the head of an answer says about its form.
struct Frame {
    status: u16,
    head_length: usize,
    body_length: usize,
}

impl Frame {
    /// `None`: the head is not complete yet.
    fn read(received: &[u8]) -> Result<Option<Self>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_length) = response.parse(received)? else { return Ok(None) };
        let status = response.code.unwrap_or_default();
        let mut body_length = matches!(status, 204 | 304).then_some(0);
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                body_length = std::str::from_utf8(header.value)?.parse().ok();
            } else if header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close") {
                return Err(Failure::new(format!("the server closes the connection after status {status}")));
            }
        }
        let body_length =
            body_length.ok_or_else(|| Failure::new(format!("an answer of status {status} has no Content-Length")))?;
        Ok(Some(Self { status, head_length, body_length }))
    }
}

impl Answer<'_> {
    /// The values of a header, in order.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        // It was parsed before, so it can be parsed again.
        let _ = httparse::Response::new(&mut headers).parse(self.head);
        let named = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).into_owned()).collect()
    }

    /// The value of a cookie that the answer sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.headers("set-cookie");
        cookies.iter().find_map(|cookie| {
            let value = cookie.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.split(';').next().unwrap_or_default().to_owned())
        })
    }

    /// A member of a flat JSON object whose value is a string without escapes, as tokens are. Much quicker than to parse it all.
    pub fn member(&self, name: &str) -> Option<&str> {
        let mut rest = self.body;
        loop {
            let (_, found) = rest.split_once(name)?;
            if let Some(value) = found.strip_prefix("\":\"") {
                return value.split('"').next();
            }
            rest = found;
        }
    }

    /// The answer, if it has this status.
    pub fn with_status(self, status: u16) -> Result<Self, Failure> {
        if self.status == status {
            return Ok(self);
        }
        Err(Failure::unexpected(self.status, self.body, &status.to_string()))
    }
}

/// A GET request.
pub fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", path, headers, None)
}

/// A POST request with a form.
pub fn post(path: &str, headers: &[(&str, &str)], form: &str) -> Vec<u8> {
    request("POST", path, headers, Some(("application/x-www-form-urlencoded", form)))
}

/// A POST request with JSON.
pub fn post_json(path: &str, headers: &[(&str, &str)], json: &str) -> Vec<u8> {
    request("POST", path, headers, Some(("application/json", json)))
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<(&str, &str)>) -> Vec<u8> {
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: keystead-bench\r\nAccept: */*\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if let Some((content_type, body)) = body {
        let length = body.len().to_string();
        text.extend(["Content-Type: ", content_type, "\r\nContent-Length: ", &length, "\r\n\r\n", body]);
    } else {
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// A form from names and values.
pub fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_head_is_there_and_says_how_long_the_body_is() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n";
        assert!(Frame::read(head).unwrap().is_none());
        let frame = Frame::read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").unwrap().unwrap();
        assert_eq!((frame.status, frame.head_length, frame.body_length), (200, 38, 5));
        assert!(Frame::read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(Frame::read(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn a_member_is_found_by_its_whole_name() {
        let body = r#"{"refresh_token_expires_in":5,"refresh_token":"ksr_1","id_token":"a.b.c"}"#;
        let answer = Answer { status: 200, head: b"", body };
        assert_eq!(answer.member("refresh_token"), Some("ksr_1"));
        assert_eq!(answer.member("access_token"), None);
    }
}
