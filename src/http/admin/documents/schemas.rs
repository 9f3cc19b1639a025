//! OpenAPI schemas of values whose types live in `domain`, which knows nothing of OpenAPI. Each type only stands for a schema.

use utoipa::openapi::schema::{AdditionalProperties, AllOfBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Components, Object, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain;

macro_rules! names {
    ($($schema:ident: $values:expr;)+) => { $(
        pub(super) struct $schema;

        impl ToSchema for $schema {}

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                Schema::Object(ObjectBuilder::new().schema_type(Type::String).enum_values(Some($values)).build()).into()
            }
        }
    )+ };
}
names! {
    TokenEndpointAuthMethod: domain::ClientAuthMethod::ALL.iter().map(|value| value.as_str());
    GrantTypeName: domain::GrantType::ALL.iter().map(|value| value.as_str());
    ClientProfileName: domain::ClientProfile::ALL.iter().map(|value| value.as_str());
    ApplicationTypeName: domain::ApplicationType::ALL.iter().map(|value| value.as_str());
    ResponseModeName: domain::ResponseMode::ALL.iter().map(|value| value.as_str());
    SigningAlgorithmName: domain::SigningAlgorithm::ALL.iter().map(|value| value.as_str());
    RefreshTokenRotationName: domain::RefreshTokenRotation::ALL.iter().map(|value| value.as_str());
    SubjectTypeName: domain::SubjectType::ALL.iter().map(|value| value.as_str());
    AssertionSubjectName: domain::AssertionSubject::ALL.iter().map(|value| value.as_str());
    KeyAlgorithmName: domain::KeyAlgorithm::ALL.iter().map(|value| value.as_str());
    KeyStateName: domain::KeyState::ALL.iter().map(|value| value.as_str());
}

/// Schemas whose members partly come from another type (`#[serde(flatten)]`), the inner ones first. utoipa joins their parts by `allOf`; as
/// the part that is also sent allows no further members, the whole would allow none of its own.
const FLATTENED: [&str; 3] = ["ClientView", "CreatedClientView", "CreatedInitialAccessTokenView"];

/// Makes one object of each of them.
pub fn merge_flattened(components: &mut Components) {
    for name in FLATTENED {
        let Some(RefOr::T(Schema::AllOf(parts))) = components.schemas.get(name).cloned() else { continue };
        let mut whole = Object::with_type(Type::Object);
        whole.description = parts.description;
        for part in parts.items {
            let part = match part {
                RefOr::Ref(reference) => {
                    let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                    components.schemas.get(name).cloned()
                }
                schema @ RefOr::T(_) => Some(schema),
            };
            let Some(RefOr::T(Schema::Object(object))) = part else { continue };
            whole.properties.extend(object.properties);
            whole.required.extend(object.required);
        }
        components.schemas.insert(name.to_owned(), Schema::Object(whole).into());
    }
}

macro_rules! creations {
    ($($(#[$doc:meta])* $schema:ident: $document:literal with $($required:literal),+;)+) => { $(
        $(#[$doc])*
        pub struct $schema;

        impl ToSchema for $schema {}

        impl PartialSchema for $schema {
            fn schema() -> RefOr<Schema> {
                let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
                let required = ObjectBuilder::new()$(.property($required, text()).required($required))+;
                let document = Ref::from_schema_name($document);
                Schema::AllOf(AllOfBuilder::new().item(document).item(required).build()).into()
            }
        }
    )+ };
}
creations! {
    /// What makes a client: all that changes one may name, and a name at least.
    NewClient: "ClientDocument" with "client_name";
    /// What makes an account: all that changes one may name, and an e-mail address at least.
    NewUser: "UserDocument" with "email";
    /// What makes a resource server: all that changes one may name, and audience and name at least.
    NewResourceServer: "ResourceServerDocument" with "audience", "name";
}

/// The standard claims of OpenID Connect Core §5.1, as `domain::Profile` has them.
pub(super) struct ProfileClaims;

impl ToSchema for ProfileClaims {}

impl PartialSchema for ProfileClaims {
    fn schema() -> RefOr<Schema> {
        let claims = closed_object(domain::Profile::NAMES, |name| match name {
            "phone_number_verified" => or_null(Type::Boolean),
            "address" => closed_object(domain::Address::NAMES, |_| or_null(Type::String)),
            _ => or_null(Type::String),
        });
        Schema::Object(claims).into()
    }
}

fn closed_object(names: &[&str], member: impl Fn(&str) -> Object) -> Object {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let object = object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    names.iter().fold(object, |object, name| object.property(*name, member(name))).build()
}

/// In a merge patch `null` takes a member away.
fn or_null(one: Type) -> Object {
    Object::with_type(SchemaType::from_iter([one, Type::Null]))
}
