//! Secrets by value and by file, and that none is ever shown.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

#[test]
fn a_secret_comes_from_a_file_beside_the_configuration() {
    let folder = Folder::new("secret");
    folder.write("key", format!("{}\n", URL_SAFE_NO_PAD.encode(key_bytes())));
    folder.write("url", format!("{DATABASE}\r\n"));
    let file = folder.write(
        "keystead.toml",
        "issuer = \"https://id.example.com\"\n[database]\nurl_file = \"url\"\n[keys]\nencryption_key_file = \"key\"\n",
    );
    let settings = load(Some(&file), &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.keys.encryption_key.expose(), key_bytes());
    assert_eq!(settings.database.url.expose(), DATABASE);
}

#[test]
fn a_secret_file_that_cannot_serve_is_a_problem() {
    let folder = Folder::new("bad-secret");
    let open = folder.write("open", DATABASE);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let cases = [
        (folder.0.join("missing"), "cannot be read", "create the file"),
        (folder.0.clone(), "is a folder", "name the file itself"),
        (folder.write("empty", "\n"), "is empty", "write the secret"),
        (folder.write("binary", [0xff, 0xfe]), "cannot be read", "as text"),
        (folder.write("large", "x".repeat(70_000)), "larger than 64 KiB", "nothing else"),
        (open, "mode 644", "chmod o="),
    ];
    for (path, what, remedy) in cases {
        let path = path.display().to_string();
        let problem = problem(&[("KEYSTEAD__DATABASE__URL_FILE", &path)]);
        assert_eq!(problem.key, "database.url_file");
        assert!(problem.what.contains(what) && problem.remedy.contains(remedy), "{problem}");
    }
}

#[test]
fn a_secret_is_given_in_one_way_only() {
    let given = [("KEYSTEAD__DATABASE__URL", DATABASE), ("KEYSTEAD__DATABASE__URL_FILE", "/x")];
    assert_eq!(problem(&given).what, "is set beside database.url_file");
}

#[test]
fn previous_encryption_keys_have_names_of_their_own() {
    let folder = Folder::new("previous");
    let previous = STANDARD.encode(key_bytes().into_iter().rev().collect::<Vec<_>>());
    folder.write("key-0", &previous);
    let file =
        folder.write("keystead.toml", "[keys]\nprevious_encryption_keys = [{ id = \"0\", key_file = \"key-0\" }]\n");
    let settings = load(Some(&file), &environment(&[])).ok().unwrap();
    assert_eq!(settings.keys.previous_encryption_keys[0].id, "0");
    assert!(print(&settings).contains("previous_encryption_keys = [{ id = \"0\", key = \"********\" }]"));

    for (list, what) in [
        (format!("[{{ id = \"1\", key = \"{previous}\" }}]"), "uses the id \"1\" twice"),
        (format!("[{{ id = \"0\", key = \"{}\" }}]", key()), "has the entry \"0\", which is the present key again"),
        ("[{ id = \"0\" }]".to_owned(), "has the entry \"0\", which has not exactly one text of key and key_file"),
        ("[{ key = \"x\" }]".to_owned(), "has an entry without an id"),
        (
            format!("[{{ id = \"0\", key = \"{previous}\", kid = \"z\" }}]"),
            "has the entry \"0\", which has the unknown field kid",
        ),
        ("[{ id".to_owned(), "is not TOML"),
    ] {
        let problem = problem(&[("KEYSTEAD__KEYS__PREVIOUS_ENCRYPTION_KEYS", &list)]);
        assert_eq!((problem.key.as_str(), problem.what.as_str()), ("keys.previous_encryption_keys", what));
    }
}

#[test]
fn security_71_no_report_and_no_print_shows_a_secret() {
    let marked = "hunter2-marked";
    let folder = Folder::new("marked");
    let broken = folder.write("broken.toml", format!("[database]\nurl = \"{marked}\n"));
    let file = folder.write("secret", marked);
    let mut shown =
        problems(load(Some(&broken), &Environment::default())).iter().map(ToString::to_string).collect::<String>();
    for (variable, value) in [
        ("ISSUER", format!("https://x:{marked}@id.example.com")),
        ("DATABASE__URL", marked.to_owned()),
        ("DATABASE__URL", format!("{marked}://x")),
        ("DATABASE__URL", format!("postgres://u:1/x?{marked}@host/db")),
        ("DATABASE__URL", format!("postgres://u:{marked}@host")),
        ("DATABASE__URL", format!("postgres://u@host/d?sslmode={marked}")),
        ("DATABASE__URL_FILE", file.display().to_string()),
        ("KEYS__ENCRYPTION_KEY", marked.to_owned()),
        ("KEYS__ENCRYPTION_KEY_ID", format!("{marked}=")),
        ("KEYS__PREVIOUS_ENCRYPTION_KEYS", marked.to_owned()),
        ("KEYS__PREVIOUS_ENCRYPTION_KEYS", format!("[{{ id = \"{marked}=\", key = \"a\" }}]")),
        ("KEYS__PREVIOUS_ENCRYPTION_KEYS", format!("[{{ id = \"a\", key = \"{marked}\" }}]")),
        ("KEYS__ENCRYPTION_KYE", marked.to_owned()),
    ] {
        let refused = load(None, &environment(&[(&format!("KEYSTEAD__{variable}"), &value)]));
        shown += &problems(refused).iter().map(ToString::to_string).collect::<String>();
    }
    shown +=
        &print(&settings(&[("KEYSTEAD__DATABASE__URL", &format!("postgres://u:{marked}@host/d?password={marked}"))]));
    assert!(!shown.contains(marked), "{shown}");
}
