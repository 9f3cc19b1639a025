//! Sender constraint: tokens, codes and refresh tokens that are of use only to who proves a key (RFC 9449 §5, §10) or shows a certificate
//! (RFC 8705 §3, §4).

use crate::domain::{Client, ClientId, Grant, KeyThumbprint};

use super::authorize::AuthorizationRequest;
use super::claims::{Confirmation, TokenType};
use super::dpop::{invalid, missing};
use super::error::{ErrorCode, OAuthError};
use super::params::Params;

/// Phase 3 of the token endpoint, for clients that registered `tls_client_certificate_bound_access_tokens` (RFC 8705 §3.4): what their tokens
/// are bound to. `None`: the client did not register it, and a certificate means nothing for its tokens.
///
/// # Errors
/// `invalid_request`: no certificate was shown. `invalid_dpop_proof`: a proof came too, and a token is bound to one thing only.
pub fn certificate(
    client: &Client,
    shown: Option<KeyThumbprint>,
    has_proof: bool,
) -> Result<Option<Confirmation>, OAuthError> {
    if !client.metadata.protocol.tls_client_certificate_bound_access_tokens {
        return Ok(None);
    }
    if has_proof {
        return Err(invalid("tokens of this client are bound to its certificate; leave the DPoP header out"));
    }
    let missing = || {
        OAuthError::invalid_request(
            "Tokens of this client are bound to its certificate, but the connection showed none; \
             use the mtls_endpoint_aliases of discovery.",
        )
    };
    shown.map(|x5t| Some(Confirmation::Certificate { x5t })).ok_or_else(missing)
}

/// The same for all other clients: one that registered `dpop_bound_access_tokens` never gets a token that a thief could use (RFC 9449 §5.2).
///
/// # Errors
/// `invalid_dpop_proof`: no proof was sent.
pub fn require(client: &Client, key: Option<KeyThumbprint>) -> Result<(), OAuthError> {
    if client.metadata.protocol.dpop_bound_access_tokens && key.is_none() {
        return Err(missing("this client registered dpop_bound_access_tokens, so send one in the DPoP header"));
    }
    Ok(())
}

/// Whether an access token that is bound to this, or to nothing, may be presented so (RFC 9449 §7.1, §7.2), over a connection that showed this
/// certificate (RFC 8705 §3). Otherwise a stolen token would work as a bearer token, or a client would believe that its token is bound.
///
/// # Errors
/// `invalid_token`.
pub fn judge_presentation(
    bound: Option<Confirmation>,
    presented: TokenType,
    shown: Option<KeyThumbprint>,
) -> Result<(), OAuthError> {
    let sentence = match (TokenType::of(bound), presented) {
        (TokenType::Bearer, TokenType::Bearer) if is_anothers(bound, shown) => {
            "The access token is bound to a certificate: send it over a connection that shows that one."
        }
        (TokenType::Bearer, TokenType::Bearer) | (TokenType::Dpop, TokenType::Dpop) => return Ok(()),
        (TokenType::Dpop, TokenType::Bearer) => {
            "The access token is bound to a key: send it as Authorization: DPoP, with a proof in the DPoP header."
        }
        (TokenType::Bearer, TokenType::Dpop) => {
            "The access token is bound to no key: send it as Authorization: Bearer, or get one with a DPoP proof."
        }
    };
    Err(OAuthError::new(ErrorCode::InvalidToken, sentence))
}

fn is_anothers(bound: Option<Confirmation>, shown: Option<KeyThumbprint>) -> bool {
    matches!(bound, Some(Confirmation::Certificate { x5t }) if shown != Some(x5t))
}

/// Who presents a code or a refresh token, as far as it is bound to somebody.
#[derive(Debug, Clone, Copy)]
pub struct Presenter<'a> {
    /// The client that authenticated.
    pub client_id: &'a ClientId,
    /// Whether it proved more than its name; then its refresh tokens are bound to itself, and its keys may change (§5).
    pub is_confidential: bool,
    /// The thumbprint of the key of its proof, or of its certificate where its tokens are bound to that.
    pub key: Option<KeyThumbprint>,
}

/// The refusal, where the grant is bound to a key and another or none was proven. Nothing ends by it: who has no key has a copy that is
/// of no use.
#[must_use]
pub fn refusal(grant: &Grant, presenter: Presenter<'_>) -> Option<OAuthError> {
    let bound = grant.details.dpop_jkt?;
    let any_key = presenter.is_confidential && grant.generation > 0;
    match presenter.key {
        Some(key) if key == bound || any_key => None,
        Some(_) => Some(OAuthError::invalid_grant(
            "dpop_key_mismatch",
            "This authorization is bound to another key or certificate than the one that was shown.",
        )),
        None => Some(OAuthError::invalid_grant(
            "dpop_proof_missing",
            "This authorization is bound to a key or certificate; send a DPoP proof of that key, or show that certificate.",
        )),
    }
}

/// Reads `dpop_jkt` of an authorization request (§10): the key that will redeem the code.
///
/// # Errors
/// `invalid_request`: it cannot be a thumbprint.
pub fn parse_jkt(params: &Params) -> Result<Option<KeyThumbprint>, OAuthError> {
    let read = |text| {
        let sentence = "dpop_jkt must be 43 base64url characters: the SHA-256 thumbprint of a public key (RFC 7638).";
        KeyThumbprint::parse(text).ok_or_else(|| OAuthError::invalid_request(sentence))
    };
    params.one("dpop_jkt")?.map(read).transpose()
}

impl AuthorizationRequest {
    /// Binds the code to the key that was proven when the request was pushed (§10.1), as if its thumbprint stood in `dpop_jkt`.
    ///
    /// # Errors
    /// `invalid_dpop_proof`: `dpop_jkt` names another key.
    pub fn bind_to(&mut self, key: KeyThumbprint) -> Result<(), OAuthError> {
        if self.dpop_jkt.is_some_and(|named| named != key) {
            return Err(invalid("dpop_jkt names another key than its own"));
        }
        self.dpop_jkt = Some(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientMetadata, ClientProtocol, Clock};
    use crate::protocol::code::tests::grant;

    const JKT: &str = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";

    #[test]
    fn section_5_2_a_client_that_registered_it_always_needs_a_proof() {
        let client = |dpop_bound_access_tokens| Client {
            id: ClientId::parse("c").unwrap(),
            metadata: ClientMetadata {
                protocol: ClientProtocol { dpop_bound_access_tokens, ..ClientProtocol::default() },
                ..ClientMetadata::default()
            },
            secrets: Vec::new(),
            disabled_at: None,
            created_at: Clock::System.now(),
            updated_at: Clock::System.now(),
        };
        let key = Some(KeyThumbprint([1; 32]));
        assert!(require(&client(true), None).is_err());
        for (bound, key) in [(true, key), (false, None), (false, key)] {
            assert_eq!(require(&client(bound), key), Ok(()));
        }
    }

    #[test]
    fn rfc_8705_section_3_a_token_is_bound_to_the_certificate_and_to_nothing_else() {
        let client = |tls_client_certificate_bound_access_tokens| Client {
            id: ClientId::parse("c").unwrap(),
            metadata: ClientMetadata {
                protocol: ClientProtocol { tls_client_certificate_bound_access_tokens, ..ClientProtocol::default() },
                ..ClientMetadata::default()
            },
            secrets: Vec::new(),
            disabled_at: None,
            created_at: Clock::System.now(),
            updated_at: Clock::System.now(),
        };
        let (own, other) = (KeyThumbprint([1; 32]), KeyThumbprint([2; 32]));
        let bound = Confirmation::Certificate { x5t: own };
        assert_eq!(certificate(&client(false), Some(own), true), Ok(None));
        assert_eq!(certificate(&client(true), Some(own), false), Ok(Some(bound)));
        assert!(
            certificate(&client(true), Some(own), true).is_err() && certificate(&client(true), None, false).is_err()
        );
        let judge = |bound, presented, shown| judge_presentation(bound, presented, shown).is_ok();
        assert!(judge(Some(bound), TokenType::Bearer, Some(own)) && judge(None, TokenType::Bearer, Some(own)));
        assert!(!judge(Some(bound), TokenType::Bearer, Some(other)) && !judge(Some(bound), TokenType::Bearer, None));
        assert!(!judge(Some(bound), TokenType::Dpop, Some(own)));
        assert!(!judge(Some(Confirmation::Key { jkt: own }), TokenType::Bearer, Some(own)));
    }

    #[test]
    fn security_35_a_bound_grant_wants_its_key_or_of_a_confidential_client_any() {
        let (own, other) = (KeyThumbprint([1; 32]), KeyThumbprint([2; 32]));
        let reason = |bound, generation, is_confidential, key| {
            let mut grant = Grant { generation, ..grant() };
            grant.details.dpop_jkt = bound;
            let client_id = grant.details.client_id.clone();
            refusal(&grant, Presenter { client_id: &client_id, is_confidential, key }).and_then(|error| error.reason)
        };
        let (missing, mismatch) = (Some("dpop_proof_missing"), Some("dpop_key_mismatch"));
        let table = [
            // bound to, generation, confidential, proven, refused
            (None, 1, false, None, None),
            (None, 1, false, Some(own), None),
            (Some(own), 1, false, Some(own), None),
            (Some(own), 1, false, Some(other), mismatch),
            (Some(own), 1, false, None, missing),
            (Some(own), 1, true, Some(other), None),
            (Some(own), 1, true, None, missing),
            // A code is bound to the key of its request, whoever redeems it (§10).
            (Some(own), 0, true, Some(other), mismatch),
            (Some(own), 0, true, Some(own), None),
        ];
        for (bound, generation, is_confidential, key, refused) in table {
            assert_eq!(reason(bound, generation, is_confidential, key), refused, "{bound:?} {generation} {key:?}");
        }
    }

    #[test]
    fn section_10_dpop_jkt_is_a_thumbprint() {
        let read = |text: &str| parse_jkt(&Params::parse(&[text]).unwrap());
        assert_eq!(read(""), Ok(None));
        assert!(read(&format!("dpop_jkt={JKT}")).unwrap().is_some());
        for wrong in ["dpop_jkt=x", &format!("dpop_jkt={JKT}="), &format!("dpop_jkt={JKT}&dpop_jkt={JKT}")] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
