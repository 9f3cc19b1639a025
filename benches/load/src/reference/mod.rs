//! The reference: axum with the necessary work of each workload and nothing else. The same signatures, the same kind of statements on
//! its own tables, micro-batched by one flusher for each statement; no protocol, no client authentication, no log, no metrics, no headers.
//!
//! Owns: what a server like Keystead cannot do without. Does not own: being a server that anybody should use.

mod batch;
mod database;
mod hashing;
mod mint;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use sqlx::PgPool;

use crate::failure::Failure;
use batch::Batch;
use database::{Live, Person, Rotate, Rotation};
use hashing::Hashing;
use mint::{IdToken, Mint, PositionKind, Verified};

/// Arguments of the reference.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// The PostgreSQL in which the database is made.
    #[arg(long)]
    database_url: String,
}

/// Serves until it is killed.
pub async fn run(args: Args) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    let listener = listener.tap_io(|stream| {
        // Without it every answer would wait for more; with it nothing is different but the delay.
        let _ = stream.set_nodelay(true);
    });
    let pool = database::prepare(&args.database_url).await?;
    let state = Reference {
        mint: Mint::new()?,
        live: Batch::start(&pool).await?,
        person: Batch::start(&pool).await?,
        rotate: Batch::start(&pool).await?,
        hashing: Hashing::start()?,
        seen: RwLock::default(),
        document: OnceLock::new(),
        pool,
    };
    let terminated = async {
        if let Ok(mut signals) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            signals.recv().await;
        }
    };
    tokio::select! {
        served = axum::serve(listener, router(Arc::new(state))) => Ok(served?),
        () = terminated => Ok(()),
    }
}

struct Reference {
    mint: Mint,
    live: Batch<Live>,
    person: Batch<Person>,
    rotate: Batch<Rotate>,
    hashing: Hashing,
    /// Access tokens whose signature was verified before, with their grant and the answer to an introspection.
    seen: RwLock<HashMap<String, Verified>>,
    /// What `/document` answers.
    document: OnceLock<Bytes>,
    pool: PgPool,
}

type Shared = State<Arc<Reference>>;

fn router(state: Arc<Reference>) -> Router {
    Router::new()
        .route("/about", get(about))
        .route("/prepare/{what}/{count}", post(prepare))
        .route("/token/{algorithm}", post(client_credentials))
        .route("/introspect", post(introspect))
        .route("/introspect/new", post(introspect_new))
        .route("/refresh/{id_token}", post(refresh))
        .route("/code", post(redeem))
        .route("/userinfo", get(userinfo))
        .route("/static", get(async || json(Bytes::from_static(STATIC))))
        .route("/document", get(document))
        .route("/login", get(login_page).post(login))
        .with_state(state)
}

/// As much JSON as a JWKS.
const STATIC: &[u8; 700] = &{
    let mut json = [b' '; 700];
    json[0] = b'{';
    json[699] = b'}';
    json
};

/// As much JSON as Keystead's discovery document.
async fn document(State(reference): Shared) -> Response {
    json(reference.document.get().cloned().unwrap_or_default())
}

fn json(body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

fn refused() -> Response {
    StatusCode::BAD_REQUEST.into_response()
}

/// The value of a form field that needs no decoding.
fn field<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The version of PostgreSQL.
async fn about(State(reference): Shared) -> Response {
    database::version(&reference.pool).await.map_or_else(|_| refused(), json)
}

/// As many as Keystead has for `introspection-many`.
const GRANTS_OF_ACCESS_TOKENS: i32 = 256;

/// Makes lines: codes or refresh tokens, each of a grant of its own, or access tokens, many of a grant as in Keystead's chains; or a document of this many
/// bytes.
async fn prepare(State(reference): Shared, Path((what, count)): Path<(String, i32)>) -> Response {
    if what == "document" {
        let length = usize::try_from(count).unwrap_or_default().max(2);
        return json(reference.document.get_or_init(|| format!("{{{}}}", " ".repeat(length - 2)).into()).clone());
    }
    let (kind, grants) = match what.as_str() {
        "codes" => (PositionKind::Code, count),
        "refresh-tokens" => (PositionKind::RefreshToken, count),
        _ => (PositionKind::RefreshToken, count.min(GRANTS_OF_ACCESS_TOKENS)),
    };
    let Ok(grants) = database::make_grants(&reference.pool, grants, kind.first_generation()).await else {
        return refused();
    };
    let mint = &reference.mint;
    let mut lines = String::new();
    for grant in grants.iter().cycle().take(usize::try_from(count).unwrap_or_default()) {
        let line = match what.as_str() {
            "new-tokens" | "seen-tokens" => mint.access_token(grant),
            _ => mint.position(kind, grant.id, kind.first_generation()),
        };
        if what == "seen-tokens"
            && let Some(verified) = mint.verify(&line)
        {
            reference.seen.write().unwrap_or_else(PoisonError::into_inner).insert(line.clone(), verified);
        }
        lines.extend([&line, "\n"]);
    }
    lines.into_response()
}

async fn client_credentials(State(reference): Shared, Path(algorithm): Path<String>) -> Response {
    reference.mint.client_credentials(&algorithm).map_or_else(refused, json)
}

async fn introspect(State(reference): Shared, form: String) -> Response {
    let Some(token) = field(&form, "token") else { return refused() };
    let Some(verified) = reference.seen(token) else { return refused() };
    introspected(&reference, verified).await
}

async fn introspect_new(State(reference): Shared, form: String) -> Response {
    let verified = field(&form, "token").and_then(|token| reference.mint.verify(token));
    let Some(verified) = verified else { return refused() };
    introspected(&reference, verified).await
}

async fn introspected(reference: &Reference, token: Verified) -> Response {
    match reference.live.ask((token.grant, token.jti)).await {
        Some(true) => json(token.answer),
        Some(false) => json(r#"{"active":false}"#),
        None => refused(),
    }
}

async fn refresh(State(reference): Shared, Path(id_token): Path<String>, form: String) -> Response {
    let token = field(&form, "refresh_token").unwrap_or_default();
    let id_token = match id_token.as_str() {
        "es256" => IdToken::Es256,
        "rs256" => IdToken::Rs256,
        _ => IdToken::None,
    };
    reference.rotate(PositionKind::RefreshToken, token, id_token).await
}

async fn redeem(State(reference): Shared, form: String) -> Response {
    let code = field(&form, "code").unwrap_or_default();
    reference.rotate(PositionKind::Code, code, IdToken::Es256).await
}

async fn userinfo(State(reference): Shared, headers: HeaderMap) -> Response {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let Some(verified) = reference.seen(token) else { return refused() };
    reference.person.ask(verified.grant).await.flatten().map_or_else(refused, json)
}

impl Reference {
    fn seen(&self, token: &str) -> Option<Verified> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    async fn rotate(&self, kind: PositionKind, token: &str, id_token: IdToken) -> Response {
        let Some((grant, generation)) = self.mint.open(kind, token) else { return refused() };
        let Some(Some(grant)) = self.rotate.ask(Rotation { grant, generation }).await else { return refused() };
        json(self.mint.response(&grant, id_token))
    }
}

const COOKIE: HeaderName = header::SET_COOKIE;

async fn login_page() -> Response {
    let cookie = "__Host-keystead-browser=0123456789abcdef; Path=/; Secure; HttpOnly; SameSite=Lax";
    let page = r#"<form method="post"><input type="hidden" name="csrf_token" value="0123456789abcdef"></form>"#;
    ([(COOKIE, cookie)], page).into_response()
}

async fn login(State(reference): Shared, form: String) -> Response {
    let password = field(&form, "password").unwrap_or_default().to_owned();
    if !reference.hashing.verify(password).await {
        return refused();
    }
    let token = mint::random();
    if database::insert_session(&reference.pool, &token).await.is_err() {
        return refused();
    }
    let cookie = format!("__Host-keystead-session={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
    (StatusCode::SEE_OTHER, [(COOKIE, cookie.as_str()), (header::LOCATION, "/login")]).into_response()
}
