//! Fake HTTP targets, as builders: they answer in a sequence, or misbehave on purpose.
//!
//! `target::http().status(503).then().status(200).start()` answers 503 once and 200 from then on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::wait::{LIMIT, pause};

/// What a target does with one request.
#[derive(Debug, Clone)]
enum Reply {
    Answer(Answer),
    /// Reads, and says nothing.
    Silent,
    /// Something that is not HTTP.
    Garbage,
    /// A body that never ends.
    EndlessBody,
    /// To the next path, for ever.
    EndlessRedirects,
    /// A byte now and then, for ever.
    Trickle,
    /// Closes without a word.
    CloseEarly,
    /// The request, as the body.
    Mirror,
}

#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    delay: Duration,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), delay: Duration::ZERO }
    }
}

/// A target before it starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Builder {
    replies: Vec<Reply>,
}

/// A target that speaks HTTP.
pub(crate) fn http() -> Builder {
    Builder::default()
}

impl Builder {
    fn reply(mut self, reply: Reply) -> Self {
        self.replies.push(reply);
        self
    }

    /// Answers with this status; the last reply of a sequence goes on for ever.
    pub(crate) fn status(self, status: u16) -> Self {
        self.reply(Reply::Answer(Answer::new(status)))
    }

    /// So many more answers like the last one.
    pub(crate) fn times(mut self, count: usize) -> Self {
        let last = self.replies.last().expect("a reply comes first").clone();
        self.replies.extend(std::iter::repeat_n(last, count.saturating_sub(1)));
        self
    }

    fn last(&mut self) -> &mut Answer {
        if self.replies.is_empty() {
            self.replies.push(Reply::Answer(Answer::new(200)));
        }
        match self.replies.last_mut() {
            Some(Reply::Answer(answer)) => answer,
            other => panic!("{other:?} has no headers, body or delay"),
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.last().body);
        self
    }

    /// A header of the last answer.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.last().headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long the last answer takes.
    pub(crate) fn delay(mut self, delay: Duration) -> Self {
        self.last().delay = delay;
        self
    }

    pub(crate) fn silent(self) -> Self {
        self.reply(Reply::Silent)
    }

    pub(crate) fn garbage(self) -> Self {
        self.reply(Reply::Garbage)
    }

    pub(crate) fn endless_body(self) -> Self {
        self.reply(Reply::EndlessBody)
    }

    pub(crate) fn endless_redirects(self) -> Self {
        self.reply(Reply::EndlessRedirects)
    }

    pub(crate) fn trickle(self) -> Self {
        self.reply(Reply::Trickle)
    }

    pub(crate) fn close_early(self) -> Self {
        self.reply(Reply::CloseEarly)
    }

    pub(crate) fn mirror(self) -> Self {
        self.reply(Reply::Mirror)
    }

    pub(crate) fn start(mut self) -> Target {
        if self.replies.is_empty() {
            self = self.status(200);
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { replies: Mutex::new(self.replies), ..Shared::default() });
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || theirs.accept(&listener));
        Target { address, shared }
    }
}

#[derive(Debug, Default)]
struct Shared {
    replies: Mutex<Vec<Reply>>,
    /// Heads and bodies, in the order of their arrival.
    requests: Mutex<Vec<String>>,
    /// Connections that hear nothing.
    waiting: Mutex<Vec<TcpStream>>,
    now: AtomicUsize,
    most: AtomicUsize,
    stopped: AtomicBool,
}

/// A target that runs; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Target {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it does what `builder` says.
    pub(crate) fn becomes(&self, builder: Builder) {
        *lock(&self.shared.replies) = builder.replies;
    }

    /// Requests so far.
    pub(crate) fn count(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }

    /// Most requests that were under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        lock(&self.shared.waiting).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.serve(stream));
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(LIMIT));
        let _ = stream.set_write_timeout(Some(LIMIT));
        let Some(request) = read_request(&mut stream) else { return };
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        lock(&self.requests).push(request.clone());
        let reply = {
            let mut replies = lock(&self.replies);
            if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() }
        };
        if matches!(reply, Reply::Silent) {
            lock(&self.waiting).push(stream);
        } else {
            // The other side may go away at any time.
            let _ = self.reply(&mut stream, &reply, &request);
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn reply(&self, stream: &mut TcpStream, reply: &Reply, request: &str) -> std::io::Result<()> {
        let running = || !self.stopped.load(Ordering::SeqCst);
        match reply {
            Reply::Silent | Reply::CloseEarly => Ok(()),
            Reply::Garbage => stream.write_all(b"\x16\x03\x01 220 this is another protocol\r\n"),
            Reply::Mirror => {
                let text = Answer { body: request.to_owned(), ..Answer::new(200) };
                stream.write_all(&text.bytes())
            }
            Reply::Answer(answer) => {
                pause(answer.delay);
                stream.write_all(&answer.bytes())
            }
            Reply::EndlessRedirects => {
                let next = self.requests.lock().map_or(0, |list| list.len());
                let answer = Answer {
                    headers: vec![("Location".to_owned(), format!("/next-{next}"))],
                    ..Answer::new(302)
                };
                stream.write_all(&answer.bytes())
            }
            Reply::EndlessBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                let chunk = [b'y'; 16 * 1024];
                while running() {
                    stream.write_all(&chunk)?;
                }
                Ok(())
            }
            Reply::Trickle => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                while running() {
                    stream.write_all(b"z")?;
                    pause(Duration::from_millis(20));
                }
                Ok(())
            }
        }
    }
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "HTTP/1.1 {} Scripted\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            self.body.len()
        );
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        text.extend(headers);
        (text + "\r\n" + &self.body).into_bytes()
    }
}

/// A head, and as much of a body as it announces.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
            let whole = if chunked {
                body.ends_with("0\r\n\r\n")
            } else {
                body.len() >= length.unwrap_or(0)
            };
            if whole {
                return Some(text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
