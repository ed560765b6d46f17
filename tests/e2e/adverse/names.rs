//! Name servers that hang, answer in a circle, or name a thousand addresses: for every kind that
//! resolves.

use std::net::Ipv4Addr;

use crate::support::host::host;
use crate::support::names::{Names, Zone};
use crate::support::target;

use super::kinds::{OVER_TCP, OVER_UDP, checks};

const TIMING: &str = "interval = \"1h\"\ntimeout = \"2s\"";

/// Gives the program another `/etc/resolv.conf`, which is its first word. Nothing else sees it.
const OTHER_RESOLVER: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

/// Runs a check of every kind with a name server that does as `zone` says.
#[track_caller]
fn every_kind(zone: Zone, ip: Ipv4Addr, reasons: &[&str]) {
    // The system's name servers are asked at port 53.
    let Some(_names) = Names::start_at(zone, ip) else {
        eprintln!("not shown: port 53 of {ip} may not be bound");
        return;
    };
    let beside = target::http().status(200).start();
    let mut config = checks(&[OVER_TCP, OVER_UDP].concat(), "name", "shop.test:9", TIMING);
    config += "[[check]]\nname = \"icmp-name\"\nkind = \"icmp\"\ntarget = \"shop.test\"\n";
    config += TIMING;
    config.extend([format!(
        "\n[[check]]\nname = \"beside\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"100ms\"\n",
        beside.url("/")
    )]);
    let builder = host().file("resolv.conf", format!("nameserver {ip}\noptions attempts:1\n"));
    let path = builder.path().join("resolv.conf").to_string_lossy().into_owned();
    let host = builder
        .config(&config)
        .through(&["unshare", "--mount", "sh", "-c", OTHER_RESOLVER, &path])
        .start();
    let names: Vec<String> = host.names().into_iter().filter(|name| name != "beside").collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let found = host.until_run(&name);
        let reason = found["reason"].as_str().unwrap_or_default();
        if name == "icmp-name" && (reason == "internal" || found["state"] == "pass") {
            // Whoever may not ping; and all of loopback answers.
            continue;
        }
        assert_eq!(found["state"], "fail", "{name}: {found}");
        assert!(reasons.contains(&reason), "{name}: {reasons:?}: {found}");
        assert_eq!(found["outcome"]["fault"], false, "{name}: {found}");
        assert!(found["duration_ms"].as_f64().is_some_and(|ms| ms < 3_000.0), "{name}: {found}");
    }
    assert_eq!(host.next_run("beside")["state"], "pass");
    // The other one ran all the while.
    assert!(beside.count() >= 2, "{}", beside.count());
}

#[test]
fn a_name_server_that_hangs_costs_each_kind_its_timeout() {
    every_kind(Zone::Silence, Ipv4Addr::new(127, 0, 53, 101), &["timeout", "resolve"]);
}

#[test]
fn a_name_that_leads_in_a_circle_fails_each_kind() {
    every_kind(Zone::Circle, Ipv4Addr::new(127, 0, 53, 102), &["resolve"]);
}

#[test]
fn a_thousand_addresses_are_cut_for_each_kind() {
    // Nobody listens at any of them.
    let crowd = (0..1000_u16).map(|n| Ipv4Addr::from([127, 1, (n >> 8) as u8, n as u8]));
    every_kind(
        Zone::Addresses(crowd.collect()),
        Ipv4Addr::new(127, 0, 53, 103),
        &["refused", "timeout", "unreachable"],
    );
}
