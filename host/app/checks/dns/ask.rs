//! One question to one name server, over whichever transport, and the answer to it.
//!
//! An answer is one that has the number, the name, the type and the class of the question and
//! comes from whom was asked. Over UDP whatever else comes is passed over until the time is up, so
//! that nobody who guesses can end the wait; over TCP and TLS likewise, up to a bound in bytes.

use std::net::SocketAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;
use wellcheck_net::http::{Client, Request};
use wellcheck_net::{Dial, Failure, FailureKind, Family, Guard, Phase, Stream, Tls, Trace};

use super::super::database::{Trouble, Wire};
use super::super::socket::{dial, secure};
use super::answer::Seen;

/// Largest answer, in bytes: what the length before a message over TCP can say.
const MAX_MESSAGE: usize = 65_535;

/// What is offered to servers as the size of an answer over UDP: what passes everywhere whole.
const PAYLOAD: u16 = 1232;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/dns-message");

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
    Tls,
    Https,
}

impl Transport {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }

    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls => 853,
            Self::Https => 443,
        }
    }
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// A name or an address, IPv6 in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// For messages.
    pub(super) name: String,
    /// Where over HTTPS.
    pub(super) url: Option<Url>,
}

/// What is asked, and how.
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) class: DNSClass,
    pub(super) recursion: bool,
    pub(super) dnssec: bool,
    pub(super) transport: Transport,
    /// Whether a cut answer over UDP is asked for again over TCP.
    pub(super) fallback: bool,
    /// How often it is sent over UDP.
    pub(super) attempts: u32,
    pub(super) family: Family,
    pub(super) tls: Tls,
}

impl Question {
    /// A server of the system.
    pub(super) fn server(&self, address: SocketAddr) -> Server {
        let host = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Server { host, port: address.port(), name: address.to_string(), url: None }
    }

    /// Asks.
    pub(super) async fn ask(
        &self,
        client: &Client,
        server: &Server,
        trace: &mut Trace,
    ) -> Result<Seen, Failure> {
        let (message, transport) = match self.transport {
            Transport::Udp => {
                let message = self.over_udp(client, server, trace).await?;
                if message.metadata.truncation && self.fallback {
                    (self.over_tcp(client, server, trace).await?, Transport::Tcp)
                } else {
                    (message, Transport::Udp)
                }
            }
            Transport::Tcp | Transport::Tls => {
                (self.over_tcp(client, server, trace).await?, self.transport)
            }
            Transport::Https => (self.over_https(client, server, trace).await?, Transport::Https),
        };
        if message.metadata.truncation && transport != Transport::Udp {
            let text = format!("`{}` cuts its answer where there is room for it", server.name);
            return Err(Failure::new(FailureKind::Protocol, text));
        }
        Ok(Seen::read(&message, self.kind, transport.as_str()))
    }

    /// The question with this number, in its bytes.
    fn bytes(&self, id: u16) -> Result<Vec<u8>, Failure> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursion;
        message.metadata.authentic_data = self.dnssec;
        let mut query = Query::query(self.name.clone(), self.kind);
        query.set_query_class(self.class);
        message.add_query(query);
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD).set_version(0).set_dnssec_ok(self.dnssec);
        message.set_edns(edns);
        message.to_vec().map_err(|error| {
            Failure::new(FailureKind::Request, format!("the question cannot be sent: {error}"))
        })
    }

    /// The answer to the question of this number, if it is one; else why not.
    fn answer(&self, bytes: &[u8], id: u16) -> Result<Message, &'static str> {
        // Whoever floods us with other numbers is read no further.
        if bytes.get(..2) != Some(&id.to_be_bytes()) {
            return Err("its number is another question's");
        }
        let message = Message::from_vec(bytes).map_err(|_broken| "it is no message of DNS")?;
        let head = &message.metadata;
        if head.message_type != MessageType::Response || head.op_code != OpCode::Query {
            return Err("it is not an answer");
        }
        let is_ours = |query: &Query| {
            query.name == self.name
                && query.query_type == self.kind
                && query.query_class == self.class
        };
        match &*message.queries {
            [query] if is_ours(query) => Ok(message),
            // Who could not read the question does not repeat it.
            [] if head.response_code != ResponseCode::NoError => Ok(message),
            _ => Err("it is for another question"),
        }
    }

    async fn over_udp(
        &self,
        client: &Client,
        server: &Server,
        trace: &mut Trace,
    ) -> Result<Message, Failure> {
        let Server { host, port, name, .. } = server;
        let dial = Dial { host, port: *port, family: self.family, guard: &Guard::allow_all() };
        let socket = client.connector().udp(&dial, trace).await?;
        let id = random();
        let question = self.bytes(id)?;
        let mut other = None;
        let mut buffer = vec![0; MAX_MESSAGE];
        let share = trace.deadline().saturating_duration_since(Instant::now()) / self.attempts;
        let work = async {
            for attempt in 1..=self.attempts {
                socket.send(&question).await?;
                let hear = async {
                    loop {
                        let count = socket.hear(&mut buffer).await?;
                        match self.answer(&buffer[..count], id) {
                            Ok(message) => return Ok(message),
                            Err(why) => other = Some(why),
                        }
                    }
                };
                if attempt == self.attempts {
                    return hear.await;
                }
                if let Ok(heard) = timeout(share, hear).await {
                    return heard;
                }
            }
            unreachable!("there is at least one attempt, and the last returns")
        };
        let heard = trace.stage(Phase::Wait, || format!("waiting for an answer of `{name}`"), work);
        heard.await.map_err(|failure| match other {
            Some(why) if failure.kind == FailureKind::Timeout => {
                failure.with_note(format_args!("something else came: {why}"))
            }
            _ => failure,
        })
    }

    async fn over_tcp(
        &self,
        client: &Client,
        server: &Server,
        trace: &mut Trace,
    ) -> Result<Message, Failure> {
        let Server { host, port, name, .. } = server;
        let tcp = dial(client.connector(), host, *port, self.family, trace).await?;
        let stream = match self.transport {
            Transport::Tls => secure(tcp, &self.tls, host, &[b"dot"], trace).await?,
            _ => Stream::Plain(tcp),
        };
        let id = random();
        let question = self.bytes(id)?;
        let length = u16::try_from(question.len()).expect("a question has a few hundred bytes");
        let mut wire = Wire::new(stream, name);
        let work = async {
            wire.write(&[&length.to_be_bytes(), &*question].concat()).await?;
            loop {
                let length = u16::from_be_bytes(wire.array().await?);
                let bytes = wire.bytes(length.into()).await?;
                if let Ok(message) = self.answer(&bytes, id) {
                    return Ok(message);
                }
            }
        };
        let work = async {
            work.await.map_err(|trouble| match trouble {
                Trouble::Failure(failure) => failure,
                Trouble::Answer(_, text) => Failure::new(FailureKind::Protocol, text),
            })
        };
        let doing = || format!("waiting for an answer of `{name}`");
        trace.stage(Phase::Wait, doing, work).await
    }

    async fn over_https(
        &self,
        client: &Client,
        server: &Server,
        trace: &mut Trace,
    ) -> Result<Message, Failure> {
        let name = &server.name;
        let url = server.url.clone().expect("the keys give each server over HTTPS a URL");
        let mut request = Request::new(Method::POST, url, self.tls.clone());
        request.headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        request.headers.insert(ACCEPT, MEDIA_TYPE);
        // RFC 8484: the number is 0, for the sake of caches.
        request.body = self.bytes(0)?.into();
        request.body_limit = MAX_MESSAGE;
        request.family = self.family;
        let exchange = client.fetch(&request, trace.deadline()).await;
        trace.phases = exchange.phases;
        trace.peer = exchange.peer;
        trace.tried = exchange.first.address;
        trace.certificate = exchange.certificate;
        trace.tls_version = exchange.tls_version;
        trace.tls_cipher = exchange.tls_cipher;
        trace.tls_verified = exchange.tls_verified;
        let broken = |text: String| Failure::new(FailureKind::Protocol, text);
        let answer = exchange.result?;
        if answer.status != StatusCode::OK {
            return Err(broken(format!("`{name}` answers {} to a question", answer.status)));
        }
        if answer.headers.get(CONTENT_TYPE) != Some(&MEDIA_TYPE) {
            return Err(broken(format!(
                "`{name}` answers with something else than `application/dns-message`"
            )));
        }
        let read = self.answer(&answer.body, 0);
        read.map_err(|why| broken(format!("what `{name}` answers is no answer: {why}")))
    }
}

fn random() -> u16 {
    let mut bytes = [0; 2];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has random numbers");
    u16::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            name: Name::from_ascii("Shop.example.com.").expect("a name"),
            kind: RecordType::A,
            class: DNSClass::IN,
            recursion: true,
            dnssec: false,
            transport: Transport::Udp,
            fallback: true,
            attempts: 1,
            family: Family::Any,
            tls: Tls::new(wellcheck_net::TlsOptions::default()).expect("TLS"),
        }
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let question = question();
        let bytes = question.bytes(7).expect("it can be sent");
        assert_eq!(question.answer(&bytes, 7).expect_err("the question"), "it is not an answer");
        let mut answer = Message::from_vec(&bytes).expect("readable").into_response();
        answer.metadata.message_type = MessageType::Response;
        let written = |answer: &Message| answer.to_vec().expect("it can be written");
        assert!(question.answer(&written(&answer), 7).is_ok());
        assert!(question.answer(&written(&answer), 8).is_err(), "another number");
        let mut lower = answer.clone();
        lower.queries[0].name = lower.queries[0].name.to_lowercase();
        assert!(question.answer(&written(&lower), 7).is_ok(), "names have no case");
        let mut other = answer.clone();
        other.queries[0].name = Name::from_ascii("shop.example.org.").expect("a name");
        assert!(question.answer(&written(&other), 7).is_err(), "another name");
        let mut other = answer.clone();
        other.queries[0].query_type = RecordType::AAAA;
        assert!(question.answer(&written(&other), 7).is_err(), "another type");
        let mut bare = answer.clone();
        bare.queries.clear();
        assert!(question.answer(&written(&bare), 7).is_err(), "no question");
        bare.metadata.response_code = ResponseCode::FormErr;
        assert!(question.answer(&written(&bare), 7).is_ok(), "it could not be read");
        assert!(question.answer(&written(&answer)[..20], 7).is_err(), "cut in two");
    }
}
