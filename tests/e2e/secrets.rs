//! Secrets: they reach whom they are meant for, and nobody else.

use base64::Engine as _;
use serde_json::Value;

use crate::configuration::tokens;
use crate::support::certificates::Authority;
use crate::support::host::{Builder, host};
use crate::support::nginx::Nginx;
use crate::support::program::{command, finish};
use crate::support::target;

const CANARY: &str = "canary-7f3a\"quoted\\and back";
const FILED: &str = "filed-canary-51c2";
const LITERAL: &str = "literal-canary-0d94";

/// What `basic-auth` sends.
fn basic() -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{FILED}:{CANARY}"))
}

/// The checks of [`with_secrets`].
const NAMES: [&str; 10] =
    ["mirror", "echo", "print", "denied", "unresolved", "added", "basic", "reader", "told", "said"];

/// Every way by which a secret could come back: the target mirrors what it was sent, a guest prints
/// and reports its settings, and a mistake stands beside it.
fn with_secrets(target: &target::Target) -> Builder {
    let config = format!(
        r#"{tokens}
[[check]]
name = "mirror"
kind = "http"
url = "{url}?key=${{FILED}}"
headers = {{ Authorization = "Bearer ${{CANARY}}", X-File = "${{file:secret.txt}}" }}
body = "${{CANARY}} ${{file:secret.txt}}"
expect-body = "never ${{CANARY}}"
expect-body-matches = "never ${{file:secret.txt}}"
interval = "200ms"
[[check]]
name = "echo"
plugin = "echo"
interval = "200ms"
settings = {{ status = "fail", message = "${{CANARY}} and ${{file:secret.txt}}", details = {{ password = "${{CANARY}}" }}, parts = [{{ name = "${{CANARY}}", status = "fail", message = "${{CANARY}}" }}], observations = [{{ name = "n", value = 1, labels = {{ l = "${{CANARY}}" }} }}] }}
[[check]]
name = "print"
plugin = "print"
interval = "200ms"
settings = {{ text = "${{CANARY}} ${{file:secret.txt}}\n" }}
[[check]]
name = "denied"
plugin = "http-get"
interval = "200ms"
settings = {{ url = "http://${{FILED}}.example/" }}
[[check]]
name = "unresolved"
kind = "http"
url = "http://${{FILED}}.invalid/"
[[check]]
name = "added"
plugin = "http-get"
interval = "200ms"
settings = {{ url = "{url}added" }}
[check.grants]
http = [{{ url = "{origin}", headers = {{ x-token = "${{CANARY}}", authorization = "Bearer ${{FILED}}" }} }}]
[[check]]
name = "basic"
plugin = "http-get"
interval = "200ms"
settings = {{ url = "{url}basic" }}
[check.grants]
http = [{{ url = "{origin}", basic-auth = "${{FILED}}:${{CANARY}}" }}]
[[check]]
name = "reader"
plugin = "read-secrets"
interval = "200ms"
settings = {{ names = ["one", "two", "filed", "other"] }}
[check.grants]
secrets = ["one", "filed"]
[[check]]
name = "told"
plugin = "read-secrets"
interval = "200ms"
settings = {{ names = ["one", "filed"] }}
[check.grants]
secrets = ["one", "filed"]
[[check]]
name = "said"
plugin = "read-secrets"
interval = "200ms"
settings = {{ names = ["one"], fault = true }}
[check.grants]
secrets = "one"
[secrets]
one = "${{CANARY}}"
filed = "${{file:secret.txt}}"
two = "{LITERAL}"
other = "{LITERAL} two"
"#,
        tokens = tokens(),
        url = target.url("/"),
        origin = target.url("")
    );
    host()
        .config(&config)
        .env("CANARY", CANARY)
        .env("FILED", FILED)
        .file("secret.txt", format!("{FILED}\n"))
        .guest("echo")
        .guest("print")
        .guest("http-get")
        .guest("read-secrets")
        .arg("--log")
        .arg("trace,hyper=info,wasmtime=info,cranelift=info")
}

#[track_caller]
fn check_clean(what: &str, text: &str) {
    let json = Value::from(CANARY).to_string();
    let encoded: String = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect();
    let basic = basic();
    let all = [CANARY, &json[1..json.len() - 1], FILED, "canary-7f3a", &encoded, &basic, LITERAL];
    for secret in all {
        assert!(!text.contains(secret), "`{secret}` is in {what}: {text}");
    }
}

#[test]
fn secrets_reach_their_target_and_no_text_of_ours() {
    let target = target::http().mirror().start();
    let host = with_secrets(&target).start();
    for name in NAMES {
        host.until_run(name);
    }
    let sent = target.requests().concat();
    assert!(sent.contains(CANARY) && sent.contains(FILED), "the target got them: {sent}");
    assert!(sent.contains(&format!("Basic {}", basic())), "the target got it: {sent}");
    assert!(sent.contains(&format!("authorization: Bearer {FILED}")), "{sent}");
    // The plugin saw it in the answer, since this target mirrors it; nobody else does.
    assert!(host.check("added")["outcome"]["details"].to_string().contains("[redacted]"));
    assert_eq!(host.check("reader")["reason"], "denied");
    assert!(host.check("told")["outcome"].to_string().contains("[redacted]"));
    assert!(host.check("said")["message"].to_string().contains("the secret is [redacted]"));
    assert!(host.check("print")["outcome"]["log"].to_string().contains("[redacted]"));
    assert!(host.check("echo")["outcome"].to_string().contains("[redacted]"));

    let mut paths = vec!["/".to_owned(), "/readyz?verbose".to_owned()];
    paths.extend(["/api/v1/checks", "/api/v1/status", "/health/status"].map(str::to_owned));
    for format in wellcheck_core::format::FORMATS {
        paths.push(format!("/health?format={}", format.name()));
        paths.extend(host.names().iter().map(|n| format!("/health/{n}?format={}", format.name())));
    }
    paths.extend(host.names().iter().map(|name| format!("/api/v1/checks/{name}")));
    for path in &paths {
        check_clean(path, &host.get(path).body);
    }
    check_clean("the log", &host.log());

    // A refused configuration: its problems quote what stands there.
    let config = std::fs::read_to_string(host.dir().join("wellcheck.toml")).expect("readable");
    let refused = config
        + "[[check]]\nname = \"${CANARY}\"\nkind = \"${FILED}\"\nurl = \"${CANARY}\"\n\
        timeout = \"${FILED}\"\nmethod = \"${CANARY}\"\nhttp-version = \"${FILED}\"\ntls-ca = \"${FILED}\"\n\
        expect-body-matches = \"(${FILED}\"\nproxy = \"${CANARY}\"\n";
    host.configure(&refused);
    let answer = host.ask("POST", "/-/reload", &[("Authorization", "Bearer token-of-admin")]);
    assert_eq!(answer.code, 422);
    check_clean("the answer to a reload", &answer.body);
    check_clean("/api/v1/status", &host.get("/api/v1/status").body);
    check_clean("the log", &host.log());

    // The same files on the command line.
    for args in [
        &["validate"][..],
        &["validate", "--json"],
        &["run", "mirror"],
        &["run", "mirror", "--json"],
        &["run", "reader", "--json"],
        &["run", "said"],
    ] {
        let mut program = command();
        program.current_dir(host.dir()).env("CANARY", CANARY).env("FILED", FILED).args(args);
        let ended = finish(&mut program, "");
        assert_ne!(ended.code, 0, "{ended:?}");
        check_clean(&format!("{args:?}"), &format!("{}{}", ended.out, ended.err));
    }
}

#[test]
fn secrets_stay_out_of_what_run_prints() {
    let target = target::http().mirror().start();
    let builder = with_secrets(&target);
    for name in NAMES {
        for json in [false, true] {
            let mut program = command();
            program.current_dir(builder.path()).env("CANARY", CANARY).env("FILED", FILED);
            program.args(["run", name]);
            if json {
                program.arg("--json");
            }
            let ended = finish(&mut program, "");
            assert!(!ended.out.is_empty(), "{ended:?}");
            check_clean(name, &format!("{}{}", ended.out, ended.err));
        }
    }
}

/// Runs of `plugin inspect` show what a check is granted; what a grant adds is shown by name.
#[test]
fn inspect_names_what_a_grant_adds_and_nothing_more() {
    let target = target::http().mirror().start();
    let builder = with_secrets(&target);
    for plugin in ["http-get", "read-secrets"] {
        for json in [&[][..], &["--json"]] {
            let mut program = command();
            program.current_dir(builder.path()).env("CANARY", CANARY).env("FILED", FILED);
            program.args(["plugin", "inspect", &format!("plugins/{plugin}.wasm")]).args(json);
            let ended = finish(&mut program, "").expect(0);
            check_clean(plugin, &format!("{}{}", ended.out, ended.err));
            if plugin == "http-get" {
                assert!(ended.out.contains("adds: authorization, x-token"), "{}", ended.out);
            }
        }
    }
}

#[test]
fn a_client_certificate_is_shown_to_the_granted_host_only() {
    let authority = Authority::new();
    let server = authority.good();
    let client = authority.issue(&["a-client"], (2020, 2180));
    let nginx = Nginx::start_tls(
        &server,
        "ssl_verify_client optional; ssl_client_certificate cert.pem; location / { return 200 $ssl_client_verify; }",
    );
    let check = |name: &str, identity: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\nplugin = \"http-get\"\nsettings = {{ url = \"{}\" }}\n\
             [check.grants]\nhttp = [{{ url = \"{}\"{identity} }}]\n",
            nginx.https("/"),
            nginx.https("")
        )
    };
    let identity =
        ", client-certificate = \"${file:client.pem}\", client-key = \"${file:client-key.pem}\"";
    let host = host()
        .config(&(check("known", identity) + &check("stranger", "")))
        .file("client.pem", &client.certificate)
        .file("client-key.pem", &client.key)
        .file("roots.pem", authority.pem())
        .guest("http-get");
    let roots = host.path().join("roots.pem").to_string_lossy().into_owned();
    let host = host.env("SSL_CERT_FILE", &roots).start();
    let body = |name: &str| host.until_run(name)["outcome"]["details"]["body"].clone();
    assert_eq!(body("known"), "SUCCESS");
    assert_eq!(body("stranger"), "NONE");
    let detail = host.get("/api/v1/checks/known").body;
    assert!(
        detail.contains("client-certificate") || detail.contains("client certificate"),
        "{detail}"
    );
    assert!(!detail.contains("PRIVATE KEY") && !detail.contains("BEGIN"), "{detail}");
}

#[test]
fn what_a_grant_adds_goes_to_the_granted_place_only() {
    let granted = target::http().status(200).start();
    let other = target::http().status(200).start();
    let bounce = target::http().status(302).header("location", &other.url("/")).start();
    let config = format!(
        "[[check]]\nname = \"x\"\nplugin = \"follow-redirects\"\nsettings = {{ url = \"{}\" }}\n[check.grants]\n\
         http = [{{ url = \"{}\", headers = {{ x-token = \"${{CANARY}}\" }} }}, \"{}\", \"{}\"]\n",
        bounce.url("/"),
        bounce.url(""),
        other.url(""),
        granted.url("")
    );
    let host = host().config(&config).env("CANARY", CANARY).guest("follow-redirects").start();
    host.until_run("x");
    assert!(bounce.requests().concat().contains(CANARY), "{:?}", bounce.requests());
    assert_eq!(other.count(), 1, "it was followed");
    assert!(!other.requests().concat().contains(CANARY), "{:?}", other.requests());
}

#[test]
fn a_sidecar_reads_nothing_of_the_host() {
    let sidecar =
        "settings = { message = \"${CANARY}\", details = { a = \"${file:/etc/hostname}\" } }\n";
    let host = host()
        .config("")
        .env("CANARY", CANARY)
        .guest("echo")
        .file("plugins/echo.toml", sidecar)
        .start();
    let check = host.until("echo", "held", |check| check["reason"] == "bad-settings");
    assert!(check["message"].as_str().is_some_and(|m| m.contains("echo.toml")), "{check}");
    let problems = host.json("/api/v1/status")["configuration"]["problems"].to_string();
    assert!(problems.contains("sidecar-grants"), "{problems}");
    check_clean("the problems", &problems);
    // What the owner of the host grants to sidecars, they may read.
    host.configure("[plugins]\nsidecar-grants = { env = [\"CANARY\"] }\n");
    host.write("plugins/echo.toml", "settings = { message = \"${CANARY}\" }\n");
    let check = host.until_run("echo");
    assert_eq!(check["message"], "[redacted]");
}
