//! Plugins from elsewhere: pushed to and pulled from a real registry, locked, verified, kept, and
//! run by the server while their source comes and goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::support::certificates::Authority;
use super::support::guests::{guest, guest_path};
use super::support::host::{Builder, host};
use super::support::nginx::Nginx;
use super::support::program::{Ended, command, finish};
use super::support::registry::{Registry, Signer};
use super::support::target;
use super::support::wait::until;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A folder to run commands in, with nothing of docker's.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: TempDir::with_prefix("wellcheck-desk-").expect("a temporary folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn run_with(&self, env: &[(&str, &Path)], args: &[&str]) -> Ended {
        let mut command = command();
        command.current_dir(self.dir.path()).args(args);
        command.env("DOCKER_CONFIG", self.dir.path().join("docker"));
        finish(command.envs(env.iter().copied()), "")
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.run_with(&[], args)
    }
}

#[track_caller]
fn push(desk: &Desk, name: &str, source: &str) -> Value {
    let path = guest_path(name).to_string_lossy().into_owned();
    desk.run(&["plugin", "push", &path, source, "--json"]).expect(0).json()
}

/// By a tool that is not ours.
fn hash(bytes: &[u8]) -> String {
    let dir = TempDir::new().expect("a temporary folder");
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).expect("a file");
    let output = std::process::Command::new("sha256sum").arg(&path).output();
    let text = String::from_utf8(output.expect("it can be run").stdout).expect("it writes text");
    format!("sha256:{}", text.split(' ').next().expect("a hash"))
}

/// A server with one plugin from elsewhere.
fn server(source: &str, more: &str) -> Builder {
    let config = format!(
        "[[plugin]]\nname = \"queue\"\nsource = \"{source}\"\n{more}\n[[check]]\nname = \"orders\"\nplugin = \"queue\"\ninterval = \"100ms\"\n[check.grants]\nhttp = \"http://127.0.0.1:1\"\n"
    );
    host().own_cache().config(&config)
}

// ── Pushing and pulling ────────────────────────────────────────────────────────────────────────

#[test]
fn what_is_pushed_has_the_layout_of_wkg_and_comes_back_whole() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let (bytes, source) = (guest("minimal"), registry.source("team/queue:1.0"));
    let path = guest_path("minimal").to_string_lossy().into_owned();
    let args = [
        "plugin",
        "push",
        &path,
        &source,
        "--tag",
        "1",
        "--tag",
        "latest",
        "--source",
        "https://example.com/queue",
        "--json",
    ];
    let pushed = desk.run(&args).expect(0).json();
    assert_eq!(pushed["digest"], hash(&bytes));
    assert_eq!(pushed["tags"], serde_json::json!(["1.0", "1", "latest"]));

    let answer = registry.get("/v2/team/queue/manifests/1.0", MANIFEST);
    assert_eq!(pushed["manifest"], hash(answer.body.as_bytes()));
    let manifest = answer.json();
    let keys: Vec<&String> = manifest.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["annotations", "config", "layers", "mediaType", "schemaVersion"]);
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], MANIFEST);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], hash(&bytes));
    assert_eq!(manifest["layers"][0]["size"], bytes.len());
    let about = &manifest["annotations"];
    assert_eq!(about["org.opencontainers.image.title"], pushed["name"]);
    assert_eq!(about["org.opencontainers.image.version"], pushed["version"]);
    assert_eq!(about["org.opencontainers.image.source"], "https://example.com/queue");
    assert_eq!(about.as_object().map(serde_json::Map::len), Some(3));

    let digest = manifest["config"]["digest"].as_str().expect("a digest");
    let config = registry.get(&format!("/v2/team/queue/blobs/{digest}"), "*/*").json();
    assert_eq!(config["architecture"], "wasm");
    assert_eq!(config["os"], "wasip2");
    assert_eq!(config["layerDigests"], serde_json::json!([hash(&bytes)]));
    let created = config["created"].as_str().expect("a time");
    assert!(created.ends_with('Z') && created.contains('T'), "{created}");
    let exports = config["component"]["exports"].to_string();
    assert!(exports.contains("wellcheck:check/checker@0.1"), "{exports}");
    assert!(config["component"]["imports"].is_array(), "{config}");

    // By each tag and by the digest of the manifest.
    let by_digest = format!(
        "{}@{}",
        registry.source("team/queue"),
        pushed["manifest"].as_str().expect("a digest")
    );
    for (index, source) in
        [registry.source("team/queue:1"), registry.source("team/queue"), by_digest]
            .iter()
            .enumerate()
    {
        let out = format!("out{index}.wasm");
        desk.run(&["plugin", "pull", source, "--output", &out]).expect(0);
        assert_eq!(std::fs::read(desk.path(&out)).expect("it was written"), bytes, "{source}");
    }
    // Without a name it goes into the plugins folder; the lock says what it is.
    let pulled = desk.run(&["plugin", "pull", &source, "--json"]).expect(0).json();
    assert_eq!(pulled["name"], "queue");
    assert!(desk.path("plugins/queue.wasm").exists());
    let lock = desk.read("plugins.lock");
    assert!(lock.contains(&format!("digest = \"{}\"", hash(&bytes))), "{lock}");
    assert!(lock.contains(&format!("source = \"{source}\"")), "{lock}");
    desk.run(&["run", "plugins/queue.wasm"]).expect(0);
}

#[test]
fn a_pull_that_cannot_be_says_what_to_do_and_writes_nothing() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    push(&desk, "minimal", &registry.source("queue:1"));
    let pull = |source: &str, more: &[&str]| {
        let ended = desk.run(&[&["plugin", "pull", source], more].concat());
        assert!(!desk.path("plugins").exists() && !desk.path("plugins.lock").exists());
        (ended.code, ended.err)
    };
    let (code, err) = pull(&registry.source("queue:2"), &[]);
    assert!(code == 65 && err.contains("version `2`") && err.contains("404"), "{err}");
    let (code, err) = pull(&registry.source("other"), &[]);
    assert!(code == 65 && err.contains("404"), "{err}");
    let wrong = format!("sha256:{}", "0".repeat(64));
    let (code, err) = pull(&registry.source("queue:1"), &["--digest", &wrong]);
    let expected = format!("expected `{wrong}`");
    assert!(code == 65 && err.contains(&expected), "{err}");
    let (code, err) = pull(&format!("{}@{wrong}", registry.source("queue")), &[]);
    assert!(code == 65 && err.contains("404"), "{err}");
    for bad in
        ["oci://127.0.0.1:1/../queue", "oci://127.0.0.1:1/queue:../x", "http://192.0.2.1/x.wasm"]
    {
        let (code, err) = pull(bad, &[]);
        assert!(code == 64, "{bad}: {code} {err}");
    }
    let (code, err) = pull(&registry.source("queue:1"), &["--output", "../Bad Name.wasm"]);
    assert!(code == 65 && err.contains("is not a name"), "{err}");
    registry.stop();
    let (code, err) = pull(&registry.source("queue:1"), &[]);
    assert!(code == 69 && err.contains("is it running?"), "{err}");
}

#[test]
fn what_is_no_plugin_is_neither_pushed_nor_pulled() {
    let (registry, desk) = (Registry::start(), Desk::new());
    for (name, why) in [("core-module", "core module"), ("wrong-world", "")] {
        let path = guest_path(name).to_string_lossy().into_owned();
        let ended = desk.run(&["plugin", "push", &path, &registry.source("x:1")]).expect(65);
        assert!(ended.err.contains(why), "{}", ended.err);
    }
    assert_eq!(registry.get("/v2/x/tags/list", "*/*").code, 404);
    let page = target::http().body("<html>not found, but politely</html>").start();
    let ended = desk.run(&["plugin", "pull", &page.url("/queue.wasm")]).expect(65);
    assert!(ended.err.contains("not WebAssembly"), "{}", ended.err);
}

#[test]
fn a_file_that_was_changed_in_the_registry_is_refused() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let blob = registry.blob(&digest);
    let mut bytes = std::fs::read(&blob).expect("the registry keeps it there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&blob, bytes).expect("it is ours");
    let ended = desk.run(&["plugin", "pull", &source]).expect(65);
    assert!(ended.err.contains(&format!("expected `{digest}`")), "{}", ended.err);
    assert!(!desk.path("plugins").exists());
}

#[test]
fn credentials_come_from_the_configuration_or_from_docker_and_are_shown_nowhere() {
    let registry = Registry::start_for("deploy", "correct-horse");
    let desk = Desk::new();
    let source = registry.source("queue:1");
    let path = guest_path("minimal").to_string_lossy().into_owned();
    let ended = desk.run(&["plugin", "push", &path, &source]).expect(65);
    assert!(
        ended.err.contains("without credentials") && ended.err.contains("docker login"),
        "{}",
        ended.err
    );
    let config = |password: &str| {
        format!(
            "[[registry]]\nhost = \"{}\"\nusername = \"deploy\"\npassword = \"{password}\"\n",
            registry.address
        )
    };
    desk.write("wellcheck.toml", &config("wrong-battery"));
    let ended = desk.run(&["plugin", "push", &path, &source]).expect(65);
    assert!(ended.err.contains("user `deploy` from `[[registry]]`"), "{}", ended.err);
    assert!(!ended.err.contains("battery"), "{}", ended.err);
    desk.write("wellcheck.toml", &config("correct-horse"));
    desk.run(&["plugin", "push", &path, &source]).expect(0);
    std::fs::remove_file(desk.path("wellcheck.toml")).expect("it is there");
    // What `docker login` writes: base64 of `deploy:correct-horse`.
    std::fs::create_dir(desk.path("docker")).expect("a folder");
    let auth = format!(
        r#"{{"auths": {{"{}": {{"auth": "ZGVwbG95OmNvcnJlY3QtaG9yc2U="}}}}}}"#,
        registry.address
    );
    desk.write("docker/config.json", &auth);
    desk.run(&["plugin", "pull", &source]).expect(0);
}

#[test]
fn a_registry_that_wants_a_token_of_another_server_gets_one() {
    let registry = Registry::start();
    // What registries in the world do: `deploy:correct-horse` gives a token, which lets one in.
    let locations = format!(
        r#"
        location /v2/ {{
            if ($http_authorization != "Bearer good-token") {{ return 418; }}
            proxy_set_header Host $http_host;
            proxy_set_header Authorization "";
            proxy_pass http://{};
        }}
        error_page 418 = @ask;
        location @ask {{
            add_header WWW-Authenticate 'Bearer realm="http://127.0.0.1:{{PORT}}/token",service="tests"' always;
            return 401;
        }}
        location /token {{
            if ($http_authorization != "Basic ZGVwbG95OmNvcnJlY3QtaG9yc2U=") {{ return 401; }}
            if ($args !~ "^service=tests&scope=repository%3Aqueue%3Apull") {{ return 400; }}
            return 200 '{{"access_token": "good-token"}}';
        }}"#,
        registry.address
    );
    let nginx = Nginx::start(&locations);
    let desk = Desk::new();
    let source = format!("oci://{}/queue:1", nginx.address);
    let path = guest_path("minimal").to_string_lossy().into_owned();
    let ended = desk.run(&["plugin", "push", &path, &source]).expect(65);
    assert!(ended.err.contains("without credentials"), "{}", ended.err);
    let config = |password: &str| {
        format!(
            "[[registry]]\nhost = \"{}\"\nusername = \"deploy\"\npassword = \"{password}\"\n",
            nginx.address
        )
    };
    desk.write("wellcheck.toml", &config("wrong-battery"));
    let ended = desk.run(&["plugin", "push", &path, &source]).expect(65);
    assert!(ended.err.contains("a token (status 401; tried with user `deploy`"), "{}", ended.err);
    desk.write("wellcheck.toml", &config("correct-horse"));
    desk.run(&["plugin", "push", &path, &source]).expect(0);
    desk.run(&["plugin", "pull", &source]).expect(0);
    // A token that is there already is sent at once.
    desk.write(
        "wellcheck.toml",
        &format!("[[registry]]\nhost = \"{}\"\ntoken = \"good-token\"\n", nginx.address),
    );
    desk.run(&["plugin", "pull", &source]).expect(0);
}

#[test]
fn a_signature_must_be_there_by_a_named_key_and_over_this_file() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let (ours, others) = (Signer::new(), Signer::new());
    let file = desk.path("queue.wasm");
    std::fs::write(&file, guest("minimal")).expect("a file");
    let signature = ours.sign(&file).to_string_lossy().into_owned();
    let plain = registry.source("queue:plain");
    desk.run(&["plugin", "push", "queue.wasm", &plain]).expect(0);
    let signed = registry.source("queue:signed");
    desk.run(&["plugin", "push", "queue.wasm", &signed, "--sign-with", &signature]).expect(0);
    // A signature over another file.
    std::fs::write(desk.path("other.wasm"), guest("older-minor")).expect("a file");
    let forged = registry.source("queue:forged");
    desk.run(&["plugin", "push", "other.wasm", &forged, "--sign-with", &signature]).expect(0);

    let pull = |source: &str, key: &str| desk.run(&["plugin", "pull", source, "--key", key]);
    let ended = pull(&plain, &ours.key).expect(65);
    assert!(ended.err.contains("is not signed, and must be"), "{}", ended.err);
    let ended = pull(&signed, &others.key).expect(65);
    assert!(ended.err.contains("by a key that is not named"), "{}", ended.err);
    let ended = pull(&forged, &ours.key).expect(65);
    assert!(ended.err.contains("not the one that was signed"), "{}", ended.err);
    assert!(!desk.path("plugins").exists());
    let ended = pull(&signed, &ours.key).expect(0);
    assert!(ended.out.contains(&ours.key), "{}", ended.out);
    assert!(desk.read("plugins.lock").contains(&format!("signed-by = \"{}\"", ours.key)));
    assert!(desk.path("plugins/queue.wasm.minisig").exists());
    // One that is given away by mistake is not taken.
    let secret = "RWRTY0IyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(pull(&signed, secret).code, 64);
}

#[test]
fn a_file_behind_https_comes_with_a_signature_beside_it() {
    let (authority, desk, signer) = (Authority::new(), Desk::new(), Signer::new());
    let file = desk.path("served.wasm");
    std::fs::write(&file, guest("minimal")).expect("a file");
    signer.sign(&file);
    let locations = format!(
        "location / {{ root {}; }} location /away {{ return 302 http://127.0.0.1:1/x.wasm; }}",
        desk.dir.path().display()
    );
    let nginx = Nginx::start_tls(&authority.good(), &locations);
    let root = desk.path("root.pem");
    desk.write("root.pem", &authority.pem());
    // Some servers of files run as another user.
    open(desk.dir.path());
    let url = |path: &str| format!("https://localhost:{}{path}", nginx.address.port());
    let trust: &[(&str, &Path)] = &[("SSL_CERT_FILE", &root)];
    let ended = desk.run(&["plugin", "pull", &url("/served.wasm")]).expect(69);
    assert!(ended.err.contains("SSL_CERT_FILE"), "{}", ended.err);
    let args = ["plugin", "pull", &url("/served.wasm"), "--key", &signer.key];
    desk.run_with(trust, &args).expect(0);
    assert_eq!(
        std::fs::read(desk.path("plugins/served.wasm")).expect("it was written"),
        guest("minimal")
    );
    let ended = desk.run_with(trust, &["plugin", "pull", &url("/away")]).expect(65);
    assert!(ended.err.contains("from `https` to `http`"), "{}", ended.err);
    std::fs::remove_file(desk.path("served.wasm.minisig")).expect("it is there");
    let ended = desk.run_with(trust, &args).expect(65);
    assert!(ended.err.contains("is not signed"), "{}", ended.err);
}

fn open(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("it is ours");
}

#[test]
fn slow_and_endless_sources_end_by_the_limits() {
    let desk = Desk::new();
    desk.write(
        "wellcheck.toml",
        "[plugins.limits]\nfetch-time = \"300ms\"\nfile-bytes = \"64KiB\"\n",
    );
    for (server, code, words) in [
        (target::http().silent(), 69, "fetch-time"),
        (target::http().trickle(), 69, "fetch-time"),
        (target::http().endless_body(), 65, "larger than 64 KiB"),
        (target::http().endless_redirects(), 65, "302"),
        (target::http().garbage(), 65, ""),
    ] {
        let server = server.start();
        let ended = desk.run(&["plugin", "pull", &server.url("/queue.wasm")]);
        assert!(ended.code == code && ended.err.contains(words), "{} {}", ended.code, ended.err);
        // As a manifest likewise.
        let source = format!("oci://{}/queue:1", server.address);
        let ended = desk.run(&["plugin", "pull", &source]);
        assert!(ended.code == code, "{} {}", ended.code, ended.err);
    }
    assert!(!desk.path("plugins").exists());
}

// ── The server ─────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_server_runs_what_a_source_leads_to_and_goes_on_without_it() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("team/queue:1");
    let digest = push(&desk, "wants-little", &source)["digest"].clone();
    let host = server(&source, "").start();
    host.until_run("orders");
    let plugins = host.json("/api/v1/status")["plugins"].clone();
    assert_eq!(plugins[0]["fetched"]["source"], source.as_str());
    assert_eq!(plugins[0]["fetched"]["digest"], digest);
    assert_eq!(plugins[0]["fetched"]["locked"], false);
    // The registry goes, and a restart finds the file in the cache.
    registry.stop();
    let host = host.restart();
    host.until_run("orders");
    let notes = host.until_noted("the kept `sha256:");
    assert!(notes.contains("is it running?"), "{notes}");
    // It comes back, and the note goes.
    registry.resume();
    until("no note", || match host.notes() {
        notes if notes.is_empty() => Ok(()),
        notes => Err(notes),
    });
}

#[test]
fn a_source_that_is_not_there_yet_holds_its_checks_and_nothing_else() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    push(&desk, "minimal", &source);
    registry.stop();
    let host = server(&source, "").guest("echo").start();
    host.until_ready();
    let check = host.until("orders", "a reason", |check| {
        check["message"].as_str().is_some_and(|m| m.contains("cannot be fetched"))
    });
    assert_eq!(check["state"], "unknown", "{check}");
    host.until("echo", "a run", |check| check["outcome"].is_object());
    registry.resume();
    host.until_state("orders", "pass");
}

#[test]
fn a_new_version_behind_a_tag_comes_with_a_reload_or_with_the_interval() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let version =
        |name: &str| push(&desk, name, &source)["version"].as_str().expect("a version").to_owned();
    let first = version("minimal");
    let host = server(&source, "").start();
    host.until_version("orders", &first);
    let second = version("echo");
    assert_ne!(first, second, "two guests of the same version tell nothing");
    host.signal(rustix::process::Signal::HUP);
    host.until_version("orders", &second);
    // And by itself.
    let host = server(&source, "interval = \"1s\"\n").start();
    host.until_version("orders", &second);
    version("minimal");
    host.until_version("orders", &first);
}

#[test]
fn a_lock_pins_what_runs_whatever_the_tag_leads_to() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let old = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let builder = server(&source, "");
    let dir = builder.path().to_owned();
    let lock = |args: &[&str]| {
        let mut command = command();
        command.current_dir(&dir).args(["plugin", "lock"]).args(args);
        command.env("WELLCHECK_CACHE", dir.join("cache"));
        finish(&mut command, "")
    };
    let ended = lock(&["--check"]).expect(65);
    assert!(ended.err.contains("wellcheck plugin lock"), "{}", ended.err);
    assert!(lock(&[]).expect(0).out.contains(&old));
    lock(&["--check"]).expect(0);
    let new = push(&desk, "echo", &source)["digest"].as_str().expect("a digest").to_owned();
    let host = builder.start();
    host.until_run("orders");
    let notes = host.until_noted("leads to");
    assert!(
        notes.contains(&old) && notes.contains(&new) && notes.contains("--update queue"),
        "{notes}"
    );
    let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
    assert_eq!(fetched["digest"], old.as_str());
    assert_eq!(fetched["locked"], true);
    // Without a cache, the locked file is fetched although the tag leads elsewhere.
    let ended = lock(&["--check"]).expect(65);
    assert!(ended.out.contains(&format!("{old} -> {new}")), "{}", ended.out);
    let ended = lock(&["--update", "nothing"]).expect(65);
    assert!(ended.err.contains("there are: `queue`"), "{}", ended.err);
    // The lock changes, and the server follows by itself.
    lock(&["--update", "queue"]).expect(0);
    until("the new file runs", || {
        let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
        let is_new = fetched["digest"] == new.as_str() && host.notes().is_empty();
        if is_new { Ok(()) } else { Err(fetched.to_string()) }
    });
    // A lock that cannot be read is not passed over.
    std::fs::write(dir.join("plugins.lock"), "version = 1\n[[plugin]]\nname = 3\n")
        .expect("a file");
    host.until_noted("the configuration on disk has 1 problem");
}

#[test]
fn a_locked_file_is_fetched_although_its_tag_has_moved() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let old = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let builder = server(&source, "");
    let mut locking = command();
    locking.current_dir(builder.path()).args(["plugin", "lock"]);
    // Into another cache than that of the server.
    finish(locking.env("WELLCHECK_CACHE", desk.path("cache")), "").expect(0);
    push(&desk, "echo", &source);
    let host = builder.start();
    host.until_run("orders");
    let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
    assert_eq!(fetched["digest"], old.as_str());
}

#[test]
fn a_kept_file_that_was_changed_is_fetched_again() {
    let (mut registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let host = server(&source, "").start();
    host.until_run("orders");
    let kept = host.dir().join(format!("cache/fetched/{}.wasm", &digest["sha256:".len()..]));
    std::fs::write(&kept, guest("echo")).expect("it is ours");
    registry.stop();
    let host = host.restart();
    let check = host.until("orders", "a reason", |check| {
        check["message"].as_str().is_some_and(|m| m.contains("cannot be fetched"))
    });
    assert_eq!(check["state"], "unknown");
    registry.resume();
    host.until_state("orders", "pass");
    assert_eq!(hash(&std::fs::read(&kept).expect("it is there")), digest);
}

#[test]
fn a_kept_file_that_goes_stops_nothing_and_is_fetched_again_by_a_reload() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].as_str().expect("a digest").to_owned();
    let host = server(&source, "").start();
    host.until_state("orders", "pass");
    let kept = host.dir().join(format!("cache/fetched/{}.wasm", &digest["sha256:".len()..]));
    std::fs::remove_file(&kept).expect("it is ours");
    // Longer than from one look at the disk to the next but one.
    for _ in 0..20 {
        let check = host.next_run("orders");
        assert_eq!(check["state"], "pass", "{check}");
    }
    host.signal(rustix::process::Signal::HUP);
    until("the file", || match std::fs::read(&kept) {
        Ok(bytes) if hash(&bytes) == digest => Ok(()),
        other => Err(format!("{:?}", other.map(|bytes| bytes.len()))),
    });
    host.until_state("orders", "pass");
}

#[test]
fn a_key_that_is_no_longer_named_stops_what_it_vouched_for() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let (ours, others) = (Signer::new(), Signer::new());
    let file = desk.path("queue.wasm");
    std::fs::write(&file, guest("minimal")).expect("a file");
    let signature = ours.sign(&file).to_string_lossy().into_owned();
    let source = registry.source("queue:1");
    desk.run(&["plugin", "push", "queue.wasm", &source, "--sign-with", &signature]).expect(0);
    let host = server(&source, &format!("key = \"{}\"\n", ours.key)).start();
    host.until_state("orders", "pass");
    let fetched = host.json("/api/v1/status")["plugins"][0]["fetched"].clone();
    assert_eq!(fetched["signed_by"], ours.key.as_str());
    let text = std::fs::read_to_string(host.dir().join("wellcheck.toml")).expect("it is there");
    host.configure(&text.replace(&ours.key, &others.key));
    host.until("orders", "held", |check| {
        check["message"].as_str().is_some_and(|m| m.contains("by a key that is not named"))
    });
    host.configure(&text);
    host.until_state("orders", "pass");
}

#[test]
fn files_of_the_folder_must_be_signed_where_that_is_asked_for() {
    let (signer, desk) = (Signer::new(), Desk::new());
    let config = format!("[plugins]\nkeys = [\"{}\"]\nrequire-signed = true\n", signer.key);
    let host = host().config(&config).guest("minimal").start();
    host.until_ready();
    let note = host.until_noted("is not signed");
    assert!(note.contains("`minimal.wasm.minisig` beside it"), "{note}");
    // The signature may come later than the file.
    std::fs::write(desk.path("minimal.wasm"), guest("minimal")).expect("a file");
    let signature = signer.sign(&desk.path("minimal.wasm"));
    let text = std::fs::read_to_string(signature).expect("it was written");
    host.write("plugins/minimal.wasm.minisig", &text);
    host.until_state("minimal", "pass");
    // It is over this file alone.
    host.replace("plugins/minimal.wasm", guest("older-minor"));
    let note = host.until_noted("not the one that was signed");
    assert!(note.contains("goes on"), "{note}");
    // And where nobody asks any more, everything is loaded.
    host.configure("");
    until("no note", || match host.notes() {
        notes if notes.is_empty() => Ok(()),
        notes => Err(notes),
    });
}

#[test]
fn a_file_with_the_name_of_a_fetched_plugin_is_not_used() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let digest = push(&desk, "minimal", &source)["digest"].clone();
    let host = server(&source, "").plugin("queue", &guest("trap")).start();
    host.until_state("orders", "pass");
    let status = host.json("/api/v1/status");
    assert_eq!(status["plugins"][0]["fetched"]["digest"], digest);
    let problems = status["configuration"]["problems"].to_string();
    assert!(problems.contains("`queue.wasm` of the plugins folder"), "{problems}");
    // Dropping it cannot refuse a reload.
    let ended = host.ask("GET", "/api/v1/status", &[]);
    assert_eq!(ended.json()["configuration"]["applied"], true);
}

#[test]
fn validate_fetches_only_when_asked_to() {
    let (registry, desk) = (Registry::start(), Desk::new());
    let source = registry.source("queue:1");
    let config = |digest: &str| {
        format!(
            "[[plugin]]\nname = \"queue\"\nsource = \"{source}\"\n{digest}\n[[check]]\nname = \"orders\"\nplugin = \"queue\"\n"
        )
    };
    desk.write("wellcheck.toml", &config(""));
    let cache = desk.path("cache");
    let env: &[(&str, &Path)] = &[("WELLCHECK_CACHE", &cache)];
    desk.run_with(env, &["validate"]).expect(0);
    let ended = desk.run_with(env, &["validate", "--fetch"]).expect(65);
    assert!(ended.err.contains("wellcheck.toml:1:1") && ended.err.contains("404"), "{}", ended.err);
    push(&desk, "minimal", &source);
    desk.run_with(env, &["validate", "--fetch"]).expect(0);
    desk.write("wellcheck.toml", &config(&format!("digest = \"sha256:{}\"", "1".repeat(64))));
    let ended = desk.run_with(env, &["validate", "--fetch"]).expect(65);
    assert!(ended.err.contains("expected `sha256:1111"), "{}", ended.err);
}

#[test]
fn a_fetch_that_hangs_delays_nobody() {
    let silent = target::http().silent().start();
    let host = server(&format!("oci://{}/queue:1", silent.address), "").guest("minimal").start();
    assert!(host.started_in < Duration::from_secs(15), "{:?}", host.started_in);
    host.until_state("minimal", "pass");
    let check = host.check("orders");
    assert_eq!(check["state"], "unknown", "{check}");
    let message = check["message"].as_str().unwrap_or_default();
    assert!(message.contains("being fetched"), "{check}");
}
