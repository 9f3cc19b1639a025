//! What a client registers about its authorization requests and their answers (RFC 9126 §6, RFC 9101 §10.5, JARM §3).

use std::collections::HashSet;

use super::texts::Problems;
use crate::domain::{ClientMetadata, GrantType, ResponseMode};

/// Adds what contradicts itself.
pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    let protocol = &metadata.protocol;
    problems.require(
        !protocol.require_signed_request_object || protocol.jwks.is_some() || protocol.jwks_uri.is_some(),
        "require_signed_request_object",
        "is true, but nothing could verify the signatures; register jwks or jwks_uri, too",
    );
    problems.require(
        !protocol.require_signed_request_object || protocol.client_assertion_issuer.is_none(),
        "require_signed_request_object",
        "is true, but the registered keys are those of client_assertion_issuer; remove one of the two",
    );
    // The device grant has no request that could be pushed or signed, so it would be the way around.
    let by_device = metadata.grant_types.contains(&GrantType::DeviceCode);
    for (demanded, field) in [
        (protocol.require_pushed_authorization_requests, "require_pushed_authorization_requests"),
        (protocol.require_signed_request_object, "require_signed_request_object"),
    ] {
        problems.require(
            !demanded || !by_device,
            field,
            "is true, but the device grant knows no such requests; remove that grant or set this to false",
        );
    }
    let Some(modes) = &protocol.response_modes else { return };
    problems.require(
        !modes.is_empty(),
        "response_modes",
        "is empty, so no answer could reach the client; name a mode, or leave it out to allow all",
    );
    let distinct: HashSet<&ResponseMode> = modes.iter().collect();
    problems.require(
        distinct.len() == modes.len(),
        "response_modes",
        "names the same mode twice (jwt means query.jwt); remove the second",
    );
    problems.require(
        protocol.authorization_signed_response_alg.is_none() || modes.iter().any(|mode| mode.is_signed()),
        "authorization_signed_response_alg",
        "is set, but response_modes holds no signed mode; add jwt or form_post.jwt, or leave the algorithm out",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientProtocol, SigningAlgorithm};

    fn fields(change: impl FnOnce(&mut ClientProtocol)) -> Vec<String> {
        let mut metadata = ClientMetadata::default();
        change(&mut metadata.protocol);
        let mut problems = Problems::default();
        judge(&metadata, &mut problems);
        problems.into_vec().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn the_device_grant_is_no_way_around_what_is_demanded_of_requests() {
        let mut metadata = ClientMetadata { grant_types: vec![GrantType::DeviceCode], ..ClientMetadata::default() };
        metadata.protocol.require_pushed_authorization_requests = true;
        let mut problems = Problems::default();
        judge(&metadata, &mut problems);
        assert_eq!(problems.into_vec()[0].field, "require_pushed_authorization_requests");
    }

    #[test]
    fn each_contradiction_of_the_front_channel_is_named() {
        use ResponseMode::{FormPostJwt, Query};
        assert!(fields(|_| ()).is_empty());
        assert_eq!(fields(|p| p.require_signed_request_object = true), ["require_signed_request_object"]);
        let with_keys = |p: &mut ClientProtocol| {
            p.require_signed_request_object = true;
            p.jwks_uri = Some("https://rp.example/jwks".into());
        };
        assert!(fields(with_keys).is_empty());
        let of_a_platform = |p: &mut ClientProtocol| {
            with_keys(p);
            p.client_assertion_issuer = Some("https://cluster.example".into());
        };
        assert_eq!(fields(of_a_platform), ["require_signed_request_object"]);
        assert_eq!(fields(|p| p.response_modes = Some(Vec::new())), ["response_modes"]);
        assert_eq!(fields(|p| p.response_modes = Some(vec![Query, Query])), ["response_modes"]);
        let signed = |modes| {
            fields(|p| {
                p.authorization_signed_response_alg = Some(SigningAlgorithm::Ps256);
                p.response_modes = modes;
            })
        };
        assert!(signed(None).is_empty() && signed(Some(vec![Query, FormPostJwt])).is_empty());
        assert_eq!(signed(Some(vec![Query])), ["authorization_signed_response_alg"]);
    }
}
