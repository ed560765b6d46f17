//! The kind `icmp` on loopback, and in a network of its own where nothing answers.

use crate::support::checks::{expect_failure, expect_pass, observation};
use crate::support::host::host;
use crate::support::http::request;
use crate::support::servers::is_root;

fn at(name: &str, target: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"icmp\"\ntarget = \"{target}\"\ninterval = \"10s\"\n\
         timeout = \"5s\"\n{keys}\n"
    )
}

/// Whether the system lets this group ping without a raw socket.
fn may_everybody_ping() -> bool {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    let bounds: Vec<u64> = range.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    matches!(&*bounds, [low, high] if low <= high)
}

#[test]
fn loopback_answers_over_both_families() {
    let config = [
        at("one", "127.0.0.1", ""),
        at(
            "many",
            "127.0.0.1",
            "packets = 5\nspacing = \"10ms\"\nsize = \"1400B\"\nttl = 3\ndont-fragment = true",
        ),
        at("largest", "127.0.0.1", "size = \"65000B\""),
        at("six", "::1", "packets = 3\nspacing = \"10ms\"\nttl = 2\ndont-fragment = true"),
        at("brackets", "[::1]", ""),
        at("name", "localhost", "address-family = \"ipv6\""),
        at("other-family", "::1", "address-family = \"ipv4\""),
        at("unresolved", "name.invalid", ""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "one", "answered in ");
    let many = expect_pass(&host, "many", "answered 5 of 5 packets, in ");
    assert_eq!(observation(&many, "loss"), Some(0.0), "{many}");
    for name in ["round-trip", "jitter", "response-time"] {
        assert!(observation(&many, name).is_some_and(|s| s > 0.0 && s < 3.0), "{name}: {many}");
    }
    assert!(observation(&many, "response-time").is_some_and(|s| s >= 0.04), "spaced: {many}");
    expect_pass(&host, "largest", "answered in ");
    let six = expect_pass(&host, "six", "answered 3 of 3 packets");
    assert_eq!(six["outcome"]["details"]["peer"], "[::1]:0", "{six}");
    expect_pass(&host, "brackets", "answered in ");
    expect_pass(&host, "name", "answered in ");
    expect_failure(&host, "other-family", "resolve", "has no A address");
    expect_failure(&host, "unresolved", "resolve", "name.invalid");
}

#[test]
fn conditions_judge_pings() {
    let all = [
        "loss > 0",
        "jitter > 1s",
        "round-trip > 1s",
        "round-trip.min > 1s",
        "round-trip.max > 1s",
    ];
    // Only a raw socket tells it.
    let more = if may_everybody_ping() { "" } else { "warn = \"ttl < 2\"" };
    let config = [
        at("all", "127.0.0.1", &format!("packets = 3\nspacing = \"10ms\"\nfail = {all:?}\n{more}")),
        at("never", "127.0.0.1", "warn = \"loss < 1\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "all", "answered 3 of 3 packets");
    let never = host.until_run("never");
    assert_eq!(
        (&never["state"], &never["message"]),
        (&"warn".into(), &"loss is 0 (warns when `loss < 1`)".into()),
        "{never}"
    );
}

#[test]
fn silence_and_a_missing_way_are_told_apart() {
    // A network with nothing but a loopback that does not answer.
    let set_up =
        "ip link set lo up && echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all && exec \"$@\"";
    let user = if is_root() { "--net" } else { "--map-root-user" };
    let config = [
        at("silent", "127.0.0.1", "packets = 3\nspacing = \"10ms\"")
            .replace("timeout = \"5s\"", "timeout = \"500ms\""),
        at("far", "192.0.2.1", ""),
    ]
    .concat();
    let host = host()
        .config(&config)
        .through(&["unshare", user, "--net", "sh", "-c", set_up, "sh"])
        .start();
    host.until_logged(
        "no answer to 3 packets check=silent from=unknown to=fail reason=\"timeout\"",
    );
    host.until_logged(
        "no route to `192.0.2.1` check=far from=unknown to=fail reason=\"unreachable\"",
    );
}

#[test]
fn who_may_not_ping_is_told_what_to_do() {
    let host = host().config(&at("gateway", "127.0.0.1", ""));
    let host = if is_root() {
        host.through(&["setpriv", "--bounding-set=-net_raw"]).start()
    } else {
        host.start()
    };
    if may_everybody_ping() {
        expect_pass(&host, "gateway", "answered in ");
        return;
    }
    let found = host.until_run("gateway");
    assert_eq!(
        (&found["state"], &found["reason"]),
        (&"unknown".into(), &"internal".into()),
        "{found}"
    );
    let message = found["message"].as_str().expect("a message");
    assert!(
        message.contains("`net.ipv4.ping_group_range`") && message.contains("CAP_NET_RAW"),
        "{message}"
    );
}

#[test]
fn a_probe_pings_what_its_module_allows() {
    let config = "[[module]]\nname = \"ping\"\nkind = \"icmp\"\npackets = 2\nspacing = \"10ms\"\ntargets = [\"127.0.0.1\"]\n";
    let host = host().config(config).start();
    let probe = |target: &str| {
        request(host.address, "GET", &format!("/probe?module=ping&target={target}"), &[], "")
            .expect("an answer")
    };
    let allowed = probe("127.0.0.1");
    for line in
        ["probe_success 1", "probe_icmp_duration_seconds{phase=\"rtt\"} ", "probe_ip_protocol 4"]
    {
        assert!(allowed.body.contains(line), "`{line}`: {}", allowed.body);
    }
    let other = probe("127.0.0.2");
    assert_ne!(other.code, 200, "{}", other.body);
}
