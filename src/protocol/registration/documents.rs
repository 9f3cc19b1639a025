//! Clients that publish a document about themselves (draft-ietf-oauth-client-id-metadata-document): which client ids lead to one, and what
//! of it counts. One document is for all servers that the client meets, so what this one does not give is left out rather than refused.
//!
//! No sentence here holds a part of the document: whoever may name any URL must not read through this server what is there.

use serde_json::{Map, Value};
use url::Url;

use super::dynamic::complete;
use super::subjects::needs_sector_list;
use super::texts::Problems;
use crate::domain::{
    ApplicationType, ClientAuthMethod, ClientId, ClientMetadata, ClientProtocol, GrantType, RedirectUri,
    RegistrationRules, Scope, SigningAlgorithm, SubjectType,
};

/// Members by which a secret would be told to everybody (§4).
const SECRETS: [&str; 2] = ["client_secret", "client_secret_expires_at"];
/// Grants whose requests begin in a browser, where a person sees who asks.
const GRANTS: [GrantType; 2] = [GrantType::AuthorizationCode, GrantType::RefreshToken];

/// The URL that a client id is. `None`: it is a name and no URL. `http_too` also takes http, for tests on one machine.
///
/// # Errors
/// It is a URL, but one that leads to no document (§3); a sentence.
#[must_use]
pub fn document_url(id: &str, http_too: bool) -> Option<Result<Url, &'static str>> {
    if !(id.starts_with("https://") || http_too && id.starts_with("http://")) {
        return None;
    }
    Some(judge_url(id))
}

fn judge_url(id: &str) -> Result<Url, &'static str> {
    let url = Url::parse(id).map_err(|_| "it is not a URL")?;
    // As text, because the parser removes what is judged here.
    let rest = id.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').ok_or("it has no path")?;
    if authority.contains('@') {
        return Err("it has a user name or password");
    }
    if id.contains('#') {
        return Err("it has a fragment");
    }
    if id.contains('?') {
        return Err("it has a query");
    }
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("its path has . or .. segments");
    }
    // Two ways to write one URL would be two clients.
    if url.as_str() == id { Ok(url) } else { Err("it is not in its normal form") }
}

/// Reads the document of a client; the rest of the judgement needs what is registered here ([`complete_document`]).
///
/// # Errors
/// Why it cannot be used, as the end of a sentence about the document.
pub fn read_document(id: &ClientId, bytes: &[u8]) -> Result<ClientMetadata, String> {
    let members: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| "it is not a JSON object")?;
    let members = Members(members);
    // §4: else a document could speak for the client of another URL.
    if members.0.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return Err("its client_id is not the URL that it was read from".to_owned());
    }
    if let Some(name) = SECRETS.iter().find(|name| members.0.contains_key(**name)) {
        return Err(format!("it holds {name}, but everybody can read it; remove that member"));
    }
    let method = members.method()?;
    let redirect_uris = members.texts("redirect_uris")?;
    let application_type = members.application_type(&redirect_uris)?;
    let uris = |name: &str, texts: Vec<String>| {
        let read = super::redirect_uris(name, &texts, application_type);
        read.map_err(|problems| problems.first().map(|p| format!("{} {}", p.field, p.sentence)).unwrap_or_default())
    };
    Ok(ClientMetadata {
        client_name: members.text("client_name")?.unwrap_or_default(),
        client_uri: members.text("client_uri")?,
        logo_uri: members.text("logo_uri")?,
        policy_uri: members.text("policy_uri")?,
        tos_uri: members.text("tos_uri")?,
        redirect_uris: uris("redirect_uris", redirect_uris)?,
        post_logout_redirect_uris: uris("post_logout_redirect_uris", members.texts("post_logout_redirect_uris")?)?,
        application_type,
        token_endpoint_auth_method: method,
        grant_types: members.grant_types()?,
        scope: members.text("scope")?.and_then(|scope| Scope::parse(&scope).ok()).unwrap_or_default(),
        id_token_signed_response_alg: members
            .algorithm("id_token_signed_response_alg")?
            .unwrap_or(ClientMetadata::default().id_token_signed_response_alg),
        protocol: members.protocol()?,
        ..ClientMetadata::default()
    })
}

/// What the client is here: what it says, as far as this server gives it to clients that nobody registered; what an operator changed about
/// it (`held`) stays.
///
/// # Errors
/// As [`read_document`].
pub fn complete_document(
    said: &ClientMetadata,
    id: &ClientId,
    url: &Url,
    rules: &RegistrationRules,
    held: Option<&ClientMetadata>,
    known_scope: &Scope,
) -> Result<ClientMetadata, String> {
    let mut wanted = said.clone();
    let given = held.map_or_else(|| rules.scope.clone(), |held| held.scope.union(&rules.scope));
    wanted.scope = said.scope.intersection(&given).intersection(known_scope);
    wanted.grant_types.retain(|grant| GRANTS.contains(grant) && rules.grant_types.contains(grant));
    if !wanted.grant_types.contains(&GrantType::AuthorizationCode) {
        return Err(
            "its grant_types hold no authorization_code, or this server gives that to no such client".to_owned()
        );
    }
    let is_own = |address: &str| Url::parse(address).ok().is_some_and(|other| other.host_str() == url.host_str());
    // §8.1: else a document anywhere could make this server send codes, and its pages lend credit, to anybody.
    let elsewhere = |uri: &RedirectUri| uri.as_str().starts_with("https:") && !is_own(uri.as_str());
    for (name, uris) in
        [("redirect_uris", &wanted.redirect_uris), ("post_logout_redirect_uris", &wanted.post_logout_redirect_uris)]
    {
        if let Some(index) = uris.iter().position(elsewhere) {
            return Err(format!("{name}[{index}] is https on another host than the client_id; use the same host"));
        }
    }
    for link in [&mut wanted.client_uri, &mut wanted.logo_uri, &mut wanted.policy_uri, &mut wanted.tos_uri] {
        link.take_if(|link| !is_own(link));
    }
    let logo_uri = wanted.logo_uri.clone();
    let mut metadata = complete(wanted, id, held, &rules.scope.intersection(known_scope));
    metadata.logo_uri = logo_uri;
    // Whatever an operator wrote: who decides what stands in the document decides what people would no longer be asked.
    metadata.skip_consent = false;
    // A list is read for an operator only, and speaks for what it was read for.
    metadata.protocol.sector_identifier_uri = held.and_then(|held| held.protocol.sector_identifier_uri.clone());
    if needs_sector_list(&metadata, held).is_some() {
        return Err(
            "its redirect_uris hold one that was not there when its sector was read; ask an operator".to_owned()
        );
    }
    metadata.protocol.metadata_document = true;
    metadata.protocol.registered_openly |= held.is_none();
    let problem = super::judge(&metadata).into_iter().next();
    problem.map_or(Ok(metadata), |problem| Err(format!("{} {}", problem.field, problem.sentence)))
}

/// What an operator cannot give to a client whose document somebody else writes.
pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    problems.require(
        !metadata.protocol.metadata_document || !metadata.skip_consent,
        "skip_consent",
        "is true, but whoever writes the document at the client_id decides what this client is; set it to false, or \
         metadata_document to false",
    );
}

/// The members of a document. What is null is absent.
struct Members(Map<String, Value>);

impl Members {
    fn one(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.one(name).map(|value| Ok(value.as_str().ok_or_else(|| wrong(name, "a text"))?.to_owned())).transpose()
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let Some(value) = self.one(name) else { return Ok(Vec::new()) };
        let texts = value.as_array().and_then(|values| {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| wrong(name, "a list of texts"))
    }

    fn switch(&self, name: &str) -> Result<bool, String> {
        self.one(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| wrong(name, "true or false")))
    }

    /// An algorithm that is not offered here is none: the client says what it can, and this server chooses.
    fn algorithm(&self, name: &str) -> Result<Option<SigningAlgorithm>, String> {
        Ok(self.text(name)?.as_deref().and_then(SigningAlgorithm::parse))
    }

    /// §4: no way to authenticate can rest on a shared secret. Without the member it is public: RFC 7591's default is a secret.
    fn method(&self) -> Result<ClientAuthMethod, String> {
        match self.text("token_endpoint_auth_method")?.as_deref() {
            None | Some("none") => Ok(ClientAuthMethod::None),
            Some("private_key_jwt") => Ok(ClientAuthMethod::PrivateKeyJwt),
            Some(_) => {
                Err("its token_endpoint_auth_method is neither none nor private_key_jwt; use one of them".into())
            }
        }
    }

    /// Without the member an application on the person's device is told by its redirect URI.
    fn application_type(&self, redirect_uris: &[String]) -> Result<ApplicationType, String> {
        let is_installed = redirect_uris.iter().any(|uri| !uri.starts_with("https:"));
        match self.text("application_type")?.as_deref() {
            Some("native") => Ok(ApplicationType::Native),
            None if is_installed => Ok(ApplicationType::Native),
            None | Some("web") => Ok(ApplicationType::Web),
            Some(_) => Err(wrong("application_type", "web or native")),
        }
    }

    fn grant_types(&self) -> Result<Vec<GrantType>, String> {
        if self.one("grant_types").is_none() {
            return Ok(vec![GrantType::AuthorizationCode]);
        }
        let mut grants: Vec<GrantType> = Vec::new();
        for grant in self.texts("grant_types")?.iter().filter_map(|text| GrantType::parse(text)) {
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        Ok(grants)
    }

    fn protocol(&self) -> Result<ClientProtocol, String> {
        let by_assertion = self.method()? == ClientAuthMethod::PrivateKeyJwt;
        Ok(ClientProtocol {
            jwks: self.one("jwks").cloned(),
            jwks_uri: self.text("jwks_uri")?,
            token_endpoint_auth_signing_alg: self
                .algorithm("token_endpoint_auth_signing_alg")?
                .filter(|_| by_assertion),
            backchannel_logout_uri: self.text("backchannel_logout_uri")?,
            frontchannel_logout_uri: self.text("frontchannel_logout_uri")?,
            subject_type: self.text("subject_type")?.and_then(|text| SubjectType::parse(&text)).unwrap_or_default(),
            userinfo_signed_response_alg: self.algorithm("userinfo_signed_response_alg")?,
            dpop_bound_access_tokens: self.switch("dpop_bound_access_tokens")?,
            require_pushed_authorization_requests: self.switch("require_pushed_authorization_requests")?,
            require_signed_request_object: self.switch("require_signed_request_object")?,
            request_object_signing_alg: self.algorithm("request_object_signing_alg")?,
            authorization_signed_response_alg: self.algorithm("authorization_signed_response_alg")?,
            ..ClientProtocol::default()
        })
    }
}

fn wrong(name: &str, kind: &str) -> String {
    format!("its {name} is not {kind}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::Duration;

    use super::*;
    use crate::domain::{DocumentRules, RegistrationMode};

    const ID: &str = "https://app.example/client.json";

    fn rules() -> RegistrationRules {
        RegistrationRules {
            mode: RegistrationMode::Off,
            scope: Scope::parse("openid profile").unwrap(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            most_clients: 5,
            unused_lifetime: Duration::days(90),
            never_used_lifetime: Duration::days(1),
            documents: DocumentRules { enabled: true, ..DocumentRules::default() },
        }
    }

    fn least() -> Value {
        json!({ "client_id": ID, "client_name": "App", "redirect_uris": ["https://app.example/cb"] })
    }

    fn with(member: &str, value: Value) -> Value {
        let mut document = least();
        document[member] = value;
        document
    }

    fn judged(document: &Value, held: Option<&ClientMetadata>) -> Result<ClientMetadata, String> {
        let id = ClientId::parse(ID).unwrap();
        let said = read_document(&id, document.to_string().as_bytes())?;
        let known = Scope::parse("openid profile api:read").unwrap();
        complete_document(&said, &id, &Url::parse(ID).unwrap(), &rules(), held, &known)
    }

    #[test]
    fn section_3_which_client_ids_lead_to_a_document() {
        for name in ["kc_1", "http://app.example/c", "app.example/c", "HTTPS://app.example/c"] {
            assert_eq!(document_url(name, false), None, "{name}");
        }
        for id in [ID, "https://app.example/", "https://app.example:8443/c", "https://xn--bcher-kva.example/a/b%20c"] {
            assert_eq!(document_url(id, false).unwrap().unwrap().as_str(), id);
        }
        for id in [
            "https://app.example",
            "https://app.example/a/../c",
            "https://app.example/%2e%2E/c",
            "https://app.example/./c",
            "https://app.example/c#f",
            "https://app.example/c#",
            "https://app.example/c?q=1",
            "https://app.example/c?",
            "https://user@app.example/c",
            "https://user:pass@app.example/c",
            "https://@app.example/c",
            "https://APP.example/c",
            "https://app.example:443/c",
            "https://app.example\\c",
            "https:///c",
            "https://",
        ] {
            assert!(document_url(id, false).unwrap().is_err(), "{id}");
        }
        assert!(document_url("http://127.0.0.1:9/c", true).unwrap().is_ok());
    }

    #[test]
    fn a_document_may_ask_for_pairwise_subjects_and_does_not_take_back_an_operators() {
        let pairwise = judged(&with("subject_type", json!("pairwise")), None).unwrap();
        assert_eq!(pairwise.sector().as_deref(), Some("app.example"));
        assert_eq!(judged(&least(), Some(&pairwise)).unwrap(), pairwise);
        let mut native = with("subject_type", json!("pairwise"));
        native["redirect_uris"] = json!(["http://127.0.0.1/cb"]);
        assert!(judged(&native, None).unwrap_err().contains("sector_identifier_uri"));
        native["sector_identifier_uri"] = json!("https://victim.example/list");
        assert!(judged(&native, None).is_err(), "whose list nobody has read");
        let mut listed = pairwise;
        listed.protocol.sector_identifier_uri = Some("https://sector.example/list".into());
        assert_eq!(judged(&least(), Some(&listed)).unwrap().sector().as_deref(), Some("sector.example"));
        let other = with("redirect_uris", json!(["https://app.example/other"]));
        assert!(judged(&other, Some(&listed)).unwrap_err().contains("ask an operator"));
    }

    #[test]
    fn section_4_a_document_is_of_its_own_url_and_holds_no_secret() {
        assert!(judged(&least(), None).is_ok());
        for (member, value, named) in [
            ("client_id", json!("https://app.example/other.json"), "client_id"),
            ("client_id", Value::Null, "client_id"),
            ("client_secret", json!("x"), "client_secret"),
            ("client_secret_expires_at", json!(0), "client_secret_expires_at"),
            ("token_endpoint_auth_method", json!("client_secret_basic"), "token_endpoint_auth_method"),
            ("token_endpoint_auth_method", json!("client_secret_jwt"), "token_endpoint_auth_method"),
            ("token_endpoint_auth_method", json!("private_key_jwt"), "jwks"),
            ("redirect_uris", json!([]), "redirect_uris"),
            ("redirect_uris", json!(["https://app.example/cb", "https://evil.example/cb"]), "redirect_uris[1]"),
            ("redirect_uris", json!(["http://app.example/cb"]), "redirect_uris[0]"),
            ("redirect_uris", json!(["javascript:alert(1)"]), "redirect_uris[0]"),
            ("post_logout_redirect_uris", json!(["https://evil.example/"]), "post_logout_redirect_uris[0]"),
            ("client_name", json!(5), "client_name"),
            ("client_name", json!("a\nb"), "client_name"),
            ("grant_types", json!(["client_credentials"]), "grant_types"),
            ("grant_types", json!("authorization_code"), "grant_types"),
        ] {
            let refused = judged(&with(member, value.clone()), None).unwrap_err();
            assert!(refused.contains(named), "{member} {value}: {refused}");
        }
        for text in ["", "[]", "x", "{"] {
            assert!(read_document(&ClientId::parse(ID).unwrap(), text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_given_here_is_left_out() {
        let greedy = json!({
            "client_id": ID, "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"],
            "grant_types": ["authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "x"],
            "scope": "openid keystead:admin api:read mcp:tools", "skip_consent": true, "require_pkce": false,
            "logo_uri": "https://bank.example/logo.png", "client_uri": "https://app.example/about",
            "access_token_lifetime": 86_400, "profile": "fapi2", "registered_openly": false,
        });
        let made = judged(&greedy, None).unwrap();
        assert_eq!(made.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!((made.scope.to_string().as_str(), made.client_name.as_str()), ("openid", ID));
        assert_eq!((made.logo_uri, made.client_uri.as_deref()), (None, Some("https://app.example/about")));
        assert!(made.require_pkce && !made.skip_consent && made.access_token_lifetime.is_none());
        assert_eq!(made.application_type, ApplicationType::Native);
        assert!(made.protocol.registered_openly && made.protocol.metadata_document);
        let logo = json!("https://app.example/logo.png");
        assert_eq!(judged(&with("logo_uri", logo.clone()), None).unwrap().logo_uri.as_deref(), logo.as_str());
    }

    #[test]
    fn what_an_operator_changed_stays_but_nobody_is_spared_a_question() {
        let mut held = judged(&least(), None).unwrap();
        held.protocol.registered_openly = false;
        held.access_token_lifetime = Some(20);
        held.skip_consent = true;
        held.scope = Scope::parse("openid api:read").unwrap();
        let made = judged(&with("scope", json!("openid api:read")), Some(&held)).unwrap();
        assert!(!made.protocol.registered_openly && !made.skip_consent);
        assert_eq!((made.access_token_lifetime, made.scope.to_string().as_str()), (Some(20), "api:read openid"));
        let fields: Vec<_> = super::super::judge(&held).into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["skip_consent"]);
    }
}
