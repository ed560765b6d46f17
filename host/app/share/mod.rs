//! Health checks of shares on demand, as zrok's agent does them: the same questions, the same
//! sentences for what goes wrong, and nothing that reaches another host or port than the share's.
//!
//! | file | what |
//! | --- | --- |
//! | `url.rs` | target and endpoint put together, as Go reads URLs |
//! | `ask.rs` | the request itself, with redirects within the target's origin |
//! | `sentence.rs` | failures in the words of Go's HTTP client |
//! | `wire.rs` | questions and verdicts as JSON |
//! | `remote.rs` | the same question to another instance |
//!
//! Used by the server's route and by `wellcheck agent share`.

mod ask;
mod remote;
mod sentence;
mod url;
mod wire;

use std::time::Duration;

use wellcheck_core::share::{Backend, Sharing};
use wellcheck_net::Tls;
use wellcheck_net::http::Client;

pub(crate) use self::remote::{Peer, RELAYED, longest, relay};
pub(crate) use self::sentence::quoted;
pub(crate) use self::wire::{MEDIA_TYPE, question, verdict};
use crate::checks::Tools;

/// What applies where a question names no time.
const STANDARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that a question may take.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest error that is passed on, in bytes.
const MAX_ERROR: usize = 4 * 1024;

/// What is asked about a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// Which instance has the share; empty for the one that is asked.
    pub(crate) environment: String,
    /// The share.
    pub(crate) share: String,
    /// The method of the request; empty for `GET`.
    pub(crate) verb: String,
    /// What is put behind the target.
    pub(crate) endpoint: String,
    /// The code that is healthy.
    pub(crate) expected: u32,
    /// As asked, in milliseconds; 0 for the standard one.
    pub(crate) timeout_ms: u64,
}

impl Question {
    /// How long the answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        match self.timeout_ms {
            0 => STANDARD_TIMEOUT,
            ms => Duration::from_millis(ms).min(MAX_TIMEOUT),
        }
    }
}

/// Healthy, or a sentence that says why not.
pub(crate) type Verdict = Result<(), String>;

/// What questions need besides the configuration; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    client: Client,
    trusting_system: Tls,
    trusting_anyone: Tls,
}

impl Asker {
    /// Shares connections' settings with the built-in kinds.
    pub(crate) fn new(tools: &Tools) -> Self {
        Self {
            client: tools.client.clone(),
            trusting_system: tools.tls_system.clone(),
            trusting_anyone: tools.tls_anyone.clone(),
        }
    }

    /// Looks at a share of this instance, once.
    pub(crate) async fn ask(&self, sharing: &Sharing, question: &Question) -> Verdict {
        let token = &question.share;
        let share =
            sharing.share(token).ok_or_else(|| format!("share '{token}' not found in agent"))?;
        let Backend::Proxy { target, tls_verify } = &share.backend else {
            let mode = share.backend.as_str();
            return Err(format!("cannot perform http healthcheck on '{mode}' share '{token}'"));
        };
        let tls = if *tls_verify { &self.trusting_system } else { &self.trusting_anyone };
        ask::ask(&self.client, tls, target, question).await
    }
}

/// An error that is fit to be passed on: of a bounded length.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_ERROR {
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        text.push('…');
    }
    text
}
