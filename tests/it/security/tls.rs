//! TLS of the public listener, against the real program.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::process::{Folder, Program, Running};
use crate::support::tls::{Authority, Identity, connect, first_answer, get};
use crate::support::{database, tcp};

fn lay(folder: &Folder, identity: &Identity) {
    folder.write("tls.pem", &identity.pem);
    folder.write("tls.key", &identity.key_pem);
}

async fn serve(folder: &Folder, identity: &Identity) -> (Running, SocketAddr) {
    lay(folder, identity);
    let url = database::fresh().await;
    let program = Program::configured(&["serve"], &url)
        .env("KEYSTEAD__PUBLIC__TLS_CERTIFICATE", folder.join("tls.pem").to_str().unwrap())
        .env("KEYSTEAD__PUBLIC__TLS_KEY", folder.join("tls.key").to_str().unwrap());
    let mut serving = program.start();
    let (public, _) = serving.serves_at().await;
    (serving, public)
}

#[tokio::test]
async fn security_72_tls_1_2_and_1_3_with_good_suites_and_nothing_else() {
    const GCM: [u16; 4] = [0xC02B, 0xC02C, 0xC02F, 0xC030];
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let (folder, authority) = (Folder::new(), Authority::new("CA"));
    let (mut serving, public) = serve(&folder, &authority.server()).await;
    for versions in [[&TLS12], [&TLS13]] {
        let reply = get(public, authority.client(&versions, None), "/health/live").await.unwrap();
        assert_eq!(reply.status, 200, "{versions:?}");
    }
    assert_eq!(first_answer(public, [3, 3], &GCM).await.unwrap(), HANDSHAKE, "TLS 1.2 as we write it");
    for version in [[3, 0], [3, 1], [3, 2]] {
        assert_eq!(first_answer(public, version, &GCM).await.unwrap(), ALERT, "{version:?}");
    }
    // CBC with ECDHE, RSA key exchange, DHE, ChaCha20-Poly1305, RC4, 3DES, export.
    let bad =
        [0xC009, 0xC00A, 0xC013, 0xC014, 0xC023, 0xC024, 0xC027, 0x009C, 0x009D, 0x009E, 0xCCA8, 0xCCA9, 5, 10, 3];
    for suite in bad {
        assert_eq!(first_answer(public, [3, 3], &[suite]).await.unwrap(), ALERT, "{suite:#06x}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn the_handshake_says_which_http_is_spoken() {
    let (folder, authority) = (Folder::new(), Authority::new("CA"));
    let (mut serving, public) = serve(&folder, &authority.server()).await;
    for (offered, chosen) in [(&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])), (&[b"http/1.1"], Some(b"http/1.1"))] {
        let mut config = authority.client(&[&TLS13], None);
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let stream = connect(public, config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
    }
    // Who speaks without TLS gets an alert and no page.
    assert!(tcp::get(public, "/health/live").await.is_err());
    serving.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off_and_holds_up_nobody() {
    let (folder, authority) = (Folder::new(), Authority::new("CA"));
    let (mut serving, public) = serve(&folder, &authority.server()).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(public).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        slow.push(stream);
    }
    let reply = get(public, authority.client(&[&TLS13], None), "/health/live").await.unwrap();
    assert_eq!(reply.status, 200);
    for mut stream in slow {
        let mut rest = Vec::new();
        let closed = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
        // Closed or reset: both are an end.
        let _ = tokio::time::timeout(Duration::from_secs(20), closed).await.unwrap();
    }
    serving.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart_and_a_broken_one_is_not() {
    let (folder, authority) = (Folder::new(), Authority::new("CA"));
    let (first, second, other) = (authority.server(), authority.server(), authority.server());
    let (mut serving, public) = serve(&folder, &first).await;
    let shown = async || {
        let stream = connect(public, authority.client(&[&TLS13], None)).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    assert_eq!(shown().await, first.der);
    folder.write("tls.pem", &second.pem);
    serving.signal(Signal::SIGHUP);
    serving.says("the new TLS certificate cannot be used; the old one stays").await;
    assert_eq!(shown().await, first.der, "the key is still that of the first");
    folder.write("tls.key", &second.key_pem);
    serving.signal(Signal::SIGHUP);
    serving.says("the TLS certificate was replaced").await;
    assert_eq!(shown().await, second.der);
    folder.write("tls.key", "-----BEGIN NOTHING-----\n");
    serving.signal(Signal::SIGHUP);
    serving.says("holds no private key").await;
    assert_eq!(shown().await, second.der);
    lay(&folder, &other);
    serving.stop().await;
}

#[tokio::test]
async fn certificate_and_key_that_do_not_fit_are_told_before_anything_is_served() {
    let (folder, authority) = (Folder::new(), Authority::new("CA"));
    folder.write("tls.pem", &authority.server().pem);
    folder.write("tls.key", &authority.server().key_pem);
    for command in [&["serve"][..], &["config", "check"]] {
        let program = Program::configured(command, "postgres://localhost/none")
            .env("KEYSTEAD__PUBLIC__TLS_CERTIFICATE", folder.join("tls.pem").to_str().unwrap())
            .env("KEYSTEAD__PUBLIC__TLS_KEY", folder.join("tls.key").to_str().unwrap());
        let ended = program.run().await;
        assert!(!ended.status.success() && ended.output.contains("cannot be used together"), "{}", ended.output);
    }
}
