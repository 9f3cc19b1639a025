//! People who sign in, and the standard claims about them (OpenID Connect Core §5.1).

use serde::{Deserialize, Serialize};

use super::{Timestamp, UserId};

macro_rules! claims {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)+
        }

        impl $name {
            /// The name of every claim.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];
        }
    };
}

claims!(
    /// The standard claims about a person that scope `profile`, `phone` and `address` release. What is absent is not sent.
    Profile {
        /// Full name in displayable form.
        name: String,
        /// Given name or first name.
        given_name: String,
        /// Surname or last name.
        family_name: String,
        /// Middle name.
        middle_name: String,
        /// Casual name.
        nickname: String,
        /// URL of the profile page.
        profile: String,
        /// URL of the profile picture.
        picture: String,
        /// URL of the person's web page.
        website: String,
        /// Gender, such as `female` or `male`.
        gender: String,
        /// Birthday as `YYYY-MM-DD`.
        birthdate: String,
        /// Time zone, such as `Europe/Berlin`.
        zoneinfo: String,
        /// Locale as a BCP 47 tag.
        locale: String,
        /// Telephone number in E.164 form.
        phone_number: String,
        /// Whether the telephone number was verified.
        phone_number_verified: bool,
        /// Postal address.
        address: Address,
    }
);
claims!(
    /// A postal address (OpenID Connect Core §5.1.1).
    Address {
        /// Full address, formatted for display.
        formatted: String,
        /// Street, house number.
        street_address: String,
        /// City.
        locality: String,
        /// State, province or region.
        region: String,
        /// Postal code.
        postal_code: String,
        /// Country.
        country: String,
    }
);

/// Whether a person may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// May sign in.
    Active,
    /// An operator locked the account: no sign-in, and all tokens are inactive.
    Locked {
        /// Since when.
        since: Timestamp,
    },
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The `sub`.
    pub id: UserId,
    /// A second name to sign in with, beside the e-mail address; the claim `preferred_username`.
    pub username: Option<String>,
    /// E-mail address as the person writes it.
    pub email: String,
    /// Whether the address was proven.
    pub email_verified: bool,
    /// The other claims.
    pub profile: Profile,
    /// Active or locked.
    pub state: UserState,
    /// Whether a password is set.
    pub has_password: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the account or its claims were changed.
    pub updated_at: Timestamp,
}

/// The one spelling under which an identifier is looked up and counted: outer space removed, lower case.
///
/// Without it each spelling of a name would have its own count of failed sign-ins (SECURITY 52).
#[must_use]
pub fn normalize_identifier(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_identifier_are_one() {
        for spelling in ["demo@example.com", "DEMO@Example.com", "  demo@EXAMPLE.com\t"] {
            assert_eq!(normalize_identifier(spelling), "demo@example.com");
        }
    }
}
