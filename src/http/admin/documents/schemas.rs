//! OpenAPI schemas of values whose types live in `domain`, which knows nothing of OpenAPI. Each type only stands for a schema.

use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{Object, RefOr, Schema};
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
    ApplicationTypeName: domain::ApplicationType::ALL.iter().map(|value| value.as_str());
    SigningAlgorithmName: domain::SigningAlgorithm::ALL.iter().map(|value| value.as_str());
    KeyAlgorithmName: domain::KeyAlgorithm::ALL.iter().map(|value| value.as_str());
    KeyStateName: ["pending", "active", "retiring", "retired", "revoked"];
}

/// The standard claims of OpenID Connect Core §5.1, as `domain::Profile` has them.
pub(super) struct ProfileClaims;

impl ToSchema for ProfileClaims {}

impl PartialSchema for ProfileClaims {
    fn schema() -> RefOr<Schema> {
        const TEXTS: [&str; 13] = [
            "name",
            "given_name",
            "family_name",
            "middle_name",
            "nickname",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "phone_number",
        ];
        const ADDRESS: [&str; 6] = ["formatted", "street_address", "locality", "region", "postal_code", "country"];
        let claims = closed_object(&TEXTS).property("phone_number_verified", Object::with_type(Type::Boolean));
        Schema::Object(claims.property("address", closed_object(&ADDRESS)).build()).into()
    }
}

fn closed_object(texts: &[&str]) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let object = object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    texts.iter().fold(object, |object, name| object.property(*name, Object::with_type(Type::String)))
}
