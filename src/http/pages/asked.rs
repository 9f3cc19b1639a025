//! What an application asks a person for, in plain words.

use crate::domain::{ClaimNames, Consent, scope_of_claim};

use super::views::ScopeView;

/// What a scope and claims by name let an application do, one entry for each scope token and for the claims of each kind.
pub(super) fn asked_for(consent: &Consent) -> Vec<ScopeView> {
    let scopes = consent.scope.tokens().filter(|token| *token != "openid").map(scope_view);
    let kinds =
        ["profile", "email", "phone", "address"].into_iter().filter_map(|kind| claims_view(kind, &consent.claims));
    scopes.chain(kinds).collect()
}

/// What a scope token lets an application do.
pub(super) fn scope_view(token: &str) -> ScopeView {
    let (title, detail) = match token {
        "profile" => ("See your profile", "Your name, picture, birthday, language and what else is in your profile."),
        "email" => ("See your e-mail address", "The address, and whether it was verified."),
        "address" => ("See your postal address", "Street, city, region, postal code and country."),
        "phone" => ("See your phone number", "The number, and whether it was verified."),
        "offline_access" => ("Stay connected", "Keep this access while you are away, until you take it back."),
        api => (api, "A permission of an API that this application uses."),
    };
    ScopeView { name: token.to_owned(), title: title.to_owned(), detail: detail.to_owned() }
}

/// The claims of this kind that are asked for by name. Each is called by its name: a person allows these and no others.
fn claims_view(kind: &str, claims: &ClaimNames) -> Option<ScopeView> {
    let words: Vec<&str> = claims.iter().filter(|name| scope_of_claim(name) == Some(kind)).map(in_words).collect();
    let detail = match words.as_slice() {
        [] => return None,
        [one] => format!("This alone: {one}."),
        [others @ .., last] => format!("These alone: {} and {last}.", others.join(", ")),
    };
    let title = match kind {
        "profile" => "See a part of your profile".to_owned(),
        "email" if !claims.contains("email") => "See the state of your e-mail address".to_owned(),
        "phone" if !claims.contains("phone_number") => "See the state of your phone number".to_owned(),
        other => scope_view(other).title,
    };
    Some(ScopeView { name: kind.to_owned(), title, detail })
}

fn in_words(claim: &str) -> &str {
    match claim {
        "name" => "your full name",
        "given_name" => "your given name",
        "family_name" => "your family name",
        "middle_name" => "your middle name",
        "nickname" => "your nickname",
        "preferred_username" => "your user name",
        "profile" => "the address of your profile page",
        "picture" => "your picture",
        "website" => "the address of your website",
        "gender" => "your gender",
        "birthdate" => "your birthday",
        "zoneinfo" => "your time zone",
        "locale" => "your language",
        "updated_at" => "when your profile was changed last",
        "email" => "your e-mail address",
        "email_verified" => "whether your e-mail address was verified",
        "phone_number" => "your phone number",
        "phone_number_verified" => "whether your phone number was verified",
        "address" => "your postal address",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scope;

    #[test]
    fn claims_by_name_are_told_one_by_one_and_none_twice() {
        let claims = ClaimNames::of(&["birthdate", "name", "email_verified", "gender"]);
        let consent = Consent { scope: Scope::parse("openid address").unwrap(), claims };
        let shown: Vec<(String, String)> =
            asked_for(&consent).into_iter().map(|view| (view.name, view.detail)).collect();
        let names: Vec<&str> = shown.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["address", "profile", "email"]);
        assert_eq!(shown[1].1, "These alone: your full name, your gender and your birthday.");
        assert_eq!(shown[2].1, "This alone: whether your e-mail address was verified.");
    }
}
