//! An endpoint that tells nothing: no name, message, tag, label, title or target of a check or group
//! gets out by its body, its headers or its tag, and a token tells everything.

use std::net::SocketAddr;

use wellcheck_core::format::FORMATS;

use crate::configuration::tokens;
use crate::support::host::{Host, host};
use crate::support::http::{self, Answer};
use crate::support::target::{self, Target};

const CANARY: &str = "canary";

const TOKEN: (&str, &str) = ("Authorization", "Bearer token-of-view");

/// Everything that could be told has the word in it. `outside` is where it must not be.
#[track_caller]
fn start() -> (Host, SocketAddr, Target) {
    let target = target::http().status(200).start();
    let echo = |name: &str, status: &str| {
        format!(
            "[[check]]\nname = \"{name}\"\ntitle = \"canary-title\"\nplugin = \"echo\"\ntags = [\"canary-tag\"]\nlabels = {{ team = \"canary-label\" }}\n\
             settings = {{ status = \"{status}\", message = \"canary-message\", details = {{ canary-detail = \"canary-text\" }}, \
             observations = [{{ name = \"canary-number\", value = 1 }}], parts = [{{ name = \"canary-part\", status = \"pass\" }}] }}\n"
        )
    };
    let endpoint = |path: &str, format: &str, pick: &str| {
        format!(
            "[[endpoint]]\npath = \"{path}\"\n{format}{pick}\ndetail = \"none\"\ndetail-with-token = \"all\"\nlistener = \"outside\"\n"
        )
    };
    let (well, ill) = ("exclude = [\"canary-bad\"]", "names = [\"canary-bad\", \"canary-group\"]");
    let (spring, clearskies) = ("format = \"spring\"\n", "format = \"clearskies\"\n");
    let config = [
        tokens(),
        echo("canary-good", "pass"),
        echo("canary-bad", "fail"),
        format!(
            "[[check]]\nname = \"canary-web\"\nkind = \"http\"\nurl = \"{}\"\n",
            target.url("/canary-path")
        ),
        "[[check]]\nname = \"canary-trap\"\nplugin = \"trap\"\nmaintenance = true\n".to_owned(),
        "[[group]]\nname = \"canary-group\"\nmembers = [\"canary-good\", \"canary-web\"]\n"
            .to_owned(),
        "[[listen]]\nname = \"outside\"\naddress = \"127.0.0.1:0\"\nroutes = [\"/\", \"/livez\"]\n"
            .to_owned(),
        endpoint("/spring", spring, well),
        endpoint("/spring/ill", spring, ill),
        endpoint("/spring/one", spring, "names = [\"canary-good\"]"),
        endpoint("/clearskies", clearskies, well),
        endpoint("/clearskies/ill", clearskies, ill),
        endpoint("/free", "", well),
        endpoint("/free/ill", "", ill),
    ];
    let host = host().config(&config.concat()).guest("echo").guest("trap").start();
    for (name, state) in [("canary-good", "pass"), ("canary-bad", "fail"), ("canary-web", "pass")] {
        host.until_state(name, state);
    }
    host.until("canary-trap", "a trap", |check| check["reason"] == "trap");
    host.until_ready();
    let outside = host.listener_address("outside");
    (host, outside, target)
}

#[track_caller]
fn ask(outside: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    http::request(outside, "GET", path, headers, "").expect("an answer")
}

#[track_caller]
fn tells_nothing(what: &str, answer: &Answer) {
    let headers: Vec<String> =
        answer.headers.iter().map(|(name, text)| format!("{name}: {text}")).collect();
    let all = format!("{}\n\n{}", headers.join("\n"), answer.body).to_lowercase();
    assert!(!all.contains(CANARY), "{what}: {all}");
}

fn tag(answer: &Answer) -> &str {
    answer.header("etag").unwrap_or_else(|| panic!("no tag in {answer:?}"))
}

#[test]
fn spring_and_clearskies_tell_their_word_and_nothing_else() {
    let (_host, outside, _target) = start();
    const SUCCESS: &str =
        r#"{"status":"success","error":"","data":{},"pagination":{},"input_errors":{}}"#;
    const FAILURE: &str =
        r#"{"status":"failure","error":"","data":[],"pagination":{},"input_errors":{}}"#;
    for (path, code, body) in [
        ("/spring", 200, r#"{"status":"UP"}"#),
        ("/spring/ill", 503, r#"{"status":"DOWN"}"#),
        ("/clearskies", 200, SUCCESS),
        ("/clearskies/ill", 500, FAILURE),
    ] {
        let plain = ask(outside, path, &[]);
        assert_eq!((plain.code, plain.body.as_str()), (code, body), "{path}");
        tells_nothing(path, &plain);
        for wrong in ["Bearer wrong", "Bearer token-of-view2", "Basic dG9rZW4=", "token-of-view"] {
            let answer = ask(outside, path, &[("Authorization", wrong)]);
            assert_eq!((answer.code, &answer.body), (code, &plain.body), "{path}: {wrong}");
            assert_eq!(answer.header("etag"), plain.header("etag"));
            tells_nothing(path, &answer);
        }
        for headers in
            [("Accept-Encoding", "gzip"), ("If-None-Match", "*"), ("Accept", "text/html")]
        {
            tells_nothing(path, &ask(outside, path, &[headers]));
        }
        let head = http::request(outside, "HEAD", path, &[], "").expect("an answer");
        assert_eq!((head.code, head.header("etag")), (code, plain.header("etag")), "{path}");
        tells_nothing(path, &head);
        let posted = http::request(outside, "POST", path, &[], "").expect("an answer");
        tells_nothing(path, &posted);

        let raised = ask(outside, path, &[TOKEN]);
        assert_eq!(raised.code, code, "a token changes no code: {path}");
        assert!(raised.header("vary").is_some_and(|vary| vary.contains("authorization")));
        if path.starts_with("/spring") {
            assert!(raised.body.contains("canary-good"), "{}", raised.body);
            assert!(raised.body.contains("canary-message"), "{}", raised.body);
        } else {
            assert_eq!(raised.body, plain.body, "it never tells anything");
        }
    }
}

#[test]
fn a_tag_is_made_from_what_is_told_and_gives_nothing_to_others() {
    let (_host, outside, _target) = start();
    let (plain, raised) = (ask(outside, "/spring", &[]), ask(outside, "/spring", &[TOKEN]));
    assert_ne!(tag(&plain), tag(&raised));
    // Another selection in the same state has the same tag: nothing of what is in it is a part.
    assert_eq!(tag(&plain), tag(&ask(outside, "/spring/one", &[])));
    // Whoever learned the tag of what is told to others cannot find out whether it is still so.
    let theirs = ask(outside, "/spring", &[("If-None-Match", tag(&raised))]);
    assert_eq!((theirs.code, &theirs.body), (200, &plain.body));
    let ours = ask(outside, "/spring", &[("If-None-Match", tag(&plain)), TOKEN]);
    assert_eq!((ours.code, ours.body.is_empty()), (200, false));
    let known = ask(outside, "/spring", &[("If-None-Match", tag(&plain))]);
    assert_eq!((known.code, known.body.as_str()), (304, ""));
    tells_nothing("304", &known);
    for path in ["/spring/ill", "/clearskies/ill"] {
        assert_eq!(ask(outside, path, &[]).header("etag"), None, "{path}");
    }
    for headers in [&[][..], &[TOKEN]] {
        let kept = ask(outside, "/spring", headers);
        assert_eq!(kept.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn no_format_tells_more_than_the_endpoint_does() {
    let (_host, outside, _target) = start();
    for format in FORMATS {
        let name = format.name().replace('+', "%2B");
        for path in ["/free", "/free/ill"] {
            let path = format!("{path}?format={name}");
            let plain = ask(outside, &path, &[]);
            assert_eq!(plain.header("content-type"), Some(format.media_type()), "{path}");
            tells_nothing(&path, &plain);
            let raised = ask(outside, &path, &[TOKEN]);
            assert_eq!(raised.code, plain.code, "{path}");
        }
    }
    let raised = ask(outside, "/free", &[TOKEN]);
    assert!(raised.body.contains("canary-group"), "{}", raised.body);
}

#[test]
fn nothing_else_on_that_listener_knows_of_them() {
    let (host, outside, _target) = start();
    for path in [
        "/",
        "/livez",
        "/livez?verbose",
        "/livez/canary-good",
        "/health",
        "/health/canary-good",
        "/health-check",
        "/actuator/health",
        "/actuator/health/canary-good",
        "/spring/canary-good",
        "/free?format=canary",
        "/api/v1/checks",
        "/api/v1/checks/canary-good",
        "/metrics",
        "/nothing",
    ] {
        let answer = ask(outside, path, &[]);
        let asked = path.contains(CANARY);
        // What the client itself has said may be repeated.
        if !asked {
            tells_nothing(path, &answer);
        }
        let served = ["/", "/livez", "/livez?verbose"].contains(&path);
        assert_eq!(answer.code == 200, served, "{path}: {answer:?}");
        // A name that is there and one that is not are the same.
        let other = ask(outside, &path.replace("canary-good", "canary-none"), &[]);
        assert_eq!(other.code, answer.code, "{path}");
        assert_eq!(other.body, answer.body.replace("canary-good", "canary-none"), "{path}");
    }
    assert!(host.get("/health").body.contains("canary-message"), "it is told elsewhere");
}
