//! Claims about a person as a client asks for them by name (OpenID Connect Core §5.5), and what a person allowed before.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Scope;

/// The claims about a person (§5.1), each with the scope token that releases it (§5.4). `sub` is no secret to anybody who may ask.
const PERSONAL: [(&str, &str); 19] = [
    ("name", "profile"),
    ("given_name", "profile"),
    ("family_name", "profile"),
    ("middle_name", "profile"),
    ("nickname", "profile"),
    ("preferred_username", "profile"),
    ("profile", "profile"),
    ("picture", "profile"),
    ("website", "profile"),
    ("gender", "profile"),
    ("birthdate", "profile"),
    ("zoneinfo", "profile"),
    ("locale", "profile"),
    ("updated_at", "profile"),
    ("email", "email"),
    ("email_verified", "email"),
    ("phone_number", "phone"),
    ("phone_number_verified", "phone"),
    ("address", "address"),
];

/// The scope token that releases this claim about a person; `None`: it is no such claim.
#[must_use]
pub fn scope_of_claim(name: &str) -> Option<&'static str> {
    PERSONAL.iter().find(|(known, _)| *known == name).map(|(_, scope)| *scope)
}

/// A set of claims about a person, always in the same order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimNames(Vec<&'static str>);

impl ClaimNames {
    /// Those of the names that are claims about a person; the others are left out (§5.5: what is not understood is ignored).
    #[must_use]
    pub fn of<T: AsRef<str>>(names: &[T]) -> Self {
        Self::matching(|known| names.iter().any(|name| name.as_ref() == known))
    }

    fn matching(holds: impl Fn(&str) -> bool) -> Self {
        Self(PERSONAL.iter().map(|(known, _)| *known).filter(|known| holds(known)).collect())
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    /// Whether `name` is among them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each of them is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.iter().all(|name| other.contains(name))
    }

    /// Those that either set has.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::matching(|known| self.contains(known) || other.contains(known))
    }

    /// Those that this scope releases.
    #[must_use]
    pub fn released_by(&self, scope: &Scope) -> Self {
        Self::matching(|known| self.contains(known) && is_released(known, scope))
    }

    /// Those that this scope does not release.
    #[must_use]
    pub fn beyond(&self, scope: &Scope) -> Self {
        Self::matching(|known| self.contains(known) && !is_released(known, scope))
    }

    /// The names as a database array wants them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

fn is_released(name: &str, scope: &Scope) -> bool {
    scope_of_claim(name).is_some_and(|token| scope.contains(token))
}

impl Serialize for ClaimNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClaimNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Vec::<String>::deserialize(deserializer)?))
    }
}

/// Claims about a person that a client asked for by name, by the place where it wants them (§5.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestedClaims {
    /// In the answers of userinfo.
    #[serde(skip_serializing_if = "ClaimNames::is_empty")]
    pub userinfo: ClaimNames,
    /// In ID tokens.
    #[serde(skip_serializing_if = "ClaimNames::is_empty")]
    pub id_token: ClaimNames,
}

impl RequestedClaims {
    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// Those that this scope releases.
    #[must_use]
    pub fn released_by(&self, scope: &Scope) -> Self {
        Self { userinfo: self.userinfo.released_by(scope), id_token: self.id_token.released_by(scope) }
    }

    /// What the client gets to know beyond what a scope tells it, wherever it does.
    #[must_use]
    pub fn beyond(&self, scope: &Scope) -> ClaimNames {
        self.userinfo.union(&self.id_token).beyond(scope)
    }
}

/// What a person allows a client, or allowed it before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    /// The scope tokens.
    pub scope: Scope,
    /// Claims by name, beyond what these release.
    pub claims: ClaimNames,
}

impl Consent {
    /// Whether an earlier consent allows all of it. It does not matter whether a claim is asked for by scope or by name.
    #[must_use]
    pub fn is_within(&self, earlier: &Self) -> bool {
        self.scope.is_within(&earlier.scope) && self.claims.beyond(&earlier.scope).is_within(&earlier.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(scope: &str, claims: &[&str]) -> Consent {
        Consent { scope: Scope::parse(scope).unwrap(), claims: ClaimNames::of(claims) }
    }

    #[test]
    fn section_5_5_only_claims_about_a_person_are_asked_for_by_name() {
        let names =
            ClaimNames::of(&["email", "acr", "name", "http://example.info/claims/groups", "name#de", "sub", "email"]);
        assert_eq!(names.to_vec(), ["name", "email"]);
        let text = serde_json::to_string(&names).unwrap();
        assert_eq!(text, r#"["name","email"]"#);
        assert_eq!(serde_json::from_str::<ClaimNames>(&text).unwrap(), names);
        assert!(ClaimNames::of(&["iss", ""]).is_empty());
    }

    #[test]
    fn scopes_release_their_own_claims_only() {
        let names = ClaimNames::of(&["name", "email", "phone_number"]);
        let scope = Scope::parse("openid profile phone").unwrap();
        assert_eq!(names.released_by(&scope).to_vec(), ["name", "phone_number"]);
        assert_eq!(names.beyond(&scope).to_vec(), ["email"]);
    }

    #[test]
    fn security_15_a_claim_by_name_is_covered_by_its_scope_or_by_its_name_and_never_the_other_way_round() {
        let earlier = consent("openid email", &["birthdate"]);
        for (asked, covered) in [
            (consent("openid", &["email", "birthdate"]), true),
            (consent("openid email", &["email_verified"]), true),
            (consent("openid", &["name"]), false),
            (consent("openid profile", &["birthdate"]), false),
            (consent("openid", &["birthdate", "phone_number"]), false),
        ] {
            assert_eq!(asked.is_within(&earlier), covered, "{asked:?}");
        }
    }
}
