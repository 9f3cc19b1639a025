//! The log: one line an event on standard error. Requests hand their lines over and never wait for who reads them.

use std::fmt::{self, Debug, Write as _};
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Bytes that wait while their reader rests: some ten thousand lines.
const MOST_WAITING: usize = 2 << 20;
/// Lines are gathered this long: one write of many is cheaper than many of one.
const GATHERING: Duration = Duration::from_millis(5);
/// At the end a reader that rests is waited for this long.
const LAST_WAIT: Duration = Duration::from_secs(1);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lines that were dropped since the start because nobody took them.
pub(super) fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Writes the log until it is dropped; then what still waits is written, and later lines are written at once.
pub struct LogWriter {
    queue: Queue,
    thread: JoinHandle<()>,
}

/// Starts to write the log. When nobody takes it and the queue is full, lines are dropped and counted. In a process that logs already
/// this changes nothing.
#[must_use = "the log ends with it"]
pub fn start_log(json: bool, filter: Targets) -> LogWriter {
    let queue = Queue::default();
    let lines = queue.clone();
    let log = tracing_subscriber::registry().with(discreet(filter));
    let started = if json {
        log.with(JsonLines(lines)).try_init()
    } else {
        let text = tracing_subscriber::fmt::layer().with_writer(move || lines.clone());
        log.with(text.with_target(false).with_ansi(io::stderr().is_terminal()).compact()).try_init()
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a thread panicked")));
    }
    let taking = queue.clone();
    LogWriter { queue, thread: thread::spawn(move || taking.write_to(io::stderr())) }
}

/// Below warnings h2 prints addresses and headers of requests, and with them tokens that were misplaced there (SECURITY 71).
fn discreet(filter: Targets) -> Targets {
    let default = filter.default_level().unwrap_or(LevelFilter::OFF);
    let others = filter.into_iter().filter(|(target, _)| !target.starts_with("h2"));
    others.collect::<Targets>().with_default(default).with_target("h2", LevelFilter::WARN)
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.queue.close();
        let deadline = Instant::now() + LAST_WAIT;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Lines on their way from requests to the thread that writes them.
#[derive(Clone, Default)]
struct Queue(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: Mutex<Vec<u8>>,
    /// There is something to write.
    filled: Condvar,
    closed: AtomicBool,
}

impl Queue {
    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        // Whole lines are appended or nothing, so a panic elsewhere leaves them as they must be.
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lines();
        if self.0.closed.load(Ordering::Relaxed) {
            drop(lines);
            // What is told on the way out nobody waits for, and there is nobody left to tell when it cannot be written.
            let _ = io::stderr().write_all(line);
            return;
        }
        if lines.len() + line.len() > MOST_WAITING {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = lines.is_empty();
        lines.extend_from_slice(line);
        drop(lines);
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    fn close(&self) {
        let lines = self.lines();
        self.0.closed.store(true, Ordering::Relaxed);
        drop(lines);
        self.0.filled.notify_one();
    }

    /// Writes whatever comes until the queue is closed and empty.
    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let waiting = |lines: &mut Vec<u8>| lines.is_empty() && !self.0.closed.load(Ordering::Relaxed);
            drop(self.0.filled.wait_while(self.lines(), waiting).unwrap_or_else(PoisonError::into_inner));
            let closed = self.0.closed.load(Ordering::Relaxed);
            if !closed {
                thread::sleep(GATHERING);
            }
            std::mem::swap(&mut taken, &mut *self.lines());
            if taken.is_empty() && closed {
                return;
            }
            if out.write_all(&taken).is_err() {
                // Whoever read it has gone; there is nobody to tell.
                let lines = taken.split_inclusive(|byte| *byte == b'\n').count();
                DROPPED.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            taken.clear();
        }
    }
}

/// As the formatter of text writes: one call for each line.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes events as JSON objects. The formatter of tracing-subscriber took a sixth of the instructions of a short request.
struct JsonLines(Queue);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.push(json_line(event).as_bytes());
    }
}

fn json_line(event: &Event<'_>) -> String {
    let mut line = String::with_capacity(256);
    line.push_str("{\"timestamp\":\"");
    // Writing into a String does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut line));
    line.push_str("\",\"level\":\"");
    line.push_str(event.metadata().level().as_str());
    line.push('"');
    event.record(&mut Members(&mut line));
    line.push_str("}\n");
    line
}

/// Appends each field as a member.
struct Members<'a>(&'a mut String);

impl Members<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push_str(",\"");
        self.0.push_str(field.name());
        self.0.push_str("\":");
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        self.0.push('"');
        let _ = Escaped(self.0).write_fmt(value);
        self.0.push('"');
    }

    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        let _ = self.0.write_fmt(value);
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }
}

/// The inside of a JSON string (RFC 8259 §7).
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let must_be_escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        if !text.bytes().any(must_be_escaped) {
            self.0.push_str(text);
            return Ok(());
        }
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                '\n' => self.0.push_str("\\n"),
                ..' ' => write!(self.0, "\\u{:04x}", u32::from(letter))?,
                _ => self.0.push(letter),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn logged(write: impl FnOnce()) -> Vec<Value> {
        let queue = Queue::default();
        let log = tracing_subscriber::registry().with(JsonLines(queue.clone()));
        tracing::subscriber::with_default(log, write);
        let text = String::from_utf8(std::mem::take(&mut *queue.lines())).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_event_is_one_json_object() {
        let odd = "a \"quote\", a \\, a\nline, a \u{1} and a \u{fc}";
        let lines = logged(|| {
            tracing::info!(route = "/x", status = 200u16, took = -3, fine = true, "request");
            tracing::error!(error = odd, shown = %odd, debug = ?Some(odd), "it \"broke\"");
        });
        let mut first = lines[0].clone();
        let at = first.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(
            at.as_str().unwrap().len() == "2026-11-21T12:00:00.000000Z".len() && at.as_str().unwrap().ends_with('Z')
        );
        assert_eq!(
            first,
            json!({ "level": "INFO", "message": "request", "route": "/x", "status": 200, "took": -3, "fine": true })
        );
        assert_eq!(lines[1]["error"], odd);
        assert_eq!(lines[1]["shown"], odd);
        assert_eq!(lines[1]["debug"], format!("{:?}", Some(odd)));
        assert_eq!((&lines[1]["level"], &lines[1]["message"]), (&json!("ERROR"), &json!("it \"broke\"")));
    }

    #[test]
    fn no_filter_makes_the_http2_library_talk() {
        let filter = discreet("trace,h2=trace,h2::server=debug,keystead::http=warn".parse().unwrap());
        let shows = |target, level| filter.would_enable(target, &level);
        assert!(!shows("h2::server", tracing::Level::INFO) && shows("h2::server", tracing::Level::WARN));
        assert!(shows("sqlx", tracing::Level::TRACE) && !shows("keystead::http::site", tracing::Level::INFO));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_one_by_one() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = Queue::default();
        queue.push(b"one\n");
        queue.push(b"two\n");
        queue.close();
        let before = dropped_lines();
        queue.write_to(Broken);
        assert!(dropped_lines() >= before + 2);
        queue.push(b"a line after the end of the log, written at once\n");
        assert!(queue.lines().is_empty(), "nobody would take it any more");
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_taken_comes_whole_and_in_order() {
        let queue = Queue::default();
        let line = [b'x'; 1024];
        for _ in 0..MOST_WAITING / line.len() + 10 {
            queue.push(&line);
        }
        assert_eq!(queue.lines().len(), MOST_WAITING);
        queue.lines().clear();
        let expected: Vec<String> = (0..1000).map(|number| format!("{number}\n")).collect();
        for line in &expected {
            queue.push(line.as_bytes());
        }
        queue.close();
        let mut out = Vec::new();
        queue.write_to(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected.concat());
    }
}
