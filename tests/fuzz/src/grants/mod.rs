//! Grants and requests that nobody wrote: what is allowed must also be allowed by a second, naive
//! reading of the same grants, and the other way round.

mod naive;
mod words;

use std::net::{IpAddr, SocketAddr};

use arbitrary::{Result, Unstructured};
use wellcheck_core::grant::{Denial, GrantKind, Grants, HttpGrant, Protocol, is_public};

use self::words::Request;
use crate::host::CANARIES;
use crate::{Ended, shown};

/// Longest text of a denial, in bytes: each of its texts is cut at 200 characters and escaped.
const DENIAL: usize = 8 * 1024;

/// Reads grants and asks them questions, both from the input.
///
/// # Panics
/// When something does not hold that `README.md` lists.
pub fn grants(data: &[u8]) -> Ended {
    // Errors quote the text of a grant, which is no secret, even where it spells what is looked for.
    let spelt = |canary: &&str| data.windows(canary.len()).any(|part| part == canary.as_bytes());
    if CANARIES.iter().any(spelt) {
        return Ended::new("spells a canary");
    }
    ask(&mut Unstructured::new(data)).unwrap_or(Ended::new("no grants"))
}

fn ask(u: &mut Unstructured<'_>) -> Result<Ended> {
    let mine = granted(u)?;
    shows_itself(&mine);
    assert_eq!(mine.beyond(&mine), [], "grants are within themselves");

    // Something that is often wider or narrower.
    let mut other = granted(u)?;
    if u.arbitrary()? {
        other.http.extend(mine.http.iter().cloned());
        other.sockets.extend(mine.sockets.iter().cloned());
        other.dns.extend(mine.dns.iter().cloned());
        other.secrets.extend(mine.secrets.iter().cloned());
        other.checks.extend(mine.checks.iter().cloned());
        other.dirs.extend(mine.dirs.iter().cloned());
        other.env.extend(mine.env.iter().cloned());
        other.state = other.state.max(mine.state);
        assert_eq!(mine.beyond(&other), [], "more grants include fewer");
    }
    let wider = mine.beyond(&other).is_empty().then_some(&other);

    let mut allowed = 0;
    for _ in 0..u.int_in_range(1..=4)? {
        allowed += usize::from(requests(&mine, wider, u)?);
    }
    for _ in 0..u.int_in_range(1..=3)? {
        allowed += usize::from(sockets(&mine, wider, u)?);
        allowed += usize::from(names(&mine, wider, u)?);
    }
    Ok(Ended::new(match allowed {
        0 => "all denied",
        _ => "some allowed",
    }))
}

/// Grants of all kinds from texts, of which those count that are grants.
fn granted(u: &mut Unstructured<'_>) -> Result<Grants> {
    let mut grants = Grants::default();
    for _ in 0..u.int_in_range(1..=5)? {
        let kind = match u.ratio(1, 2)? {
            true => GrantKind::Http,
            false => *u.choose(&GrantKind::ALL)?,
        };
        let text = words::grant(kind, u)?;
        match grants.push(kind, &text) {
            Ok(()) => keeps_its_meaning(kind, &text, &grants),
            Err(error) => shown::text(&error.to_string(), DENIAL, "the error"),
        }
    }
    Ok(grants)
}

/// The grant that was made of a text means what the text says.
fn keeps_its_meaning(kind: GrantKind, text: &str, grants: &Grants) {
    let shown = match kind {
        GrantKind::Http => grants.http.last().map(HttpGrant::to_string),
        GrantKind::Sockets => grants.sockets.last().map(ToString::to_string),
        _ => return,
    };
    let shown = shown.expect("it was just added");
    let (before, after) = (naive::Grant::read(text), naive::Grant::read(&shown));
    assert_eq!(before, after, "`{text}` became `{shown}`");
}

/// Grants can be written down, and read again.
fn shows_itself(grants: &Grants) {
    let mut again = Grants::default();
    for (kind, text) in grants.list() {
        shown::text(&text, DENIAL, "a grant");
        let read = again.push(kind, &text);
        read.unwrap_or_else(|error| panic!("`{text}` cannot be read again: {error}"));
        assert_eq!(grants.covers(kind.as_str(), &text), Ok(true), "{kind} `{text}`");
    }
    assert_eq!(&again, grants);
    assert_eq!(grants.is_empty(), grants.list().is_empty());
}

/// A denial can be shown, and what it says would allow it does.
fn denied(grants: &Grants, denial: &Denial, allows: impl Fn(&Grants) -> bool) {
    shown::text(&denial.to_string(), DENIAL, "a denial");
    shown::text(&denial.asked, DENIAL, "what was asked for");
    let Some(line) = &denial.allow else {
        assert!(!denial.why.is_empty(), "{denial}");
        return;
    };
    let table: toml::Table = line.parse().unwrap_or_else(|error| panic!("`{line}`: {error}"));
    let mut with = grants.clone();
    for (key, value) in &table {
        let values = match value {
            toml::Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        for value in values {
            let text = value.as_str().unwrap_or_else(|| panic!("`{line}` names {value}"));
            with.add(key, text).unwrap_or_else(|error| panic!("`{line}`: {error}"));
        }
    }
    assert!(allows(&with), "still denied with `{line}`: {denial}");
}

/// One request and one address; whether both are allowed.
fn requests(mine: &Grants, wider: Option<&Grants>, u: &mut Unstructured<'_>) -> Result<bool> {
    let own: Vec<naive::Grant> =
        mine.http.iter().filter_map(|grant| naive::Grant::read(&grant.to_string())).collect();
    assert_eq!(own.len(), mine.http.len(), "not every grant can be read: {:?}", mine.list());
    let request = Request::new(mine, &own, u)?;
    let Request { method, scheme, host, port, path } = &request;
    let ask = |grants: &Grants| grants.http(method, scheme, host, *port, path);
    let naive = naive::http(&own, &request);
    let permit = match ask(mine) {
        Ok(permit) => {
            assert!(naive.is_some(), "{request:?} is allowed by {:?}", mine.list());
            permit
        }
        Err(denial) => {
            assert!(
                !request.is_plain() || naive.is_none(),
                "{request:?} is denied by {:?}: {denial}",
                mine.list()
            );
            denied(mine, &denial, |grants| ask(grants).is_ok());
            return Ok(false);
        }
    };
    if let Some(wider) = wider {
        assert!(ask(wider).is_ok(), "{request:?} is denied by {:?}", wider.list());
    }

    let ip = words::address(mine, u)?;
    public(ip);
    let naive = naive.is_some_and(|permit| permit.connect(ip));
    match permit.connect(ip) {
        Ok(()) => assert!(naive, "{request:?} at {ip} is allowed by {:?}", mine.list()),
        Err(denial) => {
            assert!(!naive, "{request:?} at {ip} is denied by {:?}: {denial}", mine.list());
            denied(mine, &denial, |grants| ask(grants).is_ok_and(|p| p.connect(ip).is_ok()));
            return Ok(false);
        }
    }
    if let Some(permit) = wider.map(|wider| ask(wider).expect("it was allowed above")) {
        assert!(permit.connect(ip).is_ok(), "{request:?} at {ip} is denied by {wider:?}");
    }
    Ok(true)
}

/// The two readings of an address agree.
fn public(ip: IpAddr) {
    assert_eq!(is_public(ip), naive::is_public(ip), "{ip}");
}

/// One address for a socket; whether it is allowed.
fn sockets(mine: &Grants, wider: Option<&Grants>, u: &mut Unstructured<'_>) -> Result<bool> {
    let protocol = if u.arbitrary()? { Protocol::Tcp } else { Protocol::Udp };
    let address = SocketAddr::new(words::address(mine, u)?, *u.choose(&words::PORTS)?);
    public(address.ip());
    let mut names = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let ip = if u.ratio(2, 3)? { address.ip() } else { words::address(mine, u)? };
        // A run resolves only what it may, and gets the name in its one spelling.
        if let Ok(name) = mine.resolve(&words::host(mine, u)?) {
            names.push((name, ip));
        }
    }

    let own: Vec<naive::Grant> =
        mine.sockets.iter().filter_map(|grant| naive::Grant::read(&grant.to_string())).collect();
    assert_eq!(own.len(), mine.sockets.len(), "not every grant can be read: {:?}", mine.list());
    let naive = naive::socket(&own, protocol.as_str(), address, &names);
    let asked = mine.socket(protocol, address, &names);
    let what = || format!("{protocol} {address} after {names:?} with {:?}", mine.list());
    assert_eq!(asked.is_ok(), naive, "{}", what());
    let Err(denial) = asked else {
        assert!(mine.may_use(protocol), "{}", what());
        let same = wider.is_none_or(|wider| wider.socket(protocol, address, &names).is_ok());
        assert!(same, "{} is denied by {wider:?}", what());
        return Ok(true);
    };
    denied(mine, &denial, |grants| grants.socket(protocol, address, &names).is_ok());
    Ok(false)
}

/// One name of a host, and one of a secret or a check; whether any is allowed.
fn names(mine: &Grants, wider: Option<&Grants>, u: &mut Unstructured<'_>) -> Result<bool> {
    let name = words::host(mine, u)?;
    let list = |kind| {
        let list = mine.list().into_iter().filter(move |(own, _)| *own == kind);
        list.map(|(_, text)| text).collect::<Vec<_>>()
    };
    let naive = naive::resolve(&list(GrantKind::Dns), &list(GrantKind::Sockets), &name);
    let resolved = match mine.resolve(&name) {
        Ok(found) => {
            assert_eq!(Some(&found), naive.as_ref(), "`{name}` with {:?}", mine.list());
            let same = wider.is_none_or(|wider| wider.resolve(&name).as_ref() == Ok(&found));
            assert!(same, "`{name}` is denied by {wider:?}");
            true
        }
        Err(denial) => {
            let plain = words::is_plain(&name);
            assert!(!plain || naive.is_none(), "`{name}` is denied by {:?}", mine.list());
            match denial.kind {
                GrantKind::Dns => denied(mine, &denial, |grants| grants.resolve(&name).is_ok()),
                // Its port is for the reader to say.
                _ => shown::text(&denial.to_string(), DENIAL, "a denial"),
            }
            false
        }
    };

    let name = words::name(u)?;
    let secret = match mine.secret(&name) {
        Ok(()) => {
            assert!(list(GrantKind::Secrets).contains(&name), "{name}");
            assert!(wider.is_none_or(|wider| wider.secret(&name).is_ok()), "{name}");
            true
        }
        Err(denial) => {
            denied(mine, &denial, |grants| grants.secret(&name).is_ok());
            false
        }
    };
    let check = match mine.check(&name) {
        Ok(()) => {
            let meant = |pattern: &String| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => *pattern == name,
            };
            assert!(list(GrantKind::Checks).iter().any(meant), "{name}");
            assert!(wider.is_none_or(|wider| wider.check(&name).is_ok()), "{name}");
            true
        }
        Err(denial) => {
            denied(mine, &denial, |grants| grants.check(&name).is_ok());
            false
        }
    };
    match mine.state() {
        Ok(bytes) => assert!(bytes > 0 && bytes == mine.state),
        Err(denial) => denied(mine, &denial, |grants| grants.state().is_ok()),
    }
    Ok(resolved || secret || check)
}
