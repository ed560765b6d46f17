//! What newcomers see first: the configurations of README.md, and the demo that `plugins/start` serves.

use std::process::{Child, Command, Stdio};

use crate::support::guests::root;
use crate::support::host::{host, write};
use crate::support::program::{command, finish};
use crate::support::servers::free_address;

#[test]
fn the_configurations_of_the_readme_can_be_used() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is one");
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).collect();
    assert!(blocks.len() >= 3, "{}", blocks.len());
    for block in blocks {
        let (config, _) = block.split_once("```").expect("it ends");
        let dir = tempfile::tempdir().expect("a temporary folder");
        write(dir.path(), "wellcheck.toml", config);
        let mut validate = command();
        validate.current_dir(dir.path()).args(["validate", "--plugins"]);
        validate.arg(root().join("plugins")).env("DB_PASSWORD", "secret");
        finish(&mut validate, "").expect(0);
    }
}

/// The targets of the demo; they end with the test.
struct Targets(Child);

impl Drop for Targets {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_is_healthy_until_its_shop_breaks() {
    let port = free_address().port();
    let script = root().join("plugins/demo/target.py");
    let targets = Command::new("python3")
        .arg(script)
        .arg(port.to_string())
        .stderr(Stdio::null())
        .spawn()
        .map(Targets)
        .expect("python3 runs");
    let config = std::fs::read_to_string(root().join("plugins/demo/wellcheck.toml"))
        .expect("the demo's configuration")
        .replace("127.0.0.1:8081", &format!("127.0.0.1:{port}"))
        .replace("interval = \"5s\"", "interval = \"300ms\"\nfailure-threshold = 1")
        .replace("timeout = \"3s\"", "timeout = \"300ms\"");
    let examples =
        ["deadlines", "json-number", "login-flow", "metric-bound", "quorum", "token-expiry"];
    let host =
        examples.iter().fold(host(), |host, name| host.example(name)).config(&config).start();
    for name in ["shop", "shop-legacy", "shop-buys", "orders-queue", "disk-free"] {
        host.until_state(name, "pass");
    }
    let shop: std::net::SocketAddr = ([127, 0, 0, 1], port).into();
    let broken = crate::support::http::request(shop, "GET", "/break", &[], "").expect("an answer");
    assert_eq!(broken.code, 200);
    host.until_state("shop", "fail");
    drop(targets);
    let told = host.until("shop-buys", "blocked", |check| check["reason"] == "blocked");
    assert_eq!(told["blocked_by"][0], "shop", "{told}");
}
