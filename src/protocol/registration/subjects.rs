//! By which names a client may know people (OpenID Connect Core §8, Registration §5).

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::texts::Problems;
use crate::domain::{ClientMetadata, GrantType, MetadataProblem, RedirectUri, SubjectType};

const FIELD: &str = "sector_identifier_uri";
const LONGEST: usize = 2_000;

pub(super) fn judge(metadata: &ClientMetadata, problems: &mut Problems) {
    let protocol = &metadata.protocol;
    let uri = protocol.sector_identifier_uri.as_deref();
    problems.require(
        uri.is_none_or(|uri| uri.len() <= LONGEST),
        FIELD,
        format!("is longer than {LONGEST} bytes; choose a shorter one"),
    );
    if protocol.subject_type == SubjectType::Public {
        return;
    }
    // Nothing else shows to which sector a client belongs; without it anybody could learn by what names another one knows people.
    problems.require(
        !metadata.redirect_uris.is_empty(),
        "subject_type",
        "is pairwise, but without redirect_uris nothing tells the sector; register one, or use public",
    );
    if uri.is_some() {
        return;
    }
    let hosts: Option<HashSet<String>> = metadata.redirect_uris.iter().map(https_host).collect();
    // A private-use scheme has no host, and on loopback everybody's applications would be of one sector.
    problems.require(
        hosts.as_ref().is_some_and(|hosts| hosts.len() <= 1),
        FIELD,
        "is missing: with subject_type pairwise and without it, all redirect_uris must be https and have one host; \
         publish a JSON list of them at an https address and register that",
    );
}

/// Without an operator a client belongs to a sector only as far as its redirect URIs do: a grant that answers elsewhere proves nothing, nor
/// does a redirect URI that is everybody's. And it stays there: what is open with it, a logout that it was not told yet among it, must not
/// be told under the names of a sector that never saw these people.
pub(super) fn judge_dynamic(metadata: &ClientMetadata, held: Option<&ClientMetadata>, problems: &mut Problems) {
    let Some(sector) = metadata.sector() else { return };
    if let Some(held) = held {
        let sentence = "would become another sector's, which needs an operator; register a new client instead";
        return problems.require(
            held.sector() == Some(sector) && proves_more(held, metadata),
            "subject_type",
            sentence,
        );
    }
    problems.require(
        !metadata.grant_types.iter().any(|grant| ELSEWHERE.contains(grant)),
        "subject_type",
        "is pairwise, which with this grant needs an operator; leave out one of them",
    );
    problems.require(
        metadata.redirect_uris.iter().all(|uri| https_host(uri).is_some()),
        "redirect_uris",
        "are not all https, which with subject_type pairwise needs an operator: anybody's applications may listen there",
    );
}

/// Grants that answer elsewhere than at a redirect URI.
const ELSEWHERE: [GrantType; 2] = [GrantType::DeviceCode, GrantType::JwtBearer];

/// Whether all that does not prove the sector was there before.
fn proves_more(held: &ClientMetadata, metadata: &ClientMetadata) -> bool {
    metadata.grant_types.iter().all(|grant| !ELSEWHERE.contains(grant) || held.grant_types.contains(grant))
        && metadata.redirect_uris.iter().all(|uri| https_host(uri).is_some() || held.redirect_uris.contains(uri))
}

fn https_host(uri: &RedirectUri) -> Option<String> {
    Url::parse(uri.as_str()).ok().filter(|url| url.scheme() == "https")?.host_str().map(str::to_owned)
}

/// Whether the list at the `sector_identifier_uri` must be read before the client is registered so: it names one, and what was read for
/// what it `held` does not answer for all of it.
#[must_use]
pub fn needs_sector_list<'a>(metadata: &'a ClientMetadata, held: Option<&ClientMetadata>) -> Option<&'a str> {
    let uri = metadata.protocol.sector_identifier_uri.as_deref()?;
    let was_read = held.is_some_and(|held| {
        held.protocol.sector_identifier_uri.as_deref() == Some(uri)
            && metadata.redirect_uris.iter().all(|uri| held.redirect_uris.contains(uri))
    });
    (!was_read).then_some(uri)
}

/// What is wrong with the list that was read there: it must name every redirect URI of the client, by which the sector says that the
/// client is its own (Registration §5). `read` is why it cannot be read, or what it holds.
#[must_use]
pub fn judge_sector_list(metadata: &ClientMetadata, read: Result<&[u8], String>) -> Option<MetadataProblem> {
    let problem = |sentence: String| Some(MetadataProblem { field: FIELD.to_owned(), sentence });
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(reason) => return problem(format!("cannot be read: {reason}")),
    };
    let list = serde_json::from_slice::<Value>(bytes).ok();
    let list: Option<HashSet<&str>> =
        list.as_ref().and_then(Value::as_array).and_then(|all| all.iter().map(Value::as_str).collect());
    let Some(list) = list else {
        return problem("holds no JSON list of redirect URIs; publish one there".to_owned());
    };
    let missing = metadata.redirect_uris.iter().find(|uri| !list.contains(uri.as_str()))?;
    problem(format!("does not list {missing}; publish all redirect_uris there, each to the letter"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApplicationType, ClientProtocol};

    fn pairwise(redirect_uris: &[&str], sector: Option<&str>) -> ClientMetadata {
        let redirect_uris = redirect_uris.iter().map(|uri| RedirectUri::from_registered((*uri).into())).collect();
        ClientMetadata {
            client_name: "Pair".into(),
            application_type: ApplicationType::Native,
            redirect_uris,
            protocol: ClientProtocol {
                subject_type: SubjectType::Pairwise,
                sector_identifier_uri: sector.map(str::to_owned),
                ..ClientProtocol::default()
            },
            ..ClientMetadata::default()
        }
    }

    #[test]
    fn protocol_43_without_a_list_all_redirect_uris_have_one_https_host() {
        let list = Some("https://sector.example/list");
        for (uris, sector, fields) in [
            (&["https://a.example/1", "https://A.example:8443/2"][..], None, &[][..]),
            (&["https://a.example/1", "https://b.example/2"], None, &[FIELD]),
            (&["https://a.example/1", "https://b.example/2"], list, &[]),
            (&["http://127.0.0.1/cb"], None, &[FIELD]),
            (&["com.example.app:/cb"], None, &[FIELD]),
            (&["com.example.app:/cb"], list, &[]),
            (&["https://a.example/"], Some(&*"https://a.example/".repeat(200)), &[FIELD]),
        ] {
            let found = super::super::clients::judge(&pairwise(uris, sector));
            let found: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
            assert_eq!(found, fields, "{uris:?} {sector:?}");
        }
        let mut device = pairwise(&[], list);
        device.grant_types = vec![GrantType::DeviceCode];
        assert_eq!(super::super::clients::judge(&device)[0].field, "subject_type");
    }

    #[test]
    fn section_8_1_the_sector_is_the_host_of_the_list_or_of_the_redirect_uris() {
        let uris = ["https://a.example:8443/1"];
        assert_eq!(pairwise(&uris, None).sector().as_deref(), Some("a.example"));
        assert_eq!(pairwise(&uris, Some("https://sector.example/list")).sector().as_deref(), Some("sector.example"));
        let mut public = pairwise(&uris, None);
        public.protocol.subject_type = SubjectType::Public;
        assert_eq!(public.sector(), None);
    }

    #[test]
    fn protocol_43_the_list_must_hold_every_redirect_uri() {
        let metadata = pairwise(&["https://a.example/1", "https://b.example/2"], Some("https://sector.example/list"));
        for (list, is_good) in [
            (r#"["https://b.example/2", "https://a.example/1", "https://c.example/"]"#, true),
            (r#"["https://a.example/1"]"#, false),
            (r#"["https://a.example/1", "https://b.example/2/"]"#, false),
            (r#"["https://a.example/1", "https://b.example/2", 5]"#, false),
            (r#"{"redirect_uris": ["https://a.example/1", "https://b.example/2"]}"#, false),
            ("", false),
        ] {
            assert_eq!(judge_sector_list(&metadata, Ok(list.as_bytes())).is_none(), is_good, "{list}");
        }
        assert_eq!(judge_sector_list(&metadata, Err("gone".into())).unwrap().field, FIELD);
    }

    #[test]
    fn the_list_is_read_again_only_where_it_must_answer_for_something_new() {
        let list = Some("https://sector.example/list");
        let held = pairwise(&["https://a.example/1", "https://b.example/2"], list);
        let one = pairwise(&["https://a.example/1"], list);
        let asked =
            |metadata: &ClientMetadata, held: Option<&ClientMetadata>| needs_sector_list(metadata, held).is_some();
        assert!(asked(&held, None) && asked(&held, Some(&one)));
        assert!(!asked(&one, Some(&held)) && !asked(&held, Some(&held)));
        let elsewhere = pairwise(&["https://a.example/1"], Some("https://other.example/list"));
        assert!(asked(&one, Some(&elsewhere)));
        assert!(!asked(&pairwise(&["https://a.example/1"], None), None));
    }

    #[test]
    fn security_46_a_sector_is_not_joined_by_a_grant_that_proves_nothing() {
        let mut metadata = pairwise(&["https://victim.example/cb"], None);
        metadata.grant_types = vec![GrantType::AuthorizationCode, GrantType::DeviceCode];
        let found = |metadata: &ClientMetadata, held: Option<&ClientMetadata>| {
            let mut problems = Problems::default();
            judge_dynamic(metadata, held, &mut problems);
            problems.into_vec().len()
        };
        assert_eq!((found(&metadata, None), found(&metadata, Some(&metadata))), (1, 0));
        metadata.grant_types.pop();
        assert_eq!(found(&metadata, None), 0);
        let mut elsewhere = metadata.clone();
        elsewhere.grant_types.push(GrantType::JwtBearer);
        assert_eq!((found(&elsewhere, None), found(&elsewhere, Some(&metadata))), (1, 1));
        let list = Some("https://victim.example/list");
        let native = pairwise(&["http://127.0.0.1/cb"], list);
        assert_eq!((found(&native, None), found(&native, Some(&native))), (1, 0));
        assert_eq!(found(&native, Some(&pairwise(&["https://victim.example/cb"], list))), 1);
    }

    #[test]
    fn security_46_a_client_that_registered_itself_stays_in_its_sector() {
        let found = |metadata: &ClientMetadata, held: &ClientMetadata| {
            let mut problems = Problems::default();
            judge_dynamic(metadata, Some(held), &mut problems);
            problems.into_vec().len()
        };
        let (own, victim) =
            (pairwise(&["https://own.example/cb"], None), pairwise(&["https://victim.example/cb"], None));
        let mut public = victim.clone();
        public.protocol.subject_type = SubjectType::Public;
        assert_eq!((found(&own, &own), found(&victim, &own), found(&victim, &public)), (0, 1, 1));
        let more = pairwise(&["https://own.example/cb", "https://own.example/other"], None);
        assert_eq!(found(&more, &own), 0);
    }
}
