//! A client's own web server: what it publishes can be changed, and what it was asked and told is counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

/// Answers every path with the same document.
#[derive(Clone)]
pub struct Publisher {
    address: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    status: StatusCode,
    document: String,
    delay: Duration,
    content_type: &'static str,
    cache_control: &'static str,
    received: Vec<String>,
}

impl Publisher {
    /// On loopback, with this document.
    pub async fn of(document: impl ToString) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner {
            status: StatusCode::OK,
            document: document.to_string(),
            delay: Duration::ZERO,
            content_type: "application/json",
            cache_control: "private",
            received: Vec::new(),
        };
        let this = Self { address, inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new().fallback(answer).with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        this
    }

    /// An address there.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Publishes another document.
    pub fn publish(&self, document: impl ToString) {
        self.inner.lock().unwrap().document = document.to_string();
    }

    /// Answers with another status from now on.
    pub fn fail_with(&self, status: u16) {
        self.inner.lock().unwrap().status = StatusCode::from_u16(status).unwrap();
    }

    /// Takes its time for each answer from now on.
    pub fn take(&self, delay: Duration) {
        self.inner.lock().unwrap().delay = delay;
    }

    /// Says from now on that it is of this type.
    pub fn claim(&self, content_type: &'static str) {
        self.inner.lock().unwrap().content_type = content_type;
    }

    /// Sends this `Cache-Control` from now on.
    pub fn cache(&self, cache_control: &'static str) {
        self.inner.lock().unwrap().cache_control = cache_control;
    }

    /// As [`Self::received`], once there are so many: a job of the server may have been quicker and still be on its way.
    pub async fn heard(&self, least: usize) -> Vec<String> {
        let heard = async {
            while self.received().len() < least {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), heard).await.expect("it was told");
        self.received()
    }

    /// The bodies of all requests so far.
    pub fn received(&self) -> Vec<String> {
        self.inner.lock().unwrap().received.clone()
    }
}

async fn answer(State(publisher): State<Publisher>, body: Bytes) -> impl IntoResponse {
    let delay = publisher.inner.lock().unwrap().delay;
    tokio::time::sleep(delay).await;
    let mut inner = publisher.inner.lock().unwrap();
    inner.received.push(String::from_utf8_lossy(&body).into_owned());
    let headers = [(header::CONTENT_TYPE, inner.content_type), (header::CACHE_CONTROL, inner.cache_control)];
    (inner.status, headers, inner.document.clone())
}
