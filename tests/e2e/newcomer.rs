//! What somebody writes on the first day, by the documentation alone: a dozen kinds against real
//! servers in one configuration, with conditions, a dependency, a maintenance window and a push.

use crate::configuration::tokens;
use crate::support::bind::bind;
use crate::support::checks::expect_pass;
use crate::support::chrony::chrony;
use crate::support::databases::{ENCODED, mariadb, postgres, redis};
use crate::support::host::{Host, host};
use crate::support::http::request;
use crate::support::nginx::Nginx;
use crate::support::program::{command, finish};
use crate::support::servers::is_root;

const CONFIGURATION: &str = r#"
[exec]
enabled = true
dirs = ["/usr/lib/nagios/plugins"]

[defaults]
interval = "30s"
timeout = "20s"

[[check]]
name = "db"
kind = "postgres"
url = "postgres://app:PASSWORD@127.0.0.1:POSTGRES/postgres"
query = "SELECT 42 AS answer, now() AS at"
fail = "row.answer != '42' && row.answer != 42"

[[check]]
name = "other-db"
kind = "mysql"
url = "mysql://app:PASSWORD@127.0.0.1:MARIADB/"

[[check]]
name = "cache"
kind = "redis"
url = "redis://:PASSWORD@127.0.0.1:REDIS"
maintenance = true

[[check]]
name = "shop"
kind = "http"
url = "http://127.0.0.1:NGINX/"
depends-on = ["db"]
warn = ["latency > 10s", "connect > 10s"]
fail = ["json.status != 'ok'", "json.queue.size() > 10"]

[[check]]
name = "login"
kind = "steps"
url = "http://127.0.0.1:NGINX"
[[check.step]]
url = "/login"
capture = { token = { json = "$.token" } }
[[check.step]]
url = "/"
bearer = "{{token}}"
expect-body = "ok"

[[check]]
name = "names"
kind = "dns"
server = "127.0.0.1:BIND"
query-name = "www.shop.test"
expect-answers = ["192.0.2.1", "192.0.2.2"]
fail = "ttl < 30s"

[[check]]
name = "clock"
kind = "ntp"
target = "127.0.0.1:CHRONY"
max-offset = "5s"

[[check]]
name = "port"
kind = "tcp"
target = "127.0.0.1:NGINX"
fail = "connect > 10s"

[[check]]
name = "disk"
kind = "exec"
command = ["check_disk", "-w", "0%", "-c", "0%", "-p", "/"]

[[check]]
name = "settings"
kind = "file"
path = "wellcheck.toml"
fail = ["size > 1MiB", "age > 30d"]

[[check]]
name = "resolver"
kind = "udp"
target = "127.0.0.1:BIND"
send-hex = "00 01"

[[check]]
name = "backup"
kind = "push"
ttl = "25h"
warn = "has(duration) && duration > 1h"

[[group]]
name = "front"
members = ["shop", "login", "port"]
at-least = 2

[[maintenance]]
title = "Time server"
names = ["clock"]
cron = "* * * * *"
duration = "1h"
"#;

fn start(nginx: &Nginx) -> Host {
    let mut config = tokens() + CONFIGURATION;
    for (name, port) in [
        ("POSTGRES", postgres().port),
        ("MARIADB", mariadb().port),
        ("REDIS", redis().port),
        ("NGINX", nginx.address.port()),
        ("BIND", bind().port),
        ("CHRONY", chrony().port),
    ] {
        config = config.replace(name, &port.to_string());
    }
    if is_root() {
        config += "[[check]]\nname = \"gateway\"\nkind = \"icmp\"\ntarget = \"127.0.0.1\"\n";
    }
    host().config(&config.replace("PASSWORD", ENCODED)).start()
}

#[test]
fn what_a_team_writes_on_its_first_day_works() {
    let nginx = Nginx::start(
        "default_type application/json;
        location / { return 200 '{\"status\": \"ok\", \"queue\": [1, 2]}'; }
        location = /login { return 200 '{\"token\": \"abc\"}'; }",
    );
    let host = start(&nginx);
    for (name, says) in [
        ("db", "answered `SELECT 42 AS answer, now() AS at`"),
        ("other-db", ""),
        ("cache", "answered PONG"),
        ("shop", "answered 200 OK"),
        ("login", "2 steps passed"),
        ("names", "answered NOERROR with 2 answers"),
        ("clock", "the clocks differ by "),
        ("port", "connected"),
        ("disk", "DISK OK"),
        ("settings", "KiB"),
        ("resolver", ""),
    ] {
        expect_pass(&host, name, says);
    }
    if is_root() {
        expect_pass(&host, "gateway", "answered in ");
    }
    let health = host.get("/health");
    assert_eq!(health.code, 503, "nobody has pushed yet: {}", health.body);
    let headers = [("Authorization", "Bearer token-of-operate")];
    let pushed = request(host.address, "POST", "/api/v1/push/backup", &headers, "");
    assert_eq!(pushed.expect("an answer").code, 200);
    host.until_state("backup", "pass");
    let health = host.get("/health");
    assert_eq!(health.code, 200, "{}", health.body);
    let text = host.get("/health?format=text").body;
    assert!(text.starts_with("pass: "), "{text}");
    assert!(text.contains("2 are in maintenance"), "{text}");
    let server = format!("http://{}", host.address);
    let run = |args: &[&str]| {
        let mut command = command();
        command.current_dir(host.dir()).args(args).env("WELLCHECK_SERVER", &server);
        finish(command.env("WELLCHECK_TOKEN", "token-of-operate"), "")
    };
    let ended = run(&["check", "run", "shop"]).expect(0);
    assert_eq!(ended.out, "pass: answered 200 OK\nstate: pass\n");
    assert_eq!(run(&["check", "pause", "port"]).expect(0).out, "paused `port`\n");
    assert_eq!(run(&["check", "resume", "port"]).expect(0).out, "resumed `port`\n");
    assert!(run(&["status"]).expect(0).out.contains("postgres"), "by the server of the variable");
    run(&["validate"]).expect(0);
    run(&["push", "backup", "--status", "fail", "--message", "disk full"]).expect(0);
    let failed = host.until_state("backup", "fail");
    assert_eq!(failed["message"], "disk full");
    assert_eq!(host.get("/health").code, 503);
}
