//! The line to the real program: a router that hands each request on over TCP, and keeps what passed in both directions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use http_body_util::BodyExt as _;

use super::{Answer, tcp};

/// A request and its answer, as they passed.
pub struct Passed {
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
    pub answer: Answer,
}

/// What passed on one line; clones share it.
#[derive(Clone, Default)]
pub struct Line(Arc<Mutex<Vec<Passed>>>);

impl Line {
    /// A router that asks the program at this address, for [`super::TestApp::public`] or [`super::TestApp::admin`].
    pub fn to(&self, program: SocketAddr) -> Router {
        let line = self.clone();
        Router::new().fallback(move |request| async move { line.carry(program, request).await })
    }

    /// Looks at everything that passed so far.
    pub fn read<T>(&self, look: impl FnOnce(&[Passed]) -> T) -> T {
        look(&self.0.lock().unwrap())
    }

    async fn carry(self, program: SocketAddr, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let target = parts.uri.to_string();
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", parts.method);
        head += &format!("Content-Length: {}\r\n", body.len());
        for (name, value) in &parts.headers {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let reply = tcp::exchange(program, &[head.as_bytes(), b"\r\n", &body].concat()).await.unwrap();
        let mut response = Response::new(Body::from(reply.body.clone()));
        *response.status_mut() = reply.status.try_into().unwrap();
        *response.headers_mut() = reply.headers.clone();
        // The body is whole here, whatever framing it had.
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        let answer = Answer { status: response.status(), headers: reply.headers, body: reply.body };
        let body = String::from_utf8_lossy(&body).into_owned();
        self.0.lock().unwrap().push(Passed { target, headers: parts.headers, body, answer });
        response
    }
}
