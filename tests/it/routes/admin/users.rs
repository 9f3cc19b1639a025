//! `/users`: made, shown, found, changed, removed.

use serde_json::{Value, json};

use crate::support::secrets::hex;
use crate::support::{AdminApi, Browser, TestApp, encode};

/// What a test changes about one account.
fn path(user: &Value) -> String {
    format!("/users/{}", user["user_id"].as_str().unwrap())
}

#[tokio::test]
async fn section_8_an_account_is_made_shown_and_found_by_its_address() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let sent = json!({
        "username": "pat", "email": "Pat@Example.com", "email_verified": true,
        "profile": { "name": "Pat Person", "given_name": "Pat", "family_name": "Person", "birthdate": "1990-02-28",
                     "picture": "https://people.example/pat.png", "phone_number": "+4930123456",
                     "phone_number_verified": true, "locale": "en-GB", "zoneinfo": "Europe/Berlin",
                     "address": { "formatted": "Long Street 1\n12345 Town", "country": "Germany" } },
    });
    let answer = admin.post("/users", sent.clone()).await;
    let created = answer.json();
    let id = created["user_id"].as_str().unwrap();
    assert_eq!((answer.status.as_u16(), answer.location()), (201, format!("/admin/v1/users/{id}").as_str()));
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(created[name], *value, "{name}");
    }
    let rest = ["locked", "has_password", "created_at", "updated_at"].map(|name| created[name].clone());
    assert_eq!(rest, [json!(false), json!(false), json!("2027-01-15T08:00:00Z"), json!("2027-01-15T08:00:00Z")]);
    assert_eq!(admin.show(answer.location()).await, created);
    assert_eq!(admin.items("/users").await, std::slice::from_ref(&created));
    assert_eq!(admin.items("/users?email=PAT%40example.com").await, [created]);
    assert_eq!(admin.items("/users?email=other%40example.com").await, Vec::<Value>::new());
}

#[tokio::test]
async fn section_8_only_the_address_is_required() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let created =
        admin.create("/users", json!({ "email": "pat@example.com", "username": null, "profile": null })).await;
    assert_eq!((&created["email_verified"], &created["profile"]), (&json!(false), &json!({})));
    assert!(created.get("username").is_none() && created.get("locked_at").is_none(), "{created}");
    assert_eq!(admin.post("/users", json!({})).await.refused_members(), ["email"]);
}

#[tokio::test]
async fn security_75_no_member_takes_a_password_and_none_shows_one() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let user = app.person("pat@example.com").await;
    let path = format!("/users/{user}");
    for member in ["password", "password_hash", "has_password", "new_password", "credentials", "locked", "user_id"] {
        let body = json!({ "email": "new@example.com", member: "keystead chosen password" });
        assert_eq!(admin.post("/users", body).await.refused_members(), [member]);
        assert_eq!(admin.patch(&path, json!({ member: "keystead chosen password" })).await.refused_members(), [member]);
    }
    for action in ["set-password", "password", "reset"] {
        admin.post(&format!("{path}/{action}"), json!({ "password": "x" })).await.problem(404, "not-found");
    }
    let shown = admin.show(&path).await;
    assert_eq!(shown["has_password"], true);
    assert!(!shown.to_string().contains("argon2") && !admin.get("/users").await.body.contains("argon2"));
    assert!(app.dump().await.contains("$argon2id$"), "it is there, only not shown");
}

#[tokio::test]
async fn security_75_an_account_from_the_api_cannot_sign_in_until_a_password_is_set() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    admin.create("/users", json!({ "email": "pat@example.com" })).await;
    let mut browser = Browser::default();
    let page = browser.get(&app, "/login").await;
    for password in ["", "pat@example.com", "correct horse battery staple"] {
        let answer =
            browser.submit(&app, &page, "/login", &[("username", "pat@example.com"), ("password", password)]).await;
        assert!(!browser.cookies.contains_key("__Host-keystead-session"), "{password}: {}", answer.status);
    }
}

#[tokio::test]
async fn section_8_a_patch_reaches_into_the_profile() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let profile = json!({ "name": "Pat", "nickname": "P", "address": { "country": "Germany", "region": "Berlin" } });
    let body = json!({ "email": "pat@example.com", "username": "pat", "profile": profile });
    let user = path(&admin.create("/users", body).await);
    app.wait(time::Duration::seconds(1));
    let patch = json!({ "profile": { "name": "Pat Person", "nickname": null, "address": { "region": null } } });
    let changed = admin.change(&user, patch).await;
    assert_eq!(changed["profile"], json!({ "name": "Pat Person", "address": { "country": "Germany" } }));
    assert_eq!((&changed["username"], &changed["email"]), (&json!("pat"), &json!("pat@example.com")));
    assert_eq!(changed["updated_at"], "2027-01-15T08:00:01Z");
    let changed = admin.change(&user, json!({ "profile": null, "username": null })).await;
    assert_eq!((&changed["profile"], changed.get("username")), (&json!({}), None));
    assert_eq!(admin.show(&user).await, changed);
    let again = admin.change(&user, json!({ "profile": {} })).await;
    assert_eq!(again, changed, "a patch without a change changes nothing");
    let id = changed["user_id"].as_str().unwrap();
    let events = admin.events(id).await;
    assert_eq!(events.iter().filter(|event| event["name"] == "user.updated").count(), 2, "{events:?}");
}

#[tokio::test]
async fn security_59_a_new_address_is_not_verified_unless_the_patch_says_so() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let user = path(&admin.create("/users", json!({ "email": "pat@example.com", "email_verified": true })).await);
    for (patch, verified) in [
        (json!({ "username": "pat" }), true),
        (json!({ "email": "Pat@Example.com" }), true),
        (json!({ "email": "new@example.com" }), false),
        (json!({ "email_verified": true }), true),
        (json!({ "email": "newer@example.com", "email_verified": true }), true),
        (json!({ "email_verified": null }), false),
        (json!({ "email_verified": true }), true),
        (json!({ "email_verified": false }), false),
    ] {
        assert_eq!(admin.change(&user, patch.clone()).await["email_verified"], verified, "{patch}");
    }
}

#[tokio::test]
async fn security_59_a_new_phone_number_is_not_verified_unless_the_patch_says_so() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let profile = json!({ "phone_number": "+4930123456", "phone_number_verified": true });
    let user = path(&admin.create("/users", json!({ "email": "pat@example.com", "profile": profile })).await);
    for (patch, verified) in [
        (json!({ "nickname": "P" }), json!(true)),
        (json!({ "phone_number": "+4930123456" }), json!(true)),
        (json!({ "phone_number": "+4930654321" }), Value::Null),
        (json!({ "phone_number": "+4930111111", "phone_number_verified": true }), json!(true)),
        (json!({ "phone_number": null }), Value::Null),
    ] {
        let changed = admin.change(&user, json!({ "profile": patch })).await;
        assert_eq!(changed["profile"]["phone_number_verified"], verified, "{patch}");
    }
}

#[tokio::test]
async fn section_8_each_wrong_member_of_an_account_is_named_with_its_remedy() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let with = |members: Value| {
        let mut body = json!({ "email": "pat@example.com" });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    let profile = |members: Value| with(json!({ "profile": members }));
    let uuid = app.engine.random.uuid_v7(app.clock.now()).to_string();
    for (body, member, remedy) in [
        (with(json!({ "email": "pat" })), "email", "name@example.com"),
        (with(json!({ "email": "a@b@c" })), "email", "name@example.com"),
        (with(json!({ "email": "pat@exam\u{0}ple.com" })), "email", "name@example.com"),
        (with(json!({ "email": "pat@exam\u{a0}ple.com" })), "email", "name@example.com"),
        (with(json!({ "email": format!("{}@example.com", "x".repeat(250)) })), "email", "shorter"),
        (with(json!({ "username": "" })), "username", "give it a value"),
        (with(json!({ "username": "pat@home" })), "username", "choose another"),
        (with(json!({ "username": " pat" })), "username", "remove it"),
        (with(json!({ "username": uuid })), "username", "choose another"),
        (with(json!({ "username": "x".repeat(101) })), "username", "at most 100"),
        (with(json!({ "email_verified": "yes" })), "email_verified", "boolean"),
        (with(json!({ "profile": [] })), "profile", "object"),
        (profile(json!({ "name": "" })), "profile.name", "give it a value"),
        (profile(json!({ "nickname": "a\u{7}" })), "profile.nickname", "remove them"),
        (profile(json!({ "shoe_size": 43 })), "profile.shoe_size", "expected one of"),
        (profile(json!({ "picture": "javascript:alert(1)" })), "profile.picture", "use https"),
        (profile(json!({ "birthdate": "1990-02-30" })), "profile.birthdate", "YYYY-MM-DD"),
        (profile(json!({ "phone_number_verified": true })), "profile.phone_number_verified", "add one"),
        (profile(json!({ "address": { "planet": "Earth" } })), "profile.address.planet", "expected one of"),
        (profile(json!({ "address": { "locality": "a\nb" } })), "profile.address.locality", "remove them"),
    ] {
        let refused = admin.post("/users", body.clone()).await;
        assert_eq!(refused.refused_members(), [member], "{body}: {}", refused.body);
        let detail = refused.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(remedy), "{body}: {detail}");
    }
    assert_eq!(admin.items("/users").await, Vec::<Value>::new());
}

#[tokio::test]
async fn section_8_an_address_or_name_in_any_spelling_belongs_to_one_account() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    admin.create("/users", json!({ "email": "pat@example.com", "username": "Pat" })).await;
    let other = path(&admin.create("/users", json!({ "email": "kim@example.com", "username": "kim" })).await);
    for (body, word) in [
        (json!({ "email": "PAT@example.COM" }), "e-mail address"),
        (json!({ "email": "third@example.com", "username": "pAT" }), "user name"),
    ] {
        for answer in [admin.post("/users", body.clone()).await, admin.patch(&other, body.clone()).await] {
            let detail = answer.problem(409, "conflict")["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(word), "{body}: {detail}");
        }
    }
    let shown = admin.show(&other).await;
    assert_eq!((&shown["email"], &shown["username"]), (&json!("kim@example.com"), &json!("kim")));
    admin.change(&other, json!({ "email": "Kim@Example.com", "username": "KIM" })).await;
}

#[tokio::test]
async fn section_8_a_deleted_account_is_gone_and_its_address_free() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let body = json!({ "email": "pat@example.com", "username": "pat" });
    let created = admin.create("/users", body.clone()).await;
    let user = path(&created);
    admin.remove(&user).await;
    for answer in [
        admin.get(&user).await,
        admin.patch(&user, json!({})).await,
        admin.delete(&user).await,
        admin.act(&format!("{user}/lock")).await,
        admin.act(&format!("{user}/unlock")).await,
        admin.act(&format!("{user}/sign-out")).await,
        admin.get(&format!("{user}/sessions")).await,
        admin.get(&format!("{user}/grants")).await,
    ] {
        answer.problem(404, "not-found");
    }
    let (dump, bytes) = (app.dump().await, hex(b"pat@example.com"));
    assert!(!dump.contains("pat@example.com") && !dump.contains(&bytes), "personal data stayed behind");
    let again = admin.create("/users", body).await;
    assert_ne!(again["user_id"], created["user_id"]);
    admin.event(created["user_id"].as_str().unwrap(), "user.deleted").await;
}

#[tokio::test]
async fn section_8_ids_that_no_account_has_are_unknown() {
    let app = TestApp::start().await;
    let admin = AdminApi::open(&app).await;
    let unknown = app.engine.random.uuid_v7(app.clock.now()).to_string();
    for id in [unknown.as_str(), "1", "me", "pat@example.com", "%00", "..%2Fclients", "' OR 1=1 --", "\u{fffd}"] {
        let user = format!("/users/{}", if id.contains('%') { id.to_owned() } else { encode(id) });
        admin.get(&user).await.problem(404, "not-found");
        admin.act(&format!("{user}/lock")).await.problem(404, "not-found");
        admin.get(&format!("{user}/sessions")).await.problem(404, "not-found");
    }
}
