//! The kind `mongodb` against a faithful fake, since Debian has no MongoDB, and against servers
//! that are none.

use std::io::{Read, Write};

use crate::support::checks::{
    check, each_way_to_misbehave, expect_failure, expect_no_password, expect_pass, observation,
};
use crate::support::databases::{ENCODED, PASSWORD};
use crate::support::host::host;
use crate::support::listener::{Listener, listener};
use crate::support::mongo::{Bson, Member};

fn at(name: &str, url: &str) -> String {
    check("mongodb", name, url, "")
}

fn as_app(listener: &Listener, rest: &str) -> String {
    format!("mongodb://app:{ENCODED}@{}{rest}", listener.address)
}

fn as_nobody(listener: &Listener, rest: &str) -> String {
    format!("mongodb://{}{rest}", listener.address)
}

#[test]
fn a_login_and_a_ping_pass() {
    let open = Member::primary().start();
    let closed = Member::primary().user("app", PASSWORD, "admin").start();
    let shop = Member::primary().user("app", PASSWORD, "shop").start();
    let old =
        Member { long_login: true, ..Member::primary().user("app", PASSWORD, "admin") }.start();
    let config = [
        at("open", &as_nobody(&open, "")),
        at("closed", &as_app(&closed, "/?retryWrites=true&w=majority")),
        at("shop", &as_app(&shop, "/shop")),
        at("source", &as_app(&shop, "/other?authSource=shop")),
        at("old", &as_app(&old, "/")),
        at("set", &as_nobody(&open, "/?replicaSet=rs0")),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    expect_pass(&host, "open", "answered ping (MongoDB 7.0.14, primary)");
    let closed_check = expect_pass(&host, "closed", "answered ping (MongoDB 7.0.14, primary)");
    assert_eq!(closed_check["target"], format!("mongodb://{}/", closed.address));
    assert_eq!(closed_check["outcome"]["details"]["peer"], closed.address.to_string());
    assert_eq!(closed_check["outcome"]["details"]["server-version"], "7.0.14");
    for phase in ["response-time", "connect", "login", "query"] {
        let seconds = observation(&closed_check, phase);
        assert!(seconds.is_some_and(|s| s > 0.0 && s < 10.0), "{phase}: {closed_check}");
    }
    for name in ["shop", "source", "old", "set"] {
        expect_pass(&host, name, "answered ping");
    }
    expect_no_password(&host);
}

#[test]
fn the_role_of_a_member_decides() {
    let no = Bson::Boolean(false);
    let yes = Bson::Boolean(true);
    let neither = || Member::primary().says("isWritablePrimary", no.clone());
    let secondary = neither().says("secondary", yes.clone()).start();
    let starting = neither().start();
    let arbiter = neither().says("arbiterOnly", yes.clone()).start();
    let router = Member::primary().says("msg", Bson::Text("isdbgrid".to_owned())).start();
    let mut alone = Member::primary();
    alone.hello.retain(|(name, _)| *name != "setName");
    let alone = alone.start();
    let config = [
        at("secondary", &as_nobody(&secondary, "")),
        at("starting", &as_nobody(&starting, "")),
        at("arbiter", &as_nobody(&arbiter, "")),
        at("router", &as_nobody(&router, "")),
        at("alone", &as_nobody(&alone, "")),
        at("other-set", &as_nobody(&secondary, "/?replicaSet=rs1")),
        at("no-set", &as_nobody(&alone, "/?replicaSet=rs1")),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "secondary", "(MongoDB 7.0.14, secondary)");
    expect_pass(&host, "router", "router)");
    expect_pass(&host, "alone", "standalone)");
    expect_failure(&host, "starting", "unexpected-value", "neither a primary nor a secondary");
    expect_failure(&host, "arbiter", "unexpected-value", "neither a primary nor a secondary");
    expect_failure(
        &host,
        "other-set",
        "unexpected-value",
        "the replica set `rs0` (expected `rs1`)",
    );
    expect_failure(&host, "no-set", "unexpected-value", "no replica set (expected `rs1`)");
}

#[test]
fn what_the_server_refuses_has_its_reason() {
    let closed = Member::primary().user("app", PASSWORD, "admin").start();
    let other = Member::primary().user("app", "something else", "admin").start();
    let liar = Member { lies: true, ..Member::primary().user("app", PASSWORD, "admin") }.start();
    let slow = Member { rounds: 4_000_000_000, ..Member::primary().user("app", PASSWORD, "admin") }
        .start();
    let weak = Member { rounds: 1, ..Member::primary().user("app", PASSWORD, "admin") }.start();
    let config = [
        at("wrong-password", &as_app(&other, "/")),
        at("wrong-user", &format!("mongodb://nobody:{ENCODED}@{}/", closed.address)),
        at("wrong-source", &as_app(&closed, "/shop")),
        at("no-login", &as_nobody(&closed, "/")),
        at("liar", &as_app(&liar, "/")),
        at("slow", &as_app(&slow, "/")),
        at("weak", &as_app(&weak, "/")),
    ]
    .concat();
    let host = host().env("WELLCHECK_LOG", "debug").config(&config).start();
    for name in ["wrong-password", "wrong-user", "wrong-source"] {
        expect_failure(&host, name, "login", "Authentication failed. (AuthenticationFailed)");
    }
    expect_failure(&host, "no-login", "login", "Command requires authentication (Unauthorized)");
    expect_failure(&host, "liar", "login", "no proof that it knows the password itself");
    expect_failure(&host, "slow", "login", "too few or too many rounds");
    expect_failure(&host, "weak", "login", "too few or too many rounds");
    assert!(slow.count() > 0);
    expect_no_password(&host);
}

#[test]
fn answers_that_are_none_are_told() {
    /// An answer to the first request with this body.
    fn replies(body: &'static [u8]) -> Listener {
        listener(move |stream| {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer)?;
            let length = i32::try_from(body.len() + 16).expect("short");
            for number in [length, 1, 1, 2013] {
                stream.write_all(&number.to_le_bytes())?;
            }
            stream.write_all(body)?;
            let _ = stream.read(&mut buffer)?;
            Ok(())
        })
    }
    let bodies: [(&str, &'static [u8], &str); 5] = [
        ("empty", b"", "protocol"),
        ("no-document", b"\0\0\0\0\0", "protocol"),
        ("short-document", b"\0\0\0\0\0\x06\0\0\0\0", "protocol"),
        ("section", b"\0\0\0\0\x01\x05\0\0\0\0", "protocol"),
        ("empty-document", b"\0\0\0\0\0\x05\0\0\0\0", "query"),
    ];
    let listeners: Vec<Listener> = bodies.iter().map(|(_, body, _)| replies(body)).collect();
    let config: String = bodies
        .iter()
        .zip(&listeners)
        .map(|((name, _, _), listener)| at(name, &as_nobody(listener, "")))
        .collect();
    let host = host().config(&config).start();
    for (name, _, reason) in bodies {
        expect_failure(&host, name, reason, "");
    }
}

#[test]
fn mongodb_targets_that_misbehave_fail_in_time() {
    let url = |address: &str| format!("mongodb://app:{ENCODED}@{address}/x");
    // A gigabyte is announced.
    each_way_to_misbehave("mongodb", url, (b"\0\0\0\x40\x01\0\0\0\x01\0\0\0\xdd\x07\0\0", b"yyyy"));
}

#[test]
fn conditions_judge_what_a_member_says_of_itself() {
    let open = Member::primary().start();
    let keys = |name: &str, keys: &str| check("mongodb", name, &as_nobody(&open, ""), keys);
    let config = [
        keys("holds", "fail = [\"!ok\", \"role != 'primary'\", \"json.setName != 'rs0'\", \"version != '7.0.14'\"]"),
        keys("role", "fail = \"role == 'primary'\""),
        keys("set", "warn = \"json.setName == 'rs0' && json.isWritablePrimary\""),
    ]
    .concat();
    let host = host().config(&config).start();
    expect_pass(&host, "holds", "answered ping");
    expect_failure(&host, "role", "unexpected-value", "role is \"primary\"");
    let set = host.until_run("set");
    assert_eq!(set["state"], "warn", "{set}");
    let message = "json.setName is \"rs0\", json.isWritablePrimary is true (warns when";
    assert!(set["message"].as_str().is_some_and(|m| m.starts_with(message)), "{set}");
}
