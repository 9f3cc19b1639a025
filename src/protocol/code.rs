//! May this code be redeemed (RFC 6749 §4.1.3, RFC 7636 §4.6)?

use crate::domain::{Grant, Timestamp};

use super::error::OAuthError;
use super::pkce::verifier_fits;
use super::sender::{self, Presenter};

/// What a token request presents together with a code.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// Who presents it.
    pub presenter: Presenter<'a>,
    /// The redirect URI in the request.
    pub redirect_uri: Option<&'a str>,
    /// Whether a verifier was sent at all.
    pub verifier_sent: bool,
    /// The S256 transform of a well-formed verifier.
    pub hashed_verifier: Option<&'a str>,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Redeem it, if nobody else does at this moment.
    Redeem,
    /// It was redeemed before: end the family, then refuse.
    Reused,
    /// Refuse and leave all as it is.
    Refuse(OAuthError),
}

/// The refusal of a code that this client was not given.
#[must_use]
pub fn unknown() -> OAuthError {
    OAuthError::invalid_grant("unknown", "The authorization code is not valid.")
}

/// Judges a code whose MAC was found right.
#[must_use]
pub fn judge(grant: &Grant, presented: Presented<'_>, now: Timestamp) -> Verdict {
    let refuse = |reason, sentence: &str| Verdict::Refuse(OAuthError::invalid_grant(reason, sentence));
    let details = &grant.details;
    // §4.1.3: a code is only good for the client that it was given to. Another client learns nothing, not even that the code was used.
    if details.client_id != *presented.presenter.client_id {
        return Verdict::Refuse(unknown());
    }
    if grant.generation > 0 {
        return Verdict::Reused;
    }
    if grant.ended.is_some() {
        return refuse("revoked", "The authorization was revoked; start a new authorization.");
    }
    if details.code_expires_at <= now {
        return refuse("expired", "The authorization code has expired; start a new authorization.");
    }
    // §4.1.3: a different URI means that the code was moved to another client's page.
    if presented.redirect_uri != Some(details.redirect_uri.as_str()) {
        return refuse("redirect_uri_mismatch", "redirect_uri must equal the one of the authorization request.");
    }
    if !verifier_fits(details.code_challenge.as_deref(), presented.verifier_sent, presented.hashed_verifier) {
        return refuse("pkce", "code_verifier does not fit the code_challenge of the authorization request.");
    }
    // RFC 9449 §10: the code was caught on its way by somebody who does not have the key.
    if let Some(refusal) = sender::refusal(grant, presented.presenter) {
        return Verdict::Refuse(refusal);
    }
    if grant.user_locked {
        return refuse("user_locked", "The account is locked.");
    }
    if grant.session_over && !grant.is_offline() {
        return refuse("session_ended", "The person has signed out; start a new authorization.");
    }
    Verdict::Redeem
}

#[cfg(test)]
pub(super) mod tests {
    use time::Duration;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        Authentication, ClientId, Clock, GrantDetails, GrantEnd, GrantId, KeyThumbprint, Kid, RedirectUri, RequestId,
        RequestedClaims, Scope, SessionId, UserId,
    };

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    pub(in crate::protocol) fn grant() -> Grant {
        let now = Clock::System.now();
        Grant {
            id: GrantId(Uuid::nil()),
            details: GrantDetails {
                request_id: RequestId(Uuid::nil()),
                client_id: ClientId::parse("c").unwrap(),
                user_id: UserId(Uuid::nil()),
                session_id: SessionId(Uuid::nil()),
                scope: Scope::parse("openid offline_access").unwrap(),
                resources: Vec::new(),
                requested_claims: RequestedClaims::default(),
                authentication: Authentication { auth_time: now, acr: "aal1".into(), amr: vec!["pwd".into()] },
                nonce: None,
                redirect_uri: RedirectUri::from_registered("https://rp.example/cb".into()),
                code_challenge: Some(CHALLENGE.into()),
                dpop_jkt: None,
                code_expires_at: now + Duration::seconds(60),
                expires_at: now + Duration::days(30),
            },
            generation: 0,
            mac_kid: Kid([0; 8]),
            rotated_at: now,
            idle_expires_at: now + Duration::days(1),
            ended: None,
            person: None,
            user_locked: false,
            session_over: false,
        }
    }

    fn presented(client_id: &ClientId) -> Presented<'_> {
        Presented {
            presenter: Presenter { client_id, is_confidential: true, key: None },
            redirect_uri: Some("https://rp.example/cb"),
            verifier_sent: true,
            hashed_verifier: Some(CHALLENGE),
        }
    }

    fn reason(verdict: Verdict) -> Option<&'static str> {
        match verdict {
            Verdict::Refuse(error) => error.reason,
            _ => None,
        }
    }

    #[test]
    fn a_fresh_code_of_the_right_client_is_redeemed() {
        let grant = grant();
        assert_eq!(judge(&grant, presented(&grant.details.client_id), grant.rotated_at), Verdict::Redeem);
    }

    #[test]
    fn security_20_a_code_dies_after_60_seconds_and_at_its_first_use() {
        let mut grant = grant();
        let client_id = grant.details.client_id.clone();
        assert_eq!(
            reason(judge(&grant, presented(&client_id), grant.rotated_at + Duration::seconds(61))),
            Some("expired")
        );
        grant.generation = 1;
        assert_eq!(judge(&grant, presented(&client_id), grant.rotated_at), Verdict::Reused);
    }

    #[test]
    fn security_22_a_code_is_bound_to_its_client_and_redirect_uri() {
        let mut grant = grant();
        let (own, other) = (grant.details.client_id.clone(), ClientId::parse("other").unwrap());
        assert_eq!(reason(judge(&grant, presented(&other), grant.rotated_at)), Some("unknown"));
        for redirect_uri in [None, Some("https://rp.example/cb/"), Some("https://rp.example/CB")] {
            assert_eq!(
                reason(judge(&grant, Presented { redirect_uri, ..presented(&own) }, grant.rotated_at)),
                Some("redirect_uri_mismatch")
            );
        }
        grant.generation = 1;
        assert_eq!(
            reason(judge(&grant, presented(&other), grant.rotated_at)),
            Some("unknown"),
            "a stranger cannot end the family"
        );
    }

    #[test]
    fn security_22_a_code_is_bound_to_the_key_of_its_request() {
        let mut grant = grant();
        let client_id = grant.details.client_id.clone();
        grant.details.dpop_jkt = Some(KeyThumbprint([1; 32]));
        let judge = |key| {
            let presenter = Presenter { client_id: &client_id, is_confidential: true, key };
            judge(&grant, Presented { presenter, ..presented(&client_id) }, grant.rotated_at)
        };
        assert_eq!(judge(Some(KeyThumbprint([1; 32]))), Verdict::Redeem);
        assert_eq!(reason(judge(Some(KeyThumbprint([2; 32])))), Some("dpop_key_mismatch"));
        assert_eq!(reason(judge(None)), Some("dpop_proof_missing"));
    }

    #[test]
    fn a_code_dies_with_the_grant_the_account_and_the_session() {
        let base = grant();
        let client_id = base.details.client_id.clone();
        let judge = |grant: &Grant| reason(judge(grant, presented(&client_id), grant.rotated_at));
        assert_eq!(
            judge(&Grant { ended: Some((base.rotated_at, GrantEnd::Revoked)), ..base.clone() }),
            Some("revoked")
        );
        assert_eq!(judge(&Grant { user_locked: true, ..base.clone() }), Some("user_locked"));
        let mut online = Grant { session_over: true, ..base };
        assert_eq!(judge(&online), None, "offline access outlives the session");
        online.details.scope = Scope::parse("openid").unwrap();
        assert_eq!(judge(&online), Some("session_ended"));
    }
}
