//! Properties that hold for all grants and requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

/// Few names, so that grants and requests meet.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a.example", "b.a.example", "c.b.a.example", "localhost", "xa.example"])
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        name().prop_map(str::to_owned),
        name().prop_map(|name| format!("*.{name}")),
        v4().prop_map(|ip| ip.to_string()),
        (v4(), 0u8..=32).prop_map(|(ip, length)| format!("{ip}/{length}")),
        v6().prop_map(|ip| format!("[{ip}]")),
        (v6(), 0u8..=128).prop_map(|(ip, length)| format!("[{ip}]/{length}")),
    ]
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        prop::sample::select(vec![
            Ipv4Addr::new(10, 0, 0, 7),
            Ipv4Addr::new(127, 0, 0, 1),
            Ipv4Addr::new(169, 254, 169, 254),
            Ipv4Addr::new(93, 184, 215, 14),
        ]),
        any::<u32>().prop_map(Ipv4Addr::from),
    ]
}

/// Addresses of every kind that carries a v4 address, and any others.
fn v6() -> impl Strategy<Value = Ipv6Addr> {
    let carrying = (v4(), 0usize..7, any::<[u16; 4]>()).prop_map(|(ip, form, [a, b, c, d])| {
        let [high, low] = [[0, 1], [2, 3]].map(|[x, y]| {
            let octets = ip.octets();
            u16::from_be_bytes([octets[x], octets[y]])
        });
        Ipv6Addr::from(match form {
            0 => [0, 0, 0, 0, 0, 0xffff, high, low],
            1 => [0, 0, 0, 0, 0, 0, high, low],
            2 => [0x64, 0xff9b, 0, 0, 0, 0, high, low],
            3 => [0x64, 0xff9b, 1, a, b, c, high, low],
            4 => [0x2002, high, low, a, b, c, d, 1],
            5 => [0x2001, 0, a, b, c, d, !high, !low],
            _ => [0x2600, a, b, c, 0, 0x5efe, high, low],
        })
    });
    prop_oneof![carrying, any::<u128>().prop_map(Ipv6Addr::from)]
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![v4().prop_map(IpAddr::V4), v6().prop_map(IpAddr::V6)]
}

fn path() -> impl Strategy<Value = String> {
    let segment =
        prop::sample::select(&["v1", "v10", "x", "..", ".", "", "%2e%2e", "%2f", "..;", "a;b"]);
    prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn method() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["GET", "HEAD", "POST"])
}

/// Texts of grants; not every one of them is one.
fn http() -> impl Strategy<Value = Option<HttpGrant>> {
    let methods = prop::collection::vec(method(), 0..3);
    let port = prop::sample::select(&["", ":80", ":8080"]);
    (methods, host(), port, prop::option::of(path())).prop_map(|(methods, host, port, path)| {
        let space = if methods.is_empty() { "" } else { " " };
        let path = path.unwrap_or_default();
        HttpGrant::parse(&format!("{}{space}http://{host}{port}{path}", methods.join(","))).ok()
    })
}

fn near_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", "/v1", "/v1/x", "/v10", "/v1/"])
}

/// Grants of which many include one another.
fn near_http() -> impl Strategy<Value = HttpGrant> {
    let hosts =
        ["a.example", "*.a.example", "b.a.example", "*.b.a.example", "10.0.0.0/8", "10.0.0.7"];
    let methods = prop::sample::select(&["", "GET ", "GET,POST "]);
    (methods, prop::sample::select(hosts.to_vec()), near_path()).prop_map(
        |(methods, host, path)| {
            HttpGrant::parse(&format!("{methods}http://{host}:80{path}")).expect("a grant")
        },
    )
}

fn socket() -> impl Strategy<Value = Option<SocketGrant>> {
    (prop::sample::select(&["tcp", "udp"]), host(), prop::sample::select(&[53u16, 80])).prop_map(
        |(protocol, host, port)| SocketGrant::parse(&format!("{protocol}://{host}:{port}")).ok(),
    )
}

fn dir() -> impl Strategy<Value = DirGrant> {
    let path = prop::sample::select(&["/a", "/a/b", "/ab", "/"]);
    (path.clone(), path, any::<bool>())
        .prop_map(|(host, guest, write)| DirGrant::new(host, guest, write).expect("a folder"))
}

fn grants() -> impl Strategy<Value = Grants> {
    let word = || prop::sample::select(&["a", "ab", "abc"]);
    let words = || prop::collection::vec((word(), any::<bool>()), 0..3);
    let dns = prop::collection::vec((name(), any::<bool>()), 0..3);
    (
        prop::collection::vec(http(), 0..4),
        prop::collection::vec(socket(), 0..4),
        dns,
        prop::collection::vec(dir(), 0..3),
        words(),
        words(),
        words(),
        prop::sample::select(&[0u64, 1, 1024, MAX_STATE]),
    )
        .prop_map(|(http, sockets, dns, dirs, env, secrets, checks, state)| {
            let mut grants = Grants {
                http: http.into_iter().flatten().collect(),
                sockets: sockets.into_iter().flatten().collect(),
                dirs,
                state,
                ..Grants::default()
            };
            for (name, wildcard) in dns {
                let star = if wildcard { "*." } else { "" };
                grants.push(GrantKind::Dns, &format!("{star}{name}")).expect("a name");
            }
            for (kind, words) in [(GrantKind::Env, env), (GrantKind::Secrets, secrets)] {
                for (word, _) in words {
                    grants.push(kind, word).expect("a name");
                }
            }
            for (word, wildcard) in checks {
                let star = if wildcard { "*" } else { "" };
                grants.push(GrantKind::Checks, &format!("{word}{star}")).expect("a pattern");
            }
            grants
        })
}

/// One spelling of an address as a URL may have it.
fn spelled(ip: IpAddr, form: usize) -> String {
    let IpAddr::V4(v4) = ip else { return format!("[{ip}]") };
    let [a, b, c, d] = v4.octets();
    match form {
        0 => u32::from(v4).to_string(),
        1 => format!("{:#x}", u32::from(v4)),
        2 => format!("{a:#x}.{b}.{:#o}", u16::from_be_bytes([c, d])).replace("0o", "0"),
        3 => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        4 => format!("[::ffff:{v4}]"),
        5 => format!("[64:ff9b::{v4}]"),
        6 => format!("{a}。{b}．{c}｡{d}"),
        _ => format!("{v4}."),
    }
}

/// Whether some grant of HTTP names the address itself, read from what it prints.
fn names(grants: &[String], ip: IpAddr) -> bool {
    let ip = canonical(ip);
    grants.iter().any(|grant| {
        let host = grant.split("://").nth(1).expect("a URL");
        let Some((net, length)) = network(host) else {
            return host.starts_with("localhost") && ip.is_loopback();
        };
        ipnet::IpNet::new(net, length).expect("a network").contains(&ip)
    })
}

fn network(host: &str) -> Option<(IpAddr, u8)> {
    let (ip, after) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => host.split_at(host.find([':', '/']).unwrap_or(host.len())),
    };
    let ip: IpAddr = ip.parse().ok()?;
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    let digits: String =
        after.strip_prefix('/')?.chars().take_while(char::is_ascii_digit).collect();
    Some((ip, digits.parse().unwrap_or(whole)))
}

fn hosts_of(grants: &Grants, kind: GrantKind) -> Vec<String> {
    let list = grants.list().into_iter().filter(|(own, _)| *own == kind);
    // An address without a network is a network of one.
    list.map(|(_, text)| {
        let (before, host) = text.split_once("://").expect("a URL");
        let end = match host.find(']') {
            Some(end) => end + 1,
            None => host.find([':', '/']).unwrap_or(host.len()),
        };
        let (own, after) = host.split_at(end);
        let is_address = own.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let slash = if is_address && !after.starts_with('/') { "/x" } else { "" };
        format!("{before}://{own}{slash}{after}")
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn everything_is_within_itself(grants in grants()) {
        prop_assert_eq!(grants.beyond(&grants), vec![]);
        prop_assert_eq!(grants.list().is_empty(), grants.is_empty());
    }

    #[test]
    fn what_is_shown_reads_back(grants in grants()) {
        for (kind, text) in grants.list().into_iter().filter(|(kind, _)| *kind != GrantKind::Dirs) {
            let mut read = Grants::default();
            prop_assert!(read.push(kind, &text).is_ok(), "{kind} {text}");
            prop_assert_eq!(read.list(), vec![(kind, text)]);
        }
    }

    #[test]
    fn what_is_within_another_allows_no_more(
        small in grants(), more in grants(), method in method(), host in name(),
        literal in prop::option::of(ip()), port in prop::sample::select(&[80u16, 8080, 53]),
        path in path(), ip in ip(), word in prop::sample::select(&["a", "ab", "abc", "abcd"])
    ) {
        let mut large = more;
        // Half of the time the larger one is made from the smaller one, so that it includes it.
        if !small.beyond(&large).is_empty() {
            large.http.extend(small.http.clone());
            large.sockets.extend(small.sockets.clone());
            large.dns.extend(small.dns.clone());
            large.dirs.extend(small.dirs.clone());
            large.env.extend(small.env.clone());
            large.secrets.extend(small.secrets.clone());
            large.checks.extend(small.checks.clone());
            large.state = large.state.max(small.state);
        }
        prop_assert!(small.beyond(&large).is_empty());

        let asked = literal.map_or(host.to_owned(), |ip| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        if let Ok(permit) = small.http(method, "http", &asked, Some(port), &path) {
            let wider = large.http(method, "http", &asked, Some(port), &path);
            prop_assert!(wider.is_ok());
            if permit.connect(ip).is_ok() {
                prop_assert!(wider.expect("checked").connect(ip).is_ok());
            }
        }
        prop_assert!(small.resolve(&asked).is_err() || large.resolve(&asked).is_ok());
        let names = [(host.to_owned(), ip)];
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let allowed = |grants: &Grants| {
                grants.socket(protocol, SocketAddr::new(ip, port), &names).is_ok()
            };
            prop_assert!(!allowed(&small) || allowed(&large));
            prop_assert!(!small.may_use(protocol) || large.may_use(protocol));
        }
        prop_assert!(small.secret(word).is_err() || large.secret(word).is_ok());
        prop_assert!(small.check(word).is_err() || large.check(word).is_ok());
        prop_assert!(small.state().unwrap_or(0) <= large.state().unwrap_or(0));
    }

    #[test]
    fn one_grant_includes_another_only_if_it_allows_all_of_it(
        a in near_http(), b in near_http(), method in method(), path in near_path(),
        asked in prop::sample::select(&["a.example", "b.a.example", "c.b.a.example", "10.0.0.7"]),
        ip in prop::sample::select(&["10.0.0.7", "10.1.0.7", "93.184.215.14"])
    ) {
        if !a.includes(&b) {
            return Ok(());
        }
        let one = |grant: &HttpGrant| Grants { http: vec![grant.clone()], ..Grants::default() };
        let allows = |grant| {
            let permit = one(grant).http(method, "http", asked, Some(80), path);
            permit.and_then(|permit| permit.connect(ip.parse().expect("an address"))).is_ok()
        };
        prop_assert!(!allows(&b) || allows(&a), "{a} includes {b}");
    }

    #[test]
    fn no_private_address_is_reached_unless_a_grant_names_it(
        grants in grants(), host in name(), ip in ip(), method in method(), path in path(),
        form in 0usize..8
    ) {
        if is_public(ip) {
            return Ok(());
        }
        let named = names(&hosts_of(&grants, GrantKind::Http), ip);
        for asked in [host.to_owned(), spelled(ip, form)] {
            for port in [80, 8080] {
                if let Ok(permit) = grants.http(method, "http", &asked, Some(port), &path) {
                    prop_assert!(permit.connect(ip).is_err() || named, "{asked} {ip}");
                }
            }
        }
        let named = names(&hosts_of(&grants, GrantKind::Sockets), ip);
        let resolved = [(host.to_owned(), ip)];
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for port in [53, 80] {
                let address = SocketAddr::new(ip, port);
                prop_assert!(grants.socket(protocol, address, &resolved).is_err() || named, "{ip}");
            }
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_decided_alike(
        grants in grants(), ip in v4().prop_map(IpAddr::V4), form in 0usize..8
    ) {
        let decide = |host: &str| {
            let permit = grants.http("GET", "http", host, Some(80), "/");
            permit.and_then(|permit| permit.connect(ip)).is_ok()
        };
        prop_assert_eq!(decide(&ip.to_string()), decide(&spelled(ip, form)), "{}", spelled(ip, form));
    }

    #[test]
    fn a_path_within_a_prefix_stays_there_however_it_is_decoded(path in path(), query in "[a-z/.%]{0,6}") {
        let grants = Grants {
            http: vec![HttpGrant::parse("http://a.example/v1").expect("a grant")],
            ..Grants::default()
        };
        let path = format!("/v1{path}");
        let sent = format!("{path}?{query}");
        if grants.http("GET", "http", "a.example", None, &sent).is_err() {
            return Ok(());
        }
        // What the most eager of servers makes of it.
        let mut stack = Vec::new();
        let decoded = path.replace("%2e", ".").replace("%2f", "/");
        for segment in decoded.split('/').map(|segment| segment.split(';').next().unwrap_or("")) {
            match segment {
                ".." => drop(stack.pop()),
                "." | "" => {}
                name => stack.push(name),
            }
        }
        prop_assert_eq!(stack.first(), Some(&"v1"), "{}", path);
    }

    #[test]
    fn no_text_makes_reading_or_asking_panic(
        text in "\\PC{0,40}", other in "[a-z0-9.*:/\\[\\]@%;, -]{0,30}", kind in 0usize..8
    ) {
        for text in [&text, &other] {
            let mut grants = Grants::default();
            let kind = GrantKind::ALL[kind];
            if let Err(error) = grants.push(kind, text) {
                prop_assert!(!error.to_string().contains('\n'));
            }
            let _ = (HttpGrant::parse(text), SocketGrant::parse(text), grants.covers("http", text));
            let url = format!("http://{text}");
            let _ = HttpGrant::parse(&url);
            let _ = (grants.http(text, text, text, Some(1), text), grants.resolve(text));
            let _ = grants.http("GET", "http", text, None, text);
            for denial in [grants.secret(text).err(), grants.check(text).err()].into_iter().flatten() {
                prop_assert!(!denial.to_string().contains(char::is_control));
            }
        }
    }
}
