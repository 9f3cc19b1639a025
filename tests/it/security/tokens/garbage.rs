//! SECURITY 70: whatever is sent, the answer is an ordinary refusal.

use axum::body::Body;
use axum::http::{Request, header};
use keystead::crypto::Random;

use crate::support::{Scene, basic};

const PATHS: [&str; 4] = ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo"];
const PIECES: [&str; 16] = [
    "%00",
    "%ff",
    "%",
    "&",
    "=",
    "+",
    ";",
    "\u{0}",
    "ksr_",
    "ksc_",
    "..",
    "%C3%A4",
    "&token=",
    "&scope=",
    "resource=urn:x&",
    "\u{ffff}",
];

/// Numbers that a failing run can repeat.
struct Dice(Random);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        usize::try_from(u64::from_be_bytes(self.0.bytes())).unwrap() % limit.max(1)
    }

    /// The bytes with a few of them changed, removed, doubled or put in.
    fn damage(&self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(5) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(12)).min(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = self.0.bytes::<1>()[0],
                1 => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
                2 if !bytes.is_empty() => drop(bytes.drain(at..end)),
                3 if !bytes.is_empty() => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => bytes.truncate(at.max(bytes.len() / 2)),
            }
        }
        bytes
    }
}

#[tokio::test]
async fn security_70_whatever_is_sent_is_answered_by_an_ordinary_refusal() {
    let mut scene = Scene::start().await;
    let (tokens, code) = (scene.tokens().await, scene.code().await);
    let uri = "redirect_uri=https%3A%2F%2Frp.example%2Fcb";
    let good = [
        format!("grant_type=refresh_token&refresh_token={}&scope=openid", tokens.refresh()),
        format!("grant_type=authorization_code&code={code}&{uri}&code_verifier={}", crate::support::VERIFIER),
        format!("token={}&token_type_hint=access_token", tokens.access()),
        format!("access_token={}", tokens.access()),
        format!("token={}&client_id=web&client_secret={}", tokens.text("id_token"), scene.rp.client.secret),
    ];
    let dice = Dice(Random::seeded(70));
    let authorizations = [basic("web", &scene.rp.client.secret), format!("Bearer {}", tokens.access())];
    for round in 0..3000 {
        let path = PATHS[dice.below(PATHS.len())];
        let body = dice.damage(good[dice.below(good.len())].as_bytes());
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if round % 3 != 0 {
            let whole = &authorizations[dice.below(2)];
            let value = if round % 3 == 1 { whole.as_bytes().to_vec() } else { dice.damage(whole.as_bytes()) };
            if let Ok(value) = axum::http::HeaderValue::from_bytes(&value) {
                request = request.header(header::AUTHORIZATION, value);
            }
        }
        let answer = scene.app.send(request.body(Body::from(body.clone())).unwrap()).await;
        let shown = String::from_utf8_lossy(&body);
        assert!(matches!(answer.status.as_u16(), 200 | 400 | 401 | 403), "{round} {path} {shown}: {}", answer.status);
        assert!(answer.body.is_empty() || answer.json().is_object(), "{round} {path} {shown}: {}", answer.body);
    }
}
