//! A grant: one authorization that a person gave to a client, and with it one family of tokens.

use super::{
    Authentication, ClientId, GrantId, KeyThumbprint, Kid, RedirectUri, RequestId, RequestedClaims, Scope, SessionId,
    Timestamp, User, UserId,
};

/// What a code or a refresh token says: a place in the life of a grant. Generation 0 is the authorization code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The family.
    pub grant: GrantId,
    /// How many rotations came before.
    pub generation: i32,
}

/// Why a grant ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantEnd {
    /// The client revoked it (RFC 7009).
    Revoked,
    /// An operator ended it.
    EndedByAdmin,
    /// The authorization code came a second time (RFC 6749 §4.1.2).
    CodeReused,
    /// A refresh token came again after its successor was used or its grace period was over (RFC 9700 §4.14.2).
    RefreshTokenReused,
    /// The person took back consent.
    ConsentRevoked,
    /// Every session and grant of the person was ended at once.
    SignedOutEverywhere,
    /// The person's password was changed.
    PasswordChanged,
}

super::client::text_form!(GrantEnd {
    Revoked => "revoked",
    EndedByAdmin => "ended_by_admin",
    CodeReused => "code_reused",
    RefreshTokenReused => "refresh_token_reused",
    ConsentRevoked => "consent_revoked",
    SignedOutEverywhere => "signed_out_everywhere",
    PasswordChanged => "password_changed",
});

/// What a grant is about; fixed when the person allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantDetails {
    /// The authorization request that it answers: one request yields one grant.
    pub request_id: RequestId,
    /// To whom it was given.
    pub client_id: ClientId,
    /// By whom.
    pub user_id: UserId,
    /// In which browser session.
    pub session_id: SessionId,
    /// What was allowed.
    pub scope: Scope,
    /// Resource indicators of the request (RFC 8707), empty when none was sent.
    pub resources: Vec<String>,
    /// Claims that were allowed by name (OpenID Connect Core §5.5).
    pub requested_claims: RequestedClaims,
    /// How the person had signed in.
    pub authentication: Authentication,
    /// To be repeated in ID tokens.
    pub nonce: Option<String>,
    /// Where the code was sent, as the request wrote it.
    pub redirect_uri: RedirectUri,
    /// PKCE S256 challenge (RFC 7636).
    pub code_challenge: Option<String>,
    /// The key that must be proven with the code, and afterwards with each refresh token (RFC 9449 §5, §10). Set by the authorization
    /// request, or by the first token request that brings a proof. Of a client whose tokens are bound to its certificate: that one (RFC 8705 §4).
    pub dpop_jkt: Option<KeyThumbprint>,
    /// When the code dies.
    pub code_expires_at: Timestamp,
    /// When the family ends for good; until the code is redeemed, when the code dies.
    pub expires_at: Timestamp,
}

/// A grant as it stands in the database, together with what decides whether it still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name inside codes and tokens.
    pub id: GrantId,
    /// What it is about.
    pub details: GrantDetails,
    /// 0: the code was not redeemed; n: n refresh tokens were made.
    pub generation: i32,
    /// The key with which the current generation's refresh token was derived.
    pub mac_kid: Kid,
    /// When the current generation was made.
    pub rotated_at: Timestamp,
    /// When the current refresh token dies unused.
    pub idle_expires_at: Timestamp,
    /// Ended early, and why.
    pub ended: Option<(Timestamp, GrantEnd)>,
    /// The person, where claims of ID tokens were asked for by name.
    pub person: Option<Box<User>>,
    /// Whether the person's account is locked.
    pub user_locked: bool,
    /// Whether the browser session is over by log-out or age.
    pub session_over: bool,
}

impl Grant {
    /// Whether the grant outlives the browser session (OpenID Connect Core §11).
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.details.scope.contains("offline_access")
    }
}
