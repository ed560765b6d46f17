//! The kind `systemd` against a fake of systemd, the real bus without systemd, and nonsense.

use std::io::{Read, Write};

use serde_json::Value;

use crate::support::checks::{expect, observation};
use crate::support::dbus::{Bus, Daemon, Unit, greet, key, line};
use crate::support::host::host;

const UNITS: &[Unit] = &[
    Unit {
        path: "nginx_2eservice",
        active: "active",
        sub: "running",
        load: "loaded",
        result: "success",
        restarts: 3,
    },
    Unit {
        path: "backup_2eservice",
        active: "failed",
        sub: "failed",
        load: "loaded",
        result: "exit-code",
        restarts: 0,
    },
    Unit {
        path: "once_2eservice",
        active: "inactive",
        sub: "dead",
        load: "loaded",
        result: "success",
        restarts: 0,
    },
    Unit {
        path: "slow_2eservice",
        active: "activating",
        sub: "start-pre",
        load: "loaded",
        result: "success",
        restarts: 0,
    },
    Unit {
        path: "off_2eservice",
        active: "inactive",
        sub: "dead",
        load: "masked",
        result: "success",
        restarts: 0,
    },
    Unit {
        path: "logrotate_2etimer",
        active: "active",
        sub: "waiting",
        load: "loaded",
        result: "success",
        restarts: 0,
    },
    Unit {
        path: "multi_2duser_2etarget",
        active: "active",
        sub: "active",
        load: "loaded",
        result: "",
        restarts: 0,
    },
];

fn unit(name: &str, unit: &str, keys: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"systemd\"\nunit = \"{unit}\"\ninterval = \"1h\"\ntimeout = \"20s\"\n{keys}\n"
    )
}

#[test]
fn units_are_as_systemd_says() {
    let bus = Bus::systemd(UNITS);
    let socket = key(&bus.socket());
    let config = [
        unit("web", "nginx", &socket),
        unit("backup", "backup.service", &socket),
        unit(
            "once",
            "once.service",
            &format!("{socket}\nexpect-state = [\"active\", \"inactive\"]"),
        ),
        unit("idle", "once.service", &socket),
        unit("slow", "slow.service", &socket),
        unit("off", "off.service", &socket),
        unit("timer", "logrotate.timer", &socket),
        unit("target", "multi-user.target", &socket),
        unit("absent", "absent.service", &socket),
        unit("secret", "secret.service", &socket),
    ];
    let host = host().config(&config.concat()).start();
    let web = expect(&host, "web", "pass", Value::Null, "active (running)");
    assert_eq!(
        (observation(&web, "restarts"), &web["target"]),
        (Some(3.0), &"nginx.service".into())
    );
    expect(
        &host,
        "backup",
        "fail",
        "unexpected-value".into(),
        "`backup.service` is failed (failed, exit-code) (expected active)",
    );
    expect(&host, "once", "pass", Value::Null, "inactive (dead)");
    expect(&host, "idle", "fail", "unexpected-value".into(), "`once.service` is inactive (dead)");
    expect(&host, "slow", "warn", Value::Null, "`slow.service` is activating (start-pre)");
    expect(&host, "off", "fail", "unexpected-value".into(), "`off.service` is masked, inactive");
    let timer = expect(&host, "timer", "pass", Value::Null, "active (waiting)");
    assert_eq!(timer["outcome"]["observations"].as_array().map_or(0, Vec::len), 0);
    expect(&host, "target", "pass", Value::Null, "active (active)");
    expect(&host, "absent", "fail", "absent".into(), "there is no unit `absent.service`");
    let secret = expect(&host, "secret", "unknown", "inconclusive".into(), "Permission denied");
    assert_eq!(secret["outcome"]["fault"], true);
}

#[test]
fn a_bus_without_systemd_is_a_fault_that_says_so() {
    let daemon = Daemon::start();
    let config = [
        unit("alone", "nginx", &key(&daemon.socket())),
        unit("nowhere", "nginx", "socket = \"/nowhere/bus\""),
    ];
    let host = host().config(&config.concat()).start();
    // The real bus lets us in, and knows of no systemd.
    expect(&host, "alone", "unknown", "inconclusive".into(), "org.freedesktop.DBus.Error.");
    expect(
        &host,
        "nowhere",
        "unknown",
        "inconclusive".into(),
        "cannot ask systemd over `/nowhere/bus`",
    );
}

#[test]
fn whoever_hangs_or_talks_nonsense_fails_in_time() {
    let silent = Bus::start(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
        Ok(())
    });
    let hangs = Bus::start(|mut stream| {
        greet(&mut stream)?;
        let _ = stream.read_to_end(&mut Vec::new());
        Ok(())
    });
    let says = |what: &'static [u8]| {
        Bus::start(move |mut stream| {
            greet(&mut stream)?;
            stream.write_all(what)?;
            let _ = stream.read_to_end(&mut Vec::new());
            Ok(())
        })
    };
    let http = Bus::start(|mut stream| {
        line(&mut stream)?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let rejects = Bus::start(|mut stream| {
        line(&mut stream)?;
        stream.write_all(b"REJECTED EXTERNAL\r\n")
    });
    let long_line = Bus::start(|mut stream| {
        line(&mut stream)?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    let closes = Bus::start(|mut stream| greet(&mut stream));
    let huge = says(b"l\x02\x01\x01\xff\xff\xff\xff\x01\0\0\0\xff\xff\xff\xff");
    let garbage = says(&[b'x'; 4096]);
    let header = says(b"l\x02\x01\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01v\0\0\0\0\0");
    // Signals without end.
    let chats = Bus::start(|mut stream| {
        greet(&mut stream)?;
        loop {
            stream.write_all(b"l\x04\x01\x01\0\0\0\0\x01\0\0\0\0\0\0\0")?;
        }
    });
    let all: [(&str, &Bus, &str, &str); 9] = [
        ("silent", &silent, "timeout", "in time"),
        ("hangs", &hangs, "timeout", "in time"),
        ("http", &http, "protocol", "its greeting is none"),
        ("long-line", &long_line, "protocol", "its greeting is none"),
        ("closes", &closes, "closed", "broke"),
        ("huge", &huge, "protocol", "too long"),
        ("garbage", &garbage, "protocol", "no byte order"),
        ("header", &header, "protocol", "a header is none"),
        ("chats", &chats, "protocol", "nobody asked for"),
    ];
    let mut config: String = all
        .iter()
        .map(|(name, bus, ..)| {
            unit(name, "nginx", &key(&bus.socket())).replace("\"20s\"", "\"2s\"")
        })
        .collect();
    config += &unit("rejects", "nginx", &key(&rejects.socket()));
    let host = host().config(&config).start();
    for (name, _, reason, says) in all {
        expect(&host, name, "fail", reason.into(), says);
    }
    expect(
        &host,
        "rejects",
        "unknown",
        "inconclusive".into(),
        "does not let the user of this process in",
    );
}
