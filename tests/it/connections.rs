//! Clients that are slow, too large, or not clients at all, against the real program.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::process::{Program, Running};
use crate::support::{database, http2, tcp};

async fn serve() -> (Running, SocketAddr) {
    let url = database::fresh().await;
    let mut serving = Program::configured(&["serve"], &url).env("KEYSTEAD__LIMITS__REQUEST_TIMEOUT", "6s").start();
    let (public, _) = serving.serves_at().await;
    (serving, public)
}

/// Sends the beginning, then one byte of the rest now and then, until the server closes; gives how long that took and what it said.
async fn trickle(to: SocketAddr, begin: &[u8], rest: &[u8]) -> (Duration, String) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(begin).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let rest = rest.to_vec();
    let writing = tokio::spawn(async move {
        for byte in rest {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    let mut said = Vec::new();
    let patience = Duration::from_secs(25);
    let closed = tokio::time::timeout(patience, read.read_to_end(&mut said)).await;
    writing.abort();
    assert!(closed.is_ok(), "still open after {patience:?}: {:?}", String::from_utf8_lossy(begin));
    (started.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn slow_clients_are_cut_off_whatever_they_are_slow_with() {
    let (mut serving, public) = serve().await;
    let mut slow = JoinSet::new();
    let http2 = [http2::PREFACE, http2::SETTINGS].concat();
    let beginnings: [(&[u8], &[u8]); 5] = [
        (b"", b""),
        (b"P", &http2::PREFACE[1..20]),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", &[b'a'; 200]),
        (&http2, b""),
        (b"\x16\x03\x01", b""),
    ];
    for (begin, rest) in beginnings {
        let (begin, rest) = (begin.to_vec(), rest.to_vec());
        slow.spawn(async move { trickle(public, &begin, &rest).await.0 });
    }
    let head = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 1000\r\n\r\ngrant_type=";
    let (took, said) = trickle(public, head.as_bytes(), &[b'a'; 200]).await;
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after"), "{said}");
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(10), "{took:?}");
    for took in slow.join_all().await {
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn a_connection_may_rest_between_two_requests() {
    let (mut serving, public) = serve().await;
    let mut stream = TcpStream::connect(public).await.unwrap();
    let mut buffer = [0; 4096];
    for pause in [0, 13, 0] {
        // Longer than a client may take for its first request: proxies keep connections for a minute.
        tokio::time::sleep(Duration::from_secs(pause)).await;
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&buffer[..count]));
    }
    serving.stop().await;
}

#[tokio::test]
async fn oversized_heads_are_refused_and_the_connection_is_closed() {
    let (mut serving, public) = serve().await;
    let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(40_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000)), 414),
    ] {
        let reply = tcp::exchange(public, request.as_bytes()).await.unwrap();
        assert!(reply.status == status || reply.status == 431, "{} {}", reply.status, &request[..30]);
    }
    // 16 KiB in one header is fine, as a sealed request in an address may need.
    let fine = format!("GET /health/live?{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "a".repeat(16_000));
    assert_eq!(tcp::exchange(public, fine.as_bytes()).await.unwrap().status, 200);
    serving.stop().await;
}

#[tokio::test]
async fn the_limit_of_heads_is_the_same_whatever_pieces_they_come_in() {
    let (mut serving, public) = serve().await;
    for (length, status) in [(32_000, 200), (33_000, 431), (48_000, 431)] {
        let head = format!("GET /.well-known/openid-configuration?{} HTTP/1.1\r\nHost: x\r\n", "a".repeat(length));
        let whole = format!("{head}Connection: close\r\n\r\n");
        let reply = tcp::exchange(public, whole.as_bytes()).await.unwrap();
        assert_eq!(reply.status, status, "{length} at once");
        let mut stream = TcpStream::connect(public).await.unwrap();
        for piece in whole.as_bytes().chunks(7_000) {
            // Who is refused need not send the rest.
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        // The answer to who still sends may be lost with the connection; what fits is answered in any case.
        let refused_in_the_middle = status == 431 && answer.is_empty();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) || refused_in_the_middle, "{length}: {answer}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn http2_may_begin_in_pieces() {
    const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let (mut serving, public) = serve().await;
    let mut stream = TcpStream::connect(public).await.unwrap();
    for piece in ["P", "R", "I * HTTP/2.0\r\n\r\nSM", "\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stream.write_all(&EMPTY_SETTINGS).await.unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "the server's SETTINGS come first (RFC 9113 §3.4): {frame:?}");
    drop(stream);
    serving.stop().await;
}

#[tokio::test]
async fn ten_megabytes_are_refused_before_they_are_read() {
    let (mut serving, public) = serve().await;
    for path in ["/oauth2/token", "/login"] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n",
            10 << 20
        );
        let begin = Instant::now();
        // The answer comes although the body does not.
        let reply = tcp::exchange(public, head.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 413, "{reply:?}");
        let whole = [head.as_bytes(), &vec![b'x'; 10 << 20]].concat();
        if let Ok(reply) = tcp::exchange(public, &whole).await {
            assert_eq!(reply.status, 413, "{reply:?}");
        }
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
    serving.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (mut serving, public) = serve().await;
    let one = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let two = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /oauth2/jwks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(public).await.unwrap();
    stream.write_all([one, two, one, last].concat().as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let statuses: Vec<&str> = said.match_indices("HTTP/1.1 ").map(|(at, _)| &said[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404", "200", "200"], "{said}");
    assert!(said.ends_with('}') && said.contains("\"keys\""));
    serving.stop().await;
}

#[tokio::test]
async fn garbage_and_ambiguous_requests_harm_nobody() {
    let (mut serving, public) = serve().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let garbage: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 5_000],
        (0..=255).cycle().take(10_000).collect(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\r\n\r\n".to_vec(),
        b"\r\n\r\n\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n".to_vec(),
        [http2::PREFACE, &[0xff; 200]].concat(),
        [http2::PREFACE, http2::SETTINGS, b"\x00\x00\x05\x01\x05\x00\x00\x00\x01\xff\xff\xff\xff\xff"].concat(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{form}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef").into(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{form}Content-Length: -1\r\n\r\n").into(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{form}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{form}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n").into(),
        format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{form}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n").into(),
    ];
    let mut clients = JoinSet::new();
    for bytes in garbage {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(public).await.unwrap();
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(!said.starts_with("HTTP/1.1 5"), "{said} for {}", String::from_utf8_lossy(&bytes));
        });
    }
    clients.join_all().await;
    // Two lengths for one body are how a request is smuggled past a proxy: RFC 9112 §6.1 wants the connection closed after it.
    let smuggling = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{form}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let reply = tcp::exchange(public, smuggling.as_bytes()).await.unwrap();
    assert_eq!(reply.status, 401, "the empty form is refused for its own sake");
    assert!(!reply.body.contains("\"status\":\"ok\""), "{reply:?}");
    assert_eq!(tcp::get(public, "/health/live").await.unwrap().status, 200);
    assert!(!serving.output().contains("panicked"), "{}", serving.output());
    serving.stop().await;
}

/// Connections that say nothing.
async fn silent(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(TcpStream::connect(to).await.unwrap());
    }
    open
}

/// `keystead serve` under a limit of open files, set as `ulimit` takes it.
fn serve_within(limit: &str, url: &str) -> Running {
    let command = format!("ulimit {limit}; exec \"$0\" serve");
    let arguments = ["-c", &command, env!("CARGO_BIN_EXE_keystead")];
    Program::other(std::path::Path::new("/bin/sh"), &arguments).with_settings(url).start()
}

#[tokio::test]
async fn a_low_soft_limit_of_open_files_is_raised() {
    let url = database::fresh().await;
    let mut serving = serve_within("-Sn 64", &url);
    let (public, admin) = serving.serves_at().await;
    let _silent = silent(public, 200).await;
    tcp::answers(public, "/health/live", 200, Duration::from_secs(3)).await;
    tcp::answers(admin, "/health/ready", 200, Duration::from_secs(3)).await;
    serving.stop().await;
}

#[tokio::test]
async fn silent_connections_take_no_file_from_the_database_and_from_operators_and_make_way_in_time() {
    let url = database::fresh().await;
    let mut serving = serve_within("-n 256", &url);
    let (public, admin) = serving.serves_at().await;
    let _silent = silent(public, 300).await;
    tcp::answers(admin, "/health/ready", 200, Duration::from_secs(3)).await;
    assert!(serving.output().contains("as many connections are open as may be"), "{}", serving.output());
    assert!(!serving.output().contains("could not be accepted"), "{}", serving.output());
    tcp::answers(public, "/health/live", 200, Duration::from_secs(25)).await;
    serving.stop().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nobody() {
    let url = database::fresh().await;
    let mut serving = Program::configured(&["serve"], &url).start();
    let (public, admin) = serving.serves_at().await;
    serving.stop_reading();
    // More lines than a pipe and the queue hold.
    let many = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20_000);
    let (mut read, mut write) = TcpStream::connect(public).await.unwrap().into_split();
    let asking = tokio::spawn(async move {
        let last = "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        write.write_all([&many, last].concat().as_bytes()).await.unwrap();
        write
    });
    let mut said = String::new();
    tokio::time::timeout(Duration::from_mins(1), read.read_to_string(&mut said)).await.expect("all answers").unwrap();
    drop(asking.await.unwrap());
    assert_eq!(said.matches("HTTP/1.1 200").count(), 20_001);
    let metrics = tcp::get(admin, "/metrics").await.unwrap();
    let dropped = metrics.body.lines().find_map(|line| line.strip_prefix("keystead_log_lines_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{dropped:?}");
    let started = Instant::now();
    serving.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
