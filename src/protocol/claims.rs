//! What tokens say (RFC 9068 §2.2, OpenID Connect Core §2, §5.1, §5.4).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::{Ancestor, ClaimNames, GrantId, KeyThumbprint, Scope, Timestamp, User, scope_of_claim};

use super::token_exchange::Act;

/// JOSE `typ` of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// JOSE `typ` of ID tokens.
pub const ID_TOKEN_TYPE: &str = "JWT";

/// The claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// This server.
    pub iss: String,
    /// The person, or the client itself.
    pub sub: String,
    /// For whom.
    pub aud: Vec<String>,
    /// Until when, seconds since the epoch.
    pub exp: i64,
    /// Since when.
    pub iat: i64,
    /// Its name, and the way to its grant; see [`token_id`].
    pub jti: String,
    /// The client.
    pub client_id: String,
    /// What it allows.
    pub scope: Scope,
    /// When the person signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// In which browser session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The key or certificate without which it is of no use; none: whoever bears it may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts on behalf of `sub` (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The tokens from which it was exchanged, the latest first: it is good only as long as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanged_from: Vec<Ancestor>,
}

/// What a token is bound to (RFC 7800 §3.1): one thing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Confirmation {
    /// The key of DPoP proofs.
    Key {
        /// Its thumbprint (RFC 9449 §6.1).
        jkt: KeyThumbprint,
    },
    /// The certificate of the client's connections.
    Certificate {
        /// The SHA-256 of its DER form (RFC 8705 §3.1).
        #[serde(rename = "x5t#S256")]
        x5t: KeyThumbprint,
    },
}

impl Confirmation {
    /// What a grant remembers. That of a key is never that of a certificate: they are hashes of texts that begin differently.
    #[must_use]
    pub fn thumbprint(self) -> KeyThumbprint {
        match self {
            Self::Key { jkt } => jkt,
            Self::Certificate { x5t } => x5t,
        }
    }
}

/// How an access token is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// By whoever bears it (RFC 6750).
    Bearer,
    /// With a proof of its key (RFC 9449).
    Dpop,
}

impl TokenType {
    /// The type of a token that is bound to this, or to nothing. A certificate shows itself on the connection, so its tokens are sent like any
    /// other (RFC 8705 §3).
    #[must_use]
    pub fn of(bound: Option<Confirmation>) -> Self {
        if matches!(bound, Some(Confirmation::Key { .. })) { Self::Dpop } else { Self::Bearer }
    }

    /// The registered text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// The claims of an ID token. An access token is told from it by `typ`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdTokenClaims {
    /// This server.
    pub iss: String,
    /// The person.
    pub sub: String,
    /// The client.
    pub aud: String,
    /// Until when, seconds since the epoch.
    pub exp: i64,
    /// Since when.
    pub iat: i64,
    /// When the person signed in.
    pub auth_time: i64,
    /// How well.
    pub acr: String,
    /// By what.
    pub amr: Vec<String>,
    /// In which browser session.
    pub sid: String,
    /// As in the authorization request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Left half of the access token's hash (§3.1.3.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// Claims about the person that were asked for by name (§5.5). Who reads an ID token as a hint needs none of them.
    #[serde(flatten, skip_deserializing)]
    pub person: Map<String, Value>,
}

/// A `jti` that leads to its grant: the grant's id and 128 random bits; without a grant the random bits alone.
#[must_use]
pub fn token_id(grant: Option<GrantId>, random: [u8; 16]) -> String {
    use base64::Engine as _;
    let random = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random);
    match grant {
        Some(grant) => format!("{}.{random}", grant.0.simple()),
        None => random,
    }
}

/// The grant that a `jti` names.
#[must_use]
pub fn grant_of(jti: &str) -> Option<GrantId> {
    let (grant, _) = jti.split_once('.')?;
    uuid::Uuid::try_parse(grant).ok().map(GrantId)
}

/// Seconds since the epoch.
#[must_use]
pub fn numeric_date(at: Timestamp) -> i64 {
    at.unix_timestamp()
}

/// What userinfo answers: `sub`, what each scope releases, and what was asked for by name. Nothing is null or empty.
#[must_use]
pub fn user_info(user: &User, scope: &Scope, asked: &ClaimNames) -> Map<String, Value> {
    let mut claims =
        about(user, |name| asked.contains(name) || scope_of_claim(name).is_some_and(|token| scope.contains(token)));
    claims.insert("sub".into(), json!(user.id));
    claims
}

/// The claims about a person that were asked for by name (§5.5), as far as they are known.
#[must_use]
pub fn claims_by_name(user: &User, asked: &ClaimNames) -> Map<String, Value> {
    about(user, |name| asked.contains(name))
}

/// The known claims about a person of which `wanted` says so. Nothing is null or empty.
fn about(user: &User, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    let mut claims = Map::new();
    let mut release = |name: &str, value: &dyn Fn() -> Option<Value>| {
        if wanted(name)
            && let Some(value) = value().filter(|value| !matches!(value.as_str(), Some("")))
        {
            claims.insert(name.into(), value);
        }
    };
    let p = &user.profile;
    for (name, value) in [
        ("name", &p.name),
        ("given_name", &p.given_name),
        ("family_name", &p.family_name),
        ("middle_name", &p.middle_name),
        ("nickname", &p.nickname),
        ("preferred_username", &user.username),
        ("profile", &p.profile),
        ("picture", &p.picture),
        ("website", &p.website),
        ("gender", &p.gender),
        ("birthdate", &p.birthdate),
        ("zoneinfo", &p.zoneinfo),
        ("locale", &p.locale),
        ("phone_number", &p.phone_number),
    ] {
        release(name, &|| value.clone().map(Value::from));
    }
    release("updated_at", &|| Some(json!(numeric_date(user.updated_at))));
    release("email", &|| Some(json!(user.email)));
    release("email_verified", &|| Some(json!(user.email_verified)));
    let has_number = p.phone_number.is_some();
    release("phone_number_verified", &|| has_number.then(|| json!(p.phone_number_verified.unwrap_or(false))));
    release("address", &|| {
        let address = p.address.as_ref().map(|address| json!(address));
        address.filter(|address| address.as_object().is_some_and(|members| !members.is_empty()))
    });
    claims
}

/// The claims that [`user_info`] may release, for discovery.
pub const CLAIMS: [&str; 30] = [
    "sub",
    "iss",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "sid",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "email",
    "email_verified",
    "address",
    "phone_number",
    "phone_number_verified",
    "at_hash",
];

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Address, Clock, Profile, UserId, UserState};

    fn user() -> User {
        let now = Clock::System.now();
        User {
            id: UserId(Uuid::nil()),
            username: Some("demo".into()),
            email: "demo@example.com".into(),
            email_verified: true,
            profile: Profile {
                name: Some("Demo".into()),
                nickname: Some(String::new()),
                phone_number: Some("+49301234".into()),
                address: Some(Address::default()),
                ..Profile::default()
            },
            state: UserState::Active,
            has_password: true,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn protocol_35_userinfo_has_no_empty_members_and_the_right_types() {
        let claims =
            user_info(&user(), &Scope::parse("openid profile email phone address").unwrap(), &ClaimNames::default());
        assert_eq!(claims["email_verified"], json!(true));
        assert_eq!(claims["phone_number_verified"], json!(false));
        assert!(claims["updated_at"].is_i64());
        assert!(!claims.contains_key("nickname"));
        assert!(!claims.contains_key("address"));
        assert!(claims.values().all(|value| !value.is_null()));
    }

    #[test]
    fn each_scope_releases_its_own_claims_and_sub_is_always_there() {
        let all = |scope: &str| user_info(&user(), &Scope::parse(scope).unwrap(), &ClaimNames::default());
        let names = |scope: &str| all(scope).keys().cloned().collect::<Vec<_>>();
        assert_eq!(names("openid"), ["sub"]);
        assert_eq!(names("openid email"), ["email", "email_verified", "sub"]);
        assert!(names("openid profile").contains(&"preferred_username".to_owned()));
    }

    #[test]
    fn section_5_5_a_claim_by_name_brings_itself_alone() {
        let asked = ClaimNames::of(&["email_verified", "phone_number", "nickname", "address", "gender"]);
        let info = user_info(&user(), &Scope::parse("openid").unwrap(), &asked);
        assert_eq!(info.keys().collect::<Vec<_>>(), ["email_verified", "phone_number", "sub"]);
        let claims = claims_by_name(&user(), &asked);
        assert_eq!(claims.keys().collect::<Vec<_>>(), ["email_verified", "phone_number"]);
    }

    #[test]
    fn section_5_5_every_claim_about_a_person_that_discovery_lists_can_be_asked_for_by_name() {
        let everything = serde_json::from_value(json!({
            "name": "x", "given_name": "x", "family_name": "x", "middle_name": "x", "nickname": "x", "profile": "x", "picture": "x",
            "website": "x", "gender": "x", "birthdate": "x", "zoneinfo": "x", "locale": "x", "phone_number": "x",
            "phone_number_verified": true, "address": { "country": "x" },
        }));
        let user = User { profile: everything.unwrap(), ..user() };
        let about_people: Vec<&str> = CLAIMS.into_iter().filter(|name| scope_of_claim(name).is_some()).collect();
        assert_eq!(about_people.len(), ClaimNames::of(&CLAIMS).iter().count());
        for name in &about_people {
            let claims = claims_by_name(&user, &ClaimNames::of(&[name]));
            assert_eq!(claims.keys().collect::<Vec<_>>(), [name], "alone");
        }
        let scope = Scope::parse("profile email phone address").unwrap();
        assert_eq!(user_info(&user, &scope, &ClaimNames::default()).len(), about_people.len() + 1, "and sub");
    }

    #[test]
    fn an_id_token_is_read_as_a_hint_whatever_it_says_about_the_person() {
        let text = r#"{"iss":"i","sub":"s","aud":"a","exp":2,"iat":1,"auth_time":1,"acr":"x","amr":[],"sid":"z","email":"e","more":{}}"#;
        let claims: IdTokenClaims = serde_json::from_str(text).unwrap();
        assert!(claims.person.is_empty());
        let again = IdTokenClaims { person: claims_by_name(&user(), &ClaimNames::of(&["email"])), ..claims };
        assert_eq!(json!(again)["email"], "demo@example.com");
    }

    #[test]
    fn a_token_id_leads_back_to_its_grant() {
        let grant = GrantId(Uuid::max());
        assert_eq!(grant_of(&token_id(Some(grant), [1; 16])), Some(grant));
        assert_eq!(grant_of(&token_id(None, [1; 16])), None);
    }
}
