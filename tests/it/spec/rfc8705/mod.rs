//! RFC 8705, OAuth 2.0 mutual TLS.

mod binding;
mod fapi2;

use std::sync::Arc;
use std::time::Duration;

use keystead::crypto::{ClientAuthorities, TlsIdentity, tls_server};
use keystead::domain::{ClientAuthMethod, ClientMetadata, ClientProtocol, GrantType, Scope};
use keystead::flows::CertificatePolicy;
use keystead::http::server::{self, Service};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::version::{TLS12, TLS13};
use serde_json::json;

use crate::support::tls::{self, Authority, Identity};
use crate::support::{AdminApi, Answer, Publisher, TestApp};

const MTLS: &str = "https://id.example:8443";
const SPIFFE: &str = "spiffe://example/job";

/// A server that takes certificates, and trusts this authority.
async fn start(authority: &Authority) -> TestApp {
    let authorities = ClientAuthorities::new(authority.pem.as_bytes()).unwrap();
    let policy = CertificatePolicy { authorities: Some(authorities), url: Some(MTLS.to_owned()) };
    TestApp::start_with(|settings| settings.certificates = Some(policy)).await
}

fn machine(method: ClientAuthMethod, protocol: ClientProtocol) -> ClientMetadata {
    ClientMetadata {
        token_endpoint_auth_method: method,
        grant_types: vec![GrantType::ClientCredentials],
        scope: Scope::parse("api:read").unwrap(),
        protocol,
        ..ClientMetadata::default()
    }
}

/// The client `job`, known by its SPIFFE id.
async fn job(app: &TestApp) {
    app.api().await;
    let protocol = ClientProtocol { tls_client_auth_san_uri: Some(SPIFFE.to_owned()), ..ClientProtocol::default() };
    app.client("job", machine(ClientAuthMethod::TlsClientAuth, protocol)).await;
}

fn named(uri: &str) -> impl FnOnce(&mut CertificateParams) {
    let uri = SanType::URI(uri.try_into().unwrap());
    |params| {
        params.subject_alt_names = vec![uri];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
}

async fn ask(app: &TestApp, shows: &Identity) -> Answer {
    app.post_showing(shows, "/oauth2/token", &[("grant_type", "client_credentials"), ("client_id", "job")]).await
}

fn is_refused(answer: &Answer, why: &str) -> bool {
    answer.status == 401 && answer.error() == "invalid_client" && answer.body.contains(why)
}

#[tokio::test]
async fn section_2_1_a_certificate_of_a_trusted_authority_with_the_registered_name() {
    let authority = Authority::new("Clients");
    let app = start(&authority).await;
    job(&app).await;
    let answer = ask(&app, &authority.issue(named(SPIFFE))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let other = ask(&app, &authority.issue(named("spiffe://example/other"))).await;
    assert!(is_refused(&other, "another subject"), "{}", other.body);
    let stranger = ask(&app, &Authority::new("Clients").issue(named(SPIFFE))).await;
    assert!(is_refused(&stranger, "no authority"), "{}", stranger.body);
    let own = ask(&app, &Identity::self_signed(named(SPIFFE))).await;
    assert!(is_refused(&own, "no authority"), "{}", own.body);
    let server = ask(
        &app,
        &authority.issue(|params| {
            named(SPIFFE)(params);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
    )
    .await;
    assert!(is_refused(&server, "no authority"), "{}", server.body);
    let none = app.post("/oauth2/token", &[("grant_type", "client_credentials"), ("client_id", "job")]).await;
    assert!(is_refused(&none, "mtls_endpoint_aliases"), "{}", none.body);
}

#[tokio::test]
async fn section_2_1_a_certificate_counts_within_its_dates() {
    let authority = Authority::new("Clients");
    let app = start(&authority).await;
    job(&app).await;
    let now = app.clock.now();
    for (from, until, holds) in [(-60, 60, true), (-60, -1, false), (30, 60, false)] {
        let identity = authority.issue(|params| {
            named(SPIFFE)(params);
            params.not_before = now + time::Duration::minutes(from);
            params.not_after = now + time::Duration::minutes(until);
        });
        let answer = ask(&app, &identity).await;
        assert_eq!(answer.status == 200, holds, "{from} {until} {}", answer.body);
        assert!(holds || is_refused(&answer, "expired"), "{}", answer.body);
    }
}

#[tokio::test]
async fn section_2_1_2_the_subject_is_compared_as_a_name_and_not_as_a_text() {
    let authority = Authority::new("Clients");
    let app = start(&authority).await;
    app.api().await;
    let name = "CN=Shop\\, \\C3\\9Cber, O=Example,C=DE".to_owned();
    let protocol = ClientProtocol { tls_client_auth_subject_dn: Some(name), ..ClientProtocol::default() };
    app.client("job", machine(ClientAuthMethod::TlsClientAuth, protocol)).await;
    let identity = |common_name: &str| {
        authority.issue(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CountryName, "DE");
            params.distinguished_name.push(DnType::OrganizationName, "Example");
            params.distinguished_name.push(DnType::CommonName, common_name);
        })
    };
    let answer = ask(&app, &identity("Shop, Über")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(is_refused(&ask(&app, &identity("Shop")).await, "another subject"));
}

#[tokio::test]
async fn section_2_2_a_self_signed_certificate_with_a_registered_key() {
    let app = start(&Authority::new("Clients")).await;
    app.api().await;
    let (own, other) = (Identity::self_signed(|_| {}), Identity::self_signed(|_| {}));
    let protocol = ClientProtocol { jwks: Some(own.jwks()), ..ClientProtocol::default() };
    app.client("job", machine(ClientAuthMethod::SelfSignedTlsClientAuth, protocol)).await;
    let answer = ask(&app, &own).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(is_refused(&ask(&app, &other).await, "none of those"));
}

#[tokio::test]
async fn section_2_2_2_a_new_certificate_is_found_at_the_jwks_uri() {
    let app = start(&Authority::new("Clients")).await;
    app.api().await;
    let (first, second) = (Identity::self_signed(|_| {}), Identity::self_signed(|_| {}));
    let publisher = Publisher::of(first.jwks()).await;
    let protocol = ClientProtocol { jwks_uri: Some(publisher.url("/jwks")), ..ClientProtocol::default() };
    app.client("job", machine(ClientAuthMethod::SelfSignedTlsClientAuth, protocol)).await;
    assert_eq!(ask(&app, &first).await.status, 200);
    publisher.publish(second.jwks());
    app.clock.advance(time::Duration::seconds(61));
    assert_eq!(ask(&app, &second).await.status, 200);
    assert!(is_refused(&ask(&app, &first).await, "none of those"));
}

#[tokio::test]
async fn section_2_a_listener_of_our_own_asks_for_certificates() {
    let (servers, clients) = (Authority::new("Servers"), Authority::new("Clients"));
    let app = start(&clients).await;
    job(&app).await;
    let server = servers.server();
    let identity = Arc::new(TlsIdentity::new(server.pem.as_bytes(), server.key_pem.as_bytes()).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Some(tls_server(identity, true).unwrap());
    let service = Service { listener, site: app.certificate_site(), tls, most_connections: 10 };
    tokio::spawn(server::serve(service, std::future::pending(), Duration::ZERO));
    let (right, wrong) = (clients.issue(named(SPIFFE)), Identity::self_signed(named(SPIFFE)));
    let form = "grant_type=client_credentials&client_id=job";
    for (versions, shows, status) in [
        ([&TLS13], Some(&right), 200),
        ([&TLS12], Some(&right), 200),
        ([&TLS13], Some(&wrong), 401),
        ([&TLS12], None, 401),
    ] {
        let client = servers.client(&versions, shows);
        let reply = tls::post(address, client, "/oauth2/token", "", form).await.unwrap();
        assert_eq!(reply.status, status, "{versions:?} {}", reply.body);
    }
    for path in ["/login", "/oauth2/authorize", "/nowhere"] {
        let reply = tls::get(address, servers.client(&[&TLS13], None), path).await.unwrap();
        assert_eq!(reply.status, 404, "{path}: nothing here is for browsers");
    }
}

#[tokio::test]
async fn security_65_a_certificate_in_a_header_is_believed_from_its_own_proxies_only() {
    let authority = Authority::new("Clients");
    let app = start(&authority).await;
    job(&app).await;
    let name = "client-cert".parse().unwrap();
    let app = app.with_http(|options| {
        options.client_certificate_header = Some(name);
        options.certificate_proxies = vec!["10.1.0.0/16".parse().unwrap()];
    });
    let identity = authority.issue(named(SPIFFE));
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &identity.der);
    // The last one is trusted for addresses, which is another matter.
    for (peer, status) in [("10.1.2.3", 200), ("203.0.113.9", 401), ("10.2.0.1", 401)] {
        let mut request =
            crate::support::form("/oauth2/token", &[("grant_type", "client_credentials"), ("client_id", "job")]);
        request.headers_mut().insert("client-cert", format!(":{encoded}:").parse().unwrap());
        let peer = std::net::SocketAddr::new(peer.parse().unwrap(), 4711);
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        let answer = app.send(request).await;
        assert_eq!(answer.status, status, "{peer} {}", answer.body);
    }
}

#[tokio::test]
async fn section_5_discovery_and_registration_follow_the_settings() {
    let without = TestApp::start().await;
    let document = without.get("/.well-known/openid-configuration").await.json();
    let methods = document["token_endpoint_auth_methods_supported"].to_string();
    assert!(!methods.contains("tls_client_auth") && document.get("mtls_endpoint_aliases").is_none(), "{document}");
    let job = json!({ "client_name": "Job", "grant_types": ["client_credentials"], "scope": "",
        "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "job.example" });
    let admin = AdminApi::open(&without).await;
    let refused = admin.post("/admin/v1/clients", job.clone()).await;
    assert!(refused.status == 400 && refused.body.contains("public.client_certificates"), "{}", refused.body);

    let app = start(&Authority::new("Clients")).await;
    let document = app.get("/.well-known/openid-configuration").await.json();
    for endpoint in ["token", "introspection", "revocation"] {
        let methods = document[format!("{endpoint}_endpoint_auth_methods_supported")].to_string();
        assert!(methods.contains("\"tls_client_auth\"") && methods.contains("\"self_signed_tls_client_auth\""));
        let usual = document[format!("{endpoint}_endpoint")].as_str().unwrap();
        let alias = document["mtls_endpoint_aliases"][format!("{endpoint}_endpoint")].as_str().unwrap();
        assert_eq!(alias, usual.replace("https://id.example", MTLS));
    }
    let admin = AdminApi::open(&app).await;
    let made = admin.post("/admin/v1/clients", job.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.json()["tls_client_auth_san_dns"] == "job.example" && made.json().get("client_secret").is_none());
}
