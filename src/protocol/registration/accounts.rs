//! Which accounts and passwords are accepted.

use time::Date;
use time::macros::format_description;
use uuid::Uuid;

use super::texts::Problems;
use crate::domain::{MetadataProblem, Profile, User};

/// The longest password in bytes; hashing must not be a way to keep the server busy (SECURITY 51).
const LONGEST_PASSWORD: usize = 4096;
/// User names shorter than this are part of too many words to be forbidden inside a password.
const SHORTEST_TELLING_NAME: usize = 4;

/// What an operator says about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDraft {
    /// A second name to sign in with.
    pub username: Option<String>,
    /// E-mail address.
    pub email: String,
    /// Whether the address was proven. `None`: as it was, and false for a new address.
    pub email_verified: Option<bool>,
    /// The other claims.
    pub profile: Profile,
}

/// Everything that is wrong with an account as far as it can be told from itself.
#[must_use]
pub fn judge_account(draft: &AccountDraft) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    if let Some(username) = &draft.username {
        judge_username(username, &mut problems);
    }
    judge_email(&draft.email, &mut problems);
    judge_profile(&draft.profile, &mut problems);
    problems.into_vec()
}

/// Everything that speaks against a new password. Any character may be in it, and no mixture is demanded (SECURITY 48).
#[must_use]
pub fn judge_password(password: &str, min_length: usize, user: &User) -> Vec<MetadataProblem> {
    let mut problems = Problems::default();
    let length = password.chars().count();
    problems.require(
        length >= min_length,
        "password",
        format!(
            "has {length} characters and needs at least {min_length}; a sentence of a few words is easy to remember"
        ),
    );
    problems.require(
        password.len() <= LONGEST_PASSWORD,
        "password",
        format!("has {} bytes; shorten it to at most {LONGEST_PASSWORD}", password.len()),
    );
    let folded = password.to_lowercase();
    problems.require(
        !folded.contains(&user.email.to_lowercase()),
        "password",
        "holds the e-mail address, which is the first thing that is tried; choose another",
    );
    if let Some(username) = user.username.as_deref().map(str::to_lowercase) {
        let telling = username.chars().count() >= SHORTEST_TELLING_NAME;
        problems.require(
            folded != username && !(telling && folded.contains(&username)),
            "password",
            "holds the user name, which is the first thing that is tried; choose another",
        );
    }
    problems.into_vec()
}

fn judge_username(username: &str, problems: &mut Problems) {
    problems.require_text("username", username, 100);
    problems.require(username.trim() == username, "username", "begins or ends with space; remove it");
    problems.require(
        !username.contains('@'),
        "username",
        "holds an @, so it could be taken for an e-mail address; choose another",
    );
    problems.require(Uuid::try_parse(username).is_err(), "username", "has the form of a user id; choose another");
}

/// Only a message proves an address; this keeps out what can never be one.
fn judge_email(email: &str, problems: &mut Problems) {
    let halves = email
        .split_once('@')
        .filter(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    let clean = !email.chars().any(|c| c.is_whitespace() || c.is_control());
    problems.require(halves.is_some() && clean, "email", "is not an e-mail address; write it like name@example.com");
    problems.require(email.chars().count() <= 254, "email", "is longer than 254 characters; use a shorter address");
}

fn judge_profile(profile: &Profile, problems: &mut Problems) {
    let p = profile;
    for (field, text, longest) in [
        ("profile.name", &p.name, 200),
        ("profile.given_name", &p.given_name, 200),
        ("profile.family_name", &p.family_name, 200),
        ("profile.middle_name", &p.middle_name, 200),
        ("profile.nickname", &p.nickname, 200),
        ("profile.gender", &p.gender, 100),
        ("profile.zoneinfo", &p.zoneinfo, 100),
        ("profile.locale", &p.locale, 35),
        ("profile.phone_number", &p.phone_number, 50),
    ] {
        if let Some(text) = text {
            problems.require_text(field, text, longest);
        }
    }
    for (field, link) in
        [("profile.profile", &p.profile), ("profile.picture", &p.picture), ("profile.website", &p.website)]
    {
        if let Some(link) = link {
            problems.require_link(field, link);
        }
    }
    let birthdate = p.birthdate.as_deref().is_none_or(is_birthdate);
    problems.require(birthdate, "profile.birthdate", "is not a date; write it as YYYY-MM-DD, or only the year as YYYY");
    problems.require(
        p.phone_number_verified != Some(true) || p.phone_number.is_some(),
        "profile.phone_number_verified",
        "is true, but there is no phone_number; add one or leave this out",
    );
    judge_address(profile, problems);
}

fn judge_address(profile: &Profile, problems: &mut Problems) {
    let Some(address) = &profile.address else { return };
    // The only claims that may have several lines (OpenID Connect Core §5.1.1).
    for (field, text) in
        [("profile.address.formatted", &address.formatted), ("profile.address.street_address", &address.street_address)]
    {
        if let Some(text) = text {
            problems.require_text(field, &text.replace(['\r', '\n'], " "), 1000);
        }
    }
    for (field, text) in [
        ("profile.address.locality", &address.locality),
        ("profile.address.region", &address.region),
        ("profile.address.postal_code", &address.postal_code),
        ("profile.address.country", &address.country),
    ] {
        if let Some(text) = text {
            problems.require_text(field, text, 200);
        }
    }
}

/// OpenID Connect Core §5.1: `YYYY-MM-DD`, year 0000 where it is not told, or the year alone.
fn is_birthdate(text: &str) -> bool {
    let year = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    year || (text.len() == 10 && Date::parse(text, format_description!("[year]-[month]-[day]")).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Address, Clock, UserId, UserState};

    fn draft() -> AccountDraft {
        AccountDraft {
            username: Some("demo".into()),
            email: "demo@example.com".into(),
            email_verified: None,
            profile: Profile::default(),
        }
    }

    fn user() -> User {
        let now = Clock::System.now();
        User {
            id: UserId(Uuid::nil()),
            username: Some("somebody".into()),
            email: "demo@example.com".into(),
            email_verified: true,
            profile: Profile::default(),
            state: UserState::Active,
            has_password: false,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn each_problem_names_its_member() {
        let profile = |profile| AccountDraft { profile, ..draft() };
        let cases = [
            ("email", AccountDraft { email: "demo".into(), ..draft() }),
            ("email", AccountDraft { email: "a@b@c".into(), ..draft() }),
            ("email", AccountDraft { email: "a b@c".into(), ..draft() }),
            ("email", AccountDraft { email: format!("{}@example.com", "x".repeat(250)), ..draft() }),
            ("username", AccountDraft { username: Some("a@b".into()), ..draft() }),
            ("username", AccountDraft { username: Some(" demo".into()), ..draft() }),
            ("username", AccountDraft { username: Some(Uuid::nil().to_string()), ..draft() }),
            ("profile.name", profile(Profile { name: Some(String::new()), ..Profile::default() })),
            ("profile.picture", profile(Profile { picture: Some("javascript:x".into()), ..Profile::default() })),
            ("profile.birthdate", profile(Profile { birthdate: Some("1990-02-30".into()), ..Profile::default() })),
            (
                "profile.phone_number_verified",
                profile(Profile { phone_number_verified: Some(true), ..Profile::default() }),
            ),
        ];
        assert_eq!(judge_account(&draft()), []);
        for (field, draft) in cases {
            let problems = judge_account(&draft);
            assert!(problems.len() == 1 && problems[0].field == field, "{field}: {problems:?}");
        }
    }

    #[test]
    fn an_address_may_have_several_lines_and_a_birthdate_may_hide_the_year() {
        let address = Address { formatted: Some("Long Street 1\r\n12345 Town".into()), ..Address::default() };
        for birthdate in ["1990-02-28", "0000-12-24", "1990"] {
            let profile =
                Profile { address: Some(address.clone()), birthdate: Some(birthdate.into()), ..Profile::default() };
            assert_eq!(judge_account(&AccountDraft { profile, ..draft() }), [], "{birthdate}");
        }
    }

    #[test]
    fn security_48_length_counts_characters_and_nothing_else_is_demanded() {
        let problems = |password: &str| judge_password(password, 15, &user()).len();
        assert_eq!(problems("abcdefghijklmn"), 1);
        assert_eq!(problems("abcdefghijklmno"), 0);
        assert_eq!(problems("ääääääääääääää"), 1, "14 characters of two bytes each");
        assert_eq!(problems("               "), 0);
        assert_eq!(problems(&"長".repeat(128)), 0);
        assert_eq!(problems(&"x".repeat(4096)), 0);
        assert_eq!(problems(&"x".repeat(4097)), 1);
    }

    #[test]
    fn security_49_a_password_does_not_hold_the_names_of_its_owner() {
        for password in ["demo@example.com", "my DEMO@example.COM pw", "I am Somebody else"] {
            assert_eq!(judge_password(password, 8, &user()).len(), 1, "{password}");
        }
        let short = User { username: Some("al".into()), ..user() };
        assert_eq!(judge_password("metal always falls", 8, &short), []);
    }
}
