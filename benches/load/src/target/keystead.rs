//! Keystead: clients and resource servers through its admin API, grants through a browser's way, then the operations.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::{
    ACTIVE, CODE_CHALLENGE, CODE_VERIFIER, Need, Producer, REDIRECT_URI, TOKEN, basic, collect, many, once, same,
};
use crate::failure::Failure;
use crate::http::{self, Connection};
use crate::operation::{Chain, Circle, Operation, SignIn};
use crate::processes::Stage;
use crate::workload::{Algorithm, Kind};

const TOKEN_PATH: &str = "/oauth2/token";
/// Access tokens of `introspection-many`: grants, and tokens of each.
const GRANTS: usize = 256;
const TOKENS_A_GRANT: usize = 16;
/// What `keystead dev` puts into its database (CONTRACT.md): a client of the admin API and a person.
const ADMIN: (&str, &str) = ("demo-admin", "demo-admin-secret-0000000000000000000000");
pub const PERSON: (&str, &str) = ("demo@example.com", "keystead demo password");

/// A client and how it authenticates.
struct Client {
    id: String,
    authorization: String,
    scope: &'static str,
    id_token: bool,
}

/// The server, ready for all workloads.
pub struct Keystead {
    /// Where OAuth requests go.
    pub public: SocketAddr,
    service: Client,
    api: Client,
    /// Web applications without ID token, with one of ES256, and with one of RS256.
    web: [Client; 3],
    stage: Stage,
    /// Accounts of their own for connections that sign in: many who try the same account at once are told to wait.
    people: Vec<SignIn>,
    /// A browser in which the person is signed in.
    cookies: String,
    introspected: Vec<String>,
}

impl Keystead {
    /// Registers what the workloads need, and signs in.
    pub async fn prepare(public: SocketAddr, admin: SocketAddr, stage: &Stage) -> Result<Self, Failure> {
        let mut connection = Connection::open(public).await?;
        let form = http::form(&[
            ("grant_type", "client_credentials"),
            ("scope", "keystead:admin"),
            ("client_id", ADMIN.0),
            ("client_secret", ADMIN.1),
        ]);
        let answer = connection.exchange(&http::post(TOKEN_PATH, &[], &form)).await?.with_status(200)?;
        let token = answer.member("access_token").ok_or_else(|| Failure::new("no access token for the admin API"))?;
        let mut registry =
            Registry { connection: Connection::open(admin).await?, authorization: format!("Bearer {token}") };
        let api = registry.client("api", json!({ "grant_types": [] }), "").await?;
        for algorithm in Algorithm::ALL {
            registry.resource_server(algorithm).await?;
        }
        let metadata = json!({ "grant_types": ["client_credentials"] });
        let service = registry.client("service", metadata, "bench:es256 bench:eddsa bench:rs256").await?;
        let web = [
            registry.web("web-plain", None, "bench:es256 offline_access").await?,
            registry.web("web-es256", Some("ES256"), "openid profile email offline_access").await?,
            registry.web("web-rs256", Some("RS256"), "openid profile email offline_access").await?,
        ];
        let person = SignIn { username: PERSON.0.to_owned(), password: PERSON.1.to_owned() };
        let cookies = person.sign_in(&mut connection).await?;
        let (people, introspected) = (Vec::new(), Vec::new());
        let this = Self { public, service, api, web, stage: stage.clone(), people, cookies, introspected };
        this.chains(0, 1).await?;
        multiply_grants(&stage.database_url()?).await?;
        Ok(this)
    }

    /// One operation for each connection.
    pub async fn operations(&mut self, kind: Kind, need: Need) -> Result<Vec<Operation>, Failure> {
        let count = need.connections;
        Ok(match kind {
            Kind::ClientCredentials(algorithm) => {
                let form = format!("grant_type=client_credentials&scope=bench%3A{}", algorithm.word());
                let request = http::post(TOKEN_PATH, &[("Authorization", &self.service.authorization)], &form);
                same(&request, TOKEN, count)
            }
            Kind::IntrospectOne => {
                let token = self.access_token(0).await?;
                same(&self.introspection(&token), ACTIVE, count)
            }
            Kind::IntrospectMany => {
                self.make_many_access_tokens().await?;
                many(self.introspected.iter().map(|token| self.introspection(token)).collect(), ACTIVE, count)
            }
            Kind::IntrospectNew => {
                let mut makers = Vec::new();
                for chain in self.chains(0, count).await? {
                    makers.push(IntrospectionMaker { chain, authorization: self.api.authorization.clone() });
                }
                once(&collect(self.public, makers, need.collecting()).await?, ACTIVE, count)
            }
            Kind::Refresh(id_token) => {
                let client = match id_token {
                    None => 0,
                    Some(Algorithm::Rs256) => 2,
                    Some(_) => 1,
                };
                self.chains(client, count).await?.into_iter().map(Operation::Refresh).collect()
            }
            Kind::Code => {
                let browser = Browser::new(&self.web[1], &self.cookies);
                let browsers = (0..count).map(|_| browser.clone()).collect();
                once(&collect(self.public, browsers, need.collecting()).await?, TOKEN, count)
            }
            Kind::UserInfo => {
                let bearer = format!("Bearer {}", self.access_token(1).await?);
                same(&http::get("/oauth2/userinfo", &[("Authorization", &bearer)]), PERSON.0, count)
            }
            Kind::Discovery => same(&http::get("/.well-known/openid-configuration", &[]), "{", count),
            Kind::Jwks => same(&http::get("/oauth2/jwks", &[]), "{", count),
            Kind::SignIn => {
                self.make_people(count).await?;
                self.people[..count].iter().cloned().map(Operation::SignIn).collect()
            }
        })
    }

    fn introspection(&self, token: &str) -> Vec<u8> {
        introspection(&self.api.authorization, token)
    }

    /// Grants of one of the web applications, and the chains of their refresh tokens.
    async fn chains(&self, client: usize, count: usize) -> Result<Vec<Chain>, Failure> {
        self.chains_of(client, &self.cookies, count).await
    }

    /// The same for the person whose browser has these cookies.
    async fn chains_of(&self, client: usize, cookies: &str, count: usize) -> Result<Vec<Chain>, Failure> {
        let mut connection = Connection::open(self.public).await?;
        let client = &self.web[client];
        let mut browser = Browser::new(client, cookies);
        let mut chains = Vec::new();
        for _ in 0..count {
            let redemption = browser.produce(&mut connection).await?;
            let answer = connection.exchange(&redemption).await?.with_status(200)?;
            let token =
                answer.member("refresh_token").ok_or_else(|| Failure::new("a code brought no refresh token"))?;
            chains.push(Chain::new(TOKEN_PATH, &client.authorization, token, client.id_token));
        }
        Ok(chains)
    }

    /// Chains of the application without ID tokens, for the person whose browser has these cookies or, without them, the demo's.
    pub async fn plain_chains(&self, cookies: Option<&str>, count: usize) -> Result<Vec<Chain>, Failure> {
        self.chains_of(0, cookies.unwrap_or(&self.cookies), count).await
    }

    /// Introspection of the last access token of each chain, on every connection from a different one on.
    pub fn introspect_each(&self, chains: &Circle, connections: usize) -> Vec<Operation> {
        let requests = chains.access_tokens().iter().map(|token| self.introspection(token)).collect();
        many(requests, ACTIVE, connections)
    }

    /// Bytes of the discovery document.
    pub async fn length_of_discovery(&self) -> Result<usize, Failure> {
        let mut connection = Connection::open(self.public).await?;
        let answer = connection.exchange(&http::get("/.well-known/openid-configuration", &[])).await?;
        Ok(answer.with_status(200)?.body.len())
    }

    async fn access_token(&self, client: usize) -> Result<String, Failure> {
        let mut connection = Connection::open(self.public).await?;
        let mut chains = self.chains(client, 1).await?;
        chains[0].refresh(&mut connection).await?;
        Ok(chains[0].access_token().to_owned())
    }

    async fn make_people(&mut self, count: usize) -> Result<(), Failure> {
        for number in self.people.len()..count {
            let (username, password) = (format!("person-{number}@example.com"), format!("password of person {number}"));
            self.stage.make_person(&username, &password).await?;
            self.people.push(SignIn { username, password });
        }
        Ok(())
    }

    /// Made once, since they live for a day. The server has just seen each of them, as the reference has those that it made:
    /// `introspection-new` is about the others.
    async fn make_many_access_tokens(&mut self) -> Result<(), Failure> {
        let mut connection = Connection::open(self.public).await?;
        if self.introspected.is_empty() {
            let mut chains = self.chains(0, GRANTS).await?;
            for _ in 0..TOKENS_A_GRANT {
                for chain in &mut chains {
                    chain.refresh(&mut connection).await?;
                    self.introspected.push(chain.access_token().to_owned());
                }
            }
        }
        for token in &self.introspected {
            let answer = connection.exchange(&self.introspection(token)).await?.with_status(200)?;
            if !answer.body.contains(ACTIVE) {
                return Err(Failure::new("an access token is not active"));
            }
        }
        Ok(())
    }
}

/// As many grants as the reference has, by copies of the one that is there: in a table of a few rows PostgreSQL would read all of them,
/// the dead ones too, instead of asking the index.
async fn multiply_grants(database_url: &str) -> Result<(), Failure> {
    let mut database = PgConnection::connect(database_url).await?;
    let copies = "INSERT INTO grants SELECT (jsonb_populate_record(
                      g, jsonb_build_object('id', gen_random_uuid(), 'request_id', gen_random_uuid()))).*
                  FROM grants g, generate_series(2, 10000)";
    sqlx::raw_sql(copies).execute(&mut database).await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut database).await?;
    Ok(database.close().await?)
}

fn introspection(authorization: &str, token: &str) -> Vec<u8> {
    http::post("/oauth2/introspect", &[("Authorization", authorization)], &format!("token={token}"))
}

/// Makes introspection requests of new access tokens.
struct IntrospectionMaker {
    chain: Chain,
    authorization: String,
}

impl Producer for IntrospectionMaker {
    async fn produce(&mut self, connection: &mut Connection) -> Result<Vec<u8>, Failure> {
        self.chain.refresh(connection).await?;
        Ok(introspection(&self.authorization, self.chain.access_token()))
    }
}

/// A browser with a session: each authorization request brings a code, and that makes the request that redeems it.
#[derive(Clone)]
struct Browser {
    request: Vec<u8>,
    authorization: String,
}

impl Browser {
    fn new(client: &Client, cookies: &str) -> Self {
        let query = http::form(&[
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", client.scope),
            ("state", "0123456789abcdef"),
            ("nonce", "fedcba9876543210"),
            ("code_challenge", CODE_CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let request = http::get(&format!("/oauth2/authorize?{query}"), &[("Cookie", cookies)]);
        Self { request, authorization: client.authorization.clone() }
    }
}

impl Producer for Browser {
    async fn produce(&mut self, connection: &mut Connection) -> Result<Vec<u8>, Failure> {
        let answer = connection.exchange(&self.request).await?.with_status(303)?;
        let location = answer.headers("location").pop().unwrap_or_default();
        let (_, code) = location
            .split_once("?code=")
            .ok_or_else(|| Failure::new(format!("an authorization request led to {location} instead of a code")))?;
        let code = code.split('&').next().unwrap_or_default();
        let form = http::form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", CODE_VERIFIER),
        ]);
        Ok(http::post(TOKEN_PATH, &[("Authorization", &self.authorization)], &form))
    }
}

/// The admin API.
struct Registry {
    connection: Connection,
    authorization: String,
}

impl Registry {
    async fn create(&mut self, path: &str, document: &Value) -> Result<Value, Failure> {
        let request = http::post_json(path, &[("Authorization", &self.authorization)], &document.to_string());
        let answer = self.connection.exchange(&request).await?.with_status(201).map_err(|f| f.at(path))?;
        Ok(serde_json::from_str(answer.body)?)
    }

    async fn client(&mut self, name: &str, mut document: Value, scope: &'static str) -> Result<Client, Failure> {
        let id = format!("bench-{name}");
        document["client_id"] = json!(id);
        document["client_name"] = json!(id);
        document["scope"] = json!(scope);
        // Long enough for the longest run.
        document["access_token_lifetime"] = json!(86_400);
        let made = self.create("/admin/v1/clients", &document).await?;
        let secret = made["client_secret"].as_str().unwrap_or_default();
        let id_token = scope.split(' ').any(|token| token == "openid");
        Ok(Client { authorization: basic(&id, secret), id, scope, id_token })
    }

    async fn web(&mut self, name: &str, id_token: Option<&str>, scope: &'static str) -> Result<Client, Failure> {
        let document = json!({
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [REDIRECT_URI],
            "id_token_signed_response_alg": id_token,
            "skip_consent": true,
        });
        self.client(name, document, scope).await
    }

    async fn resource_server(&mut self, algorithm: Algorithm) -> Result<(), Failure> {
        let document = json!({
            "audience": format!("https://{}.bench.example", algorithm.word()),
            "name": algorithm.name(),
            "scopes": [format!("bench:{}", algorithm.word())],
            "signing_algorithm": algorithm.name(),
            "introspection_clients": ["bench-api"],
        });
        self.create("/admin/v1/resource-servers", &document).await?;
        Ok(())
    }
}
