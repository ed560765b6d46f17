//! The kind `udp`: sends a datagram and judges what comes back, or that nothing does.
//!
//! UDP knows no connection: that somebody listens shows in an answer only. That nobody does, the
//! other machine says by itself (ICMP), unless something under way keeps that back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::fact::{Asked, FactKey, Shape, fact};
use wellcheck_core::outcome::{Answer, FailReason, Report};
use wellcheck_net::{Datagrams, Failure, FailureKind, Phase, Trace};

use super::datagram::{DatagramCheck, Goal, Talk};
use super::http::contains;
use super::socket::{FAMILY_KEY, shown};
use super::{Checker, Kind, Tools};

/// Largest datagram.
const MAX_DATAGRAM: usize = 65_507;

const KEYS: &[Key] = &[
    key("target", "", "target = \"syslog.internal:514\"", "Where to: host and port."),
    key("send", "an empty datagram", "send = \"ping\\n\"", "What to send, as text."),
    key("send-hex", "nothing", "send-hex = \"ff ff ff ff 54\"", "Likewise, as bytes."),
    key(
        "expect",
        "nothing",
        "expect = \"pong\"",
        "A text that the answer must contain, or the check fails with `unexpected-body`.",
    ),
    key("expect-hex", "nothing", "expect-hex = \"ff ff ff ff\"", "Likewise, as bytes."),
    key(
        "silence",
        "\"fail\" where something is expected, else \"pass\"",
        "silence = \"fail\"",
        "What it means if nothing comes back: `pass` or `fail` (with `timeout`).",
    ),
    key(
        "wait",
        "\"1s\"",
        "wait = \"200ms\"",
        "How long to wait for an answer, or for a refusal, where silence passes; 1ms to 1m, and never longer than the timeout.",
    ),
    FAMILY_KEY,
];

const FACTS: &[FactKey] = &[
    fact("answered", Shape::Boolean, "Whether anything came back."),
    fact("body", Shape::Text, "What came back, as text."),
    fact("body.size", Shape::Size, "How much came back."),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Udp;

impl Kind for Udp {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn summary(&self) -> &'static str {
        "sends a datagram; judges the answer, or that there is none"
    }

    fn target_key(&self) -> &'static str {
        "target"
    }

    fn keys(&self) -> &'static [&'static [Key]] {
        &[KEYS]
    }

    fn facts(&self) -> &'static [&'static [FactKey]] {
        &[FACTS]
    }

    fn example(&self) -> &'static str {
        r#"[[check]]
name = "game"
kind = "udp"
target = "game.example.com:27015"
send-hex = "ff ff ff ff 54 53 6f 75 72 63 65 20 45 6e 67 69 6e 65 20 51 75 65 72 79 00"
expect-hex = "ff ff ff ff"
"#
    }

    fn parse(
        &self,
        reader: &mut Reader,
        tools: &Tools,
        problems: &mut Problems,
    ) -> Option<Arc<dyn Checker>> {
        let goal = Goal::read(reader, None, problems);
        let send = bytes(reader, "send", "send-hex", problems);
        let expect = bytes(reader, "expect", "expect-hex", problems);
        let silence = reader.word("silence", &[("pass", true), ("fail", false)], problems);
        let had_wait = reader.has("wait");
        let bounds = Duration::from_millis(1)..=Duration::from_secs(60);
        let wait = reader.duration("wait", bounds, problems).unwrap_or(Duration::from_secs(1));
        let may_be_silent = silence.unwrap_or(expect.is_none());
        if had_wait && !may_be_silent {
            let text = format!("`wait` of {} has no effect where silence fails", reader.what());
            problems.warning(&reader.place_of("wait"), text);
        }
        let exchange = Exchange {
            send: send.unwrap_or_default(),
            expect,
            silence: may_be_silent.then_some(wait),
        };
        Some(Arc::new(DatagramCheck::new(tools, goal?, exchange)))
    }
}

/// Bytes that are given as text or in hexadecimal digits.
fn bytes(
    reader: &mut Reader,
    text_key: &str,
    hex_key: &str,
    problems: &mut Problems,
) -> Option<Vec<u8>> {
    let what = reader.what().to_owned();
    let text = reader.parsed(text_key, problems, |text| match text.value.len() {
        0..=MAX_DATAGRAM => Ok(text.value.clone().into_bytes()),
        length => Err(format!("it has {length} bytes (expected at most {MAX_DATAGRAM})")),
    });
    let hex = reader.parsed(hex_key, problems, |text| {
        let bytes = unhex(&text.value).filter(|bytes| bytes.len() <= MAX_DATAGRAM);
        bytes.ok_or_else(|| {
            "it is not bytes in hexadecimal digits (expected for example `ff ff 54`)".to_owned()
        })
    });
    if text.is_some() && hex.is_some() {
        problems.error(
            &reader.place_of(hex_key),
            format!("`{hex_key}` of {what} stands beside `{text_key}` (expected one of them)"),
        );
    }
    hex.or(text)
}

/// Pairs of digits, with or without spaces and colons between.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ' ' | ':' | '\n' | '\t'))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let whole = pairs.remainder().is_empty();
    let bytes = pairs.map(|pair| pair[0] << 4 | pair[1]).collect();
    whole.then_some(bytes)
}

struct Exchange {
    send: Vec<u8>,
    expect: Option<Vec<u8>>,
    /// How long to wait, where silence passes.
    silence: Option<Duration>,
}

impl Talk for Exchange {
    fn talk<'a>(
        &'a self,
        socket: &'a Datagrams,
        name: &'a str,
        trace: &'a mut Trace,
        asked: &'a Asked,
    ) -> BoxFuture<'a, Result<Report, Failure>> {
        async move {
            let mut buffer = vec![0; MAX_DATAGRAM];
            let work = async {
                socket.send(&self.send).await?;
                match self.silence {
                    None => socket.hear(&mut buffer).await.map(Some),
                    Some(wait) => {
                        let until = Instant::now() + wait;
                        timeout_at(until, socket.hear(&mut buffer)).await.ok().transpose()
                    }
                }
            };
            let doing = || format!("waiting for an answer from `{name}`");
            let heard = match trace.stage(Phase::Wait, doing, work).await {
                Err(failure) if failure.kind == FailureKind::Timeout && self.silence.is_some() => {
                    None
                }
                heard => heard?,
            };
            let answer = heard.map(|count| &buffer[..count]);
            let mut report = self.judge(answer);
            let found = &mut report.found;
            if !asked.is_empty() {
                found.put("answered", answer.is_some());
                found.put("body.size", answer.map_or(0, |answer| answer.len() as i64));
            }
            if asked.has("body") {
                found.put("body", String::from_utf8_lossy(answer.unwrap_or_default()).into_owned());
            }
            Ok(report)
        }
        .boxed()
    }
}

impl Exchange {
    fn judge(&self, answer: Option<&[u8]>) -> Report {
        let Some(answer) = answer else {
            return Report::new(Answer::Pass, "sent; nobody answered or refused".to_owned());
        };
        match &self.expect {
            Some(expect) if !contains(answer, expect) => Report::fail(
                FailReason::UnexpectedBody,
                format!("the answer does not contain `{}`: `{}`", shown(expect), shown(answer)),
            ),
            _ => Report::new(Answer::Pass, format!("answered `{}`", shown(answer))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_have_spaces_between() {
        assert_eq!(unhex("ff:00 1A").as_deref(), Some(&[0xff, 0, 0x1a][..]));
        assert_eq!(unhex("").as_deref(), Some(&[][..]));
        for bad in ["f", "fg", "0xff", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
