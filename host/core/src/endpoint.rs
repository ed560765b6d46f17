//! Endpoints: which checks a path answers for, in which format, with which codes, how much it tells,
//! and where it listens.

use std::net::SocketAddr;

use crate::config::tree::{Place, Text};
use crate::id::CheckName;
use crate::status::Status;

/// What the listener of `[server]` is called.
pub const MAIN: &str = "main";

/// `[[endpoint]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSpec {
    /// Begins with `/`; unique for each listener.
    pub path: String,
    /// The place of the format in [`crate::format::FORMATS`]; `None` lets the client choose.
    pub format: Option<usize>,
    /// What it answers for.
    pub pick: Pick,
    /// Codes other than the format's own.
    pub codes: Codes,
    /// How much it tells to everybody.
    pub detail: Detail,
    /// How much it tells to those who come with a token.
    pub detail_with_token: Detail,
    /// Whether, in the format `genesis`, a check in maintenance counts as healthy.
    pub standby_is_healthy: bool,
    /// The name of the `[[listen]]` that serves it; every one that is for HTTP if there is none.
    pub listener: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// Which checks and groups an endpoint answers for: those that are named and those that have one of
/// the tags, without those that are excluded. With neither names nor tags, all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pick {
    /// Checks or groups, by name.
    pub names: Vec<CheckName>,
    /// Checks and groups with one of these.
    pub tags: Vec<String>,
    /// Checks or groups that are left out, by name.
    pub exclude: Vec<CheckName>,
}

impl Pick {
    /// Whether it is all.
    pub fn is_all(&self) -> bool {
        self.names.is_empty() && self.tags.is_empty() && self.exclude.is_empty()
    }
}

/// HTTP status codes for states, where they differ from the format's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Codes {
    /// In the order of [`Status::ALL`].
    by_status: [Option<u16>; Status::ALL.len()],
}

impl Codes {
    /// The code for a state, if it is given.
    pub fn get(&self, status: Status) -> Option<u16> {
        self.by_status[status as usize]
    }

    /// Gives a code for a state.
    pub fn set(&mut self, status: Status, code: u16) {
        self.by_status[status as usize] = Some(code);
    }
}

/// How much an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detail {
    /// The state of all, and nothing else.
    None,
    /// Also the names and states of checks and groups.
    Names,
    /// Everything: messages, targets, observations, notes.
    #[default]
    All,
}

impl Detail {
    /// Every choice, with its word in the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("names", Self::Names), ("all", Self::All)];
}

/// `[[listen]]`: a further address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSpec {
    /// What endpoints call it.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// Paths of built-in routes that it serves; `None` is all of them. Endpoints are served besides.
    pub routes: Option<Vec<Text>>,
    /// Where it stands.
    pub place: Place,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// `grpc.health.v1`, over HTTP/2 without TLS.
    Grpc,
}

impl Protocol {
    /// Every protocol, with its word in the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("http", Self::Http), ("grpc", Self::Grpc)];
}
