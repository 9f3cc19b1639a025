//! `/openapi.json`: the document says what the router does, all of it and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{AdminApi, TestApp};

fn document() -> Value {
    serde_json::to_value(keystead::http::admin::openapi()).unwrap()
}

/// Path, method and description of each operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let path = path.clone();
        let methods = item.as_object().unwrap().clone();
        methods.into_iter().map(move |(method, operation)| (path.clone(), method, operation))
    };
    paths.iter().flat_map(of_path).collect()
}

/// The schema that a reference leads to.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}")),
        None => schema,
    }
}

#[tokio::test]
async fn section_8_the_document_is_served_and_the_same_as_the_command_prints() {
    let app = TestApp::start().await;
    let auditor = AdminApi::with_scope(&app, "keystead:admin.read").await;
    let answer = auditor.get("/openapi.json").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.json(), document());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[tokio::test]
async fn section_8_every_route_of_the_router_is_documented_and_the_other_way_round() {
    let app = TestApp::start().await;
    let routes = format!("{:?}", app.sites().1);
    let known: BTreeSet<&str> =
        routes.split('"').filter(|text| text.starts_with("/admin/v1/") && !text.contains("__private")).collect();
    let document = document();
    let mut documented: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    // Only there to be answered as unknown.
    documented.insert("/admin/v1/");
    assert_eq!(known, documented, "the router's own description of itself");
}

#[tokio::test]
async fn section_8_every_method_of_the_router_is_documented_and_the_other_way_round() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document()) {
        documented.entry(path).or_default().insert(method.to_uppercase());
    }
    for (path, mut methods) in documented {
        let answer = admin.call(Method::PUT, &path.replace(['{', '}'], ""), None).await;
        answer.problem(405, "method-not-allowed");
        let allowed: BTreeSet<String> = answer.header("allow").split(',').map(str::to_owned).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".into());
        }
        assert_eq!(allowed, methods, "{path}");
    }
}

#[test]
fn section_8_every_operation_has_a_name_words_and_its_problems() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(names.insert(operation["operationId"].as_str().unwrap_or_default().to_owned()), "{at}: {operation}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{at}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at}");
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(responses.keys().filter(|status| status.starts_with('2')).count(), 1, "{at}");
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            let schema = &response["content"]["application/problem+json"]["schema"];
            assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{at} {status}");
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{at} {status}");
        }
        let mut expected = BTreeSet::from(["400", "401", "403", "404", "500", "503"]);
        if operation["requestBody"].is_object() {
            expected.extend(["413", "415"]);
        }
        assert!(expected.iter().all(|status| responses.contains_key(*status)), "{at}: {:?}", responses.keys());
        if method == "post" && responses.contains_key("201") {
            assert!(responses["201"]["headers"]["Location"].is_object(), "{at}");
        }
        let placed: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described: BTreeSet<&str> =
            parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(placed, described, "{at}");
    }
}

#[test]
fn section_8_every_list_has_limit_and_cursor_and_the_same_form() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let schema = resolve(&document, &operation["responses"]["200"]["content"]["application/json"]["schema"]);
        let is_list = schema["properties"]["items"].is_object();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let query =
            |name: &str| parameters.iter().any(|p| p["in"] == "query" && p["name"] == name && p["required"] != true);
        if method == "get" {
            assert_eq!(is_list, query("limit") && query("cursor"), "{path}");
        }
        if is_list {
            assert_eq!(schema["properties"]["items"]["type"], "array", "{path}");
            assert!(schema["properties"]["next_cursor"].is_object(), "{path}");
        }
    }
}

#[test]
fn security_75_no_schema_that_is_sent_has_a_secret_and_one_that_is_shown_only_after_creation() {
    let document = document();
    let mut showing = Vec::new();
    for (path, method, operation) in operations(&document) {
        for (_, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let text = resolve(&document, &content["schema"])["properties"].to_string();
            assert!(!text.contains("password") && !text.contains("client_secret\""), "{method} {path}: {text}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let schema = resolve(&document, &response["content"]["application/json"]["schema"]).to_string();
            if schema.contains("\"client_secret\"") {
                showing.push(format!("{method} {path} {status}"));
            }
        }
    }
    let creation = ["post /admin/v1/clients 201", "post /admin/v1/clients/{client_id}/secrets 201"];
    assert_eq!(showing, creation);
}

#[tokio::test]
async fn section_8_answers_have_the_members_that_the_document_names() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let document = document();
    let user = app.person("pat@example.com").await;
    let server = admin.items("/resource-servers").await[0]["id"].as_str().unwrap().to_owned();
    for (path, example) in [
        ("/clients/{client_id}", format!("/clients/{}", admin.client.id)),
        ("/users/{user_id}", format!("/users/{user}")),
        ("/resource-servers/{id}", format!("/resource-servers/{server}")),
    ] {
        let operation = &document["paths"][format!("/admin/v1{path}")]["get"];
        let schema = resolve(&document, &operation["responses"]["200"]["content"]["application/json"]["schema"]);
        let shown = admin.show(&example).await;
        for member in shown.as_object().unwrap().keys() {
            assert!(schema["properties"][member].is_object(), "{path}: {member} is not documented");
        }
        for member in schema["required"].as_array().unwrap() {
            assert!(shown.get(member.as_str().unwrap()).is_some(), "{path}: {member} is missing");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], json!("bearer"));
    assert_eq!(document["security"], json!([{ "bearer": [] }]));
}
