//! Plugins pushed to and pulled from a real registry, by hand: the layout, credentials, signatures,
//! and what is refused.

use std::path::Path;

use super::support::certificates::Authority;
use super::support::desk::{Desk, hash, push};
use super::support::guests::{guest, guest_path};
use super::support::nginx::Nginx;
use super::support::registry::{Registry, Signer};
use super::support::target;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

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
