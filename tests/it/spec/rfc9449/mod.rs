//! RFC 9449: DPoP. What the proof itself must say is tabled beside its judge.

mod binding;
mod proofs;
mod pushed;
mod refresh;
mod resource;

use keystead::domain::{ClientAuthMethod, ClientMetadata, ClientProtocol, RefreshTokenRotation};

use crate::support::{ProofKey, Scene, TestApp, Tokens};

/// The usual scene with a client that must always prove a key.
async fn bound_scene() -> Scene {
    Scene::with(bound).await
}

fn bound(metadata: ClientMetadata) -> ClientMetadata {
    let protocol = ClientProtocol { dpop_bound_access_tokens: true, ..ClientProtocol::default() };
    ClientMetadata { protocol, ..metadata }
}

/// A client whose refresh tokens stay.
async fn static_scene() -> Scene {
    let change = |metadata| {
        let mut metadata = bound(metadata);
        metadata.protocol.refresh_token_rotation = RefreshTokenRotation::Static;
        metadata
    };
    Scene::with(change).await
}

/// A client without a secret.
async fn public_scene() -> Scene {
    public_scene_over(TestApp::start().await).await
}

async fn public_scene_over(app: TestApp) -> Scene {
    let none = ClientAuthMethod::None;
    let mut scene = Scene::over(app, |metadata| ClientMetadata { token_endpoint_auth_method: none, ..metadata }).await;
    scene.rp.public = true;
    scene
}

/// Tokens of a new authorization that are bound to this key.
async fn tokens_of(scene: &mut Scene, key: &ProofKey) -> Tokens {
    let code = scene.code().await;
    Tokens::of(&scene.rp.redeem_with(&scene.app, &[&key.proof(&scene.app)], &code).await)
}
