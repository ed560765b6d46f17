//! What the configuration adds to the endpoint: `[[endpoint]]` and `[[listen]]`.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::host::{Builder, Host, host};
use crate::support::http::{self, Answer};
use crate::support::program::{command, finish};

/// The token that the tests configure, and its hash.
const TOKEN: &str = "test";
const HASH: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn echo(name: &str, status: &str, more: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\nplugin = \"echo\"\nsettings = {{ status = \"{status}\", message = \"{name} is {status}\" }}\n{more}\n"
    )
}

fn builder(more: &str) -> Builder {
    let config = [
        echo("db", "pass", "tags = [\"core\"]"),
        echo("shop", "warn", "tags = [\"core\", \"web\"]"),
        echo("mail", "fail", "tags = [\"web\"]"),
        echo("old", "fail", "maintenance = true"),
        "[[group]]\nname = \"any-of\"\nmembers = [\"db\", \"mail\"]\nhealthy = \"any\"\n".to_owned(),
        "[[group]]\nname = \"both\"\nmembers = [\"db\", \"mail\"]\n".to_owned(),
        "[[group]]\nname = \"two\"\nmembers = [\"db\", \"shop\", \"mail\"]\nat-least = 2\ntags = [\"groups\"]\n".to_owned(),
        format!("[[token]]\nname = \"viewer\"\nhash = \"{HASH}\"\nrole = \"view\"\n"),
        more.to_owned(),
    ];
    host().config(&config.concat()).guest("echo")
}

/// With these endpoints, once everything is decided.
fn start(more: &str) -> Host {
    let host = builder(more).start();
    for (name, state) in [("db", "pass"), ("shop", "warn"), ("mail", "fail"), ("old", "fail")] {
        host.until_state(name, state);
    }
    // Groups follow their members within the same snapshot.
    host
}

/// The names that an answer shows, in their order.
fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let checks = body["checks"].as_object().expect("health+json");
    checks.keys().filter(|key| !key.contains(':')).cloned().collect()
}

#[test]
fn an_endpoint_answers_for_what_it_picks() {
    let host = start(
        "[[endpoint]]\npath = \"/by-name\"\nnames = [\"db\", \"shop\"]\n\
         [[endpoint]]\npath = \"/by-tag\"\ntags = [\"core\"]\n\
         [[endpoint]]\npath = \"/both\"\nnames = [\"mail\"]\ntags = [\"core\"]\nexclude = [\"shop\"]\n\
         [[endpoint]]\npath = \"/rest\"\nexclude = [\"mail\", \"both\"]\n\
         [[endpoint]]\npath = \"/any\"\nnames = [\"any-of\"]\n\
         [[endpoint]]\npath = \"/all-of\"\nnames = [\"both\"]\n\
         [[endpoint]]\npath = \"/two\"\ntags = [\"groups\"]\n\
         [[endpoint]]\npath = \"/everything\"\n",
    );
    let shows = |path: &str, code: u16, shown: &[&str]| {
        let answer = host.get(path);
        let found = names(&answer);
        assert_eq!(answer.code, code, "{path}: {}", answer.body);
        for name in ["db", "shop", "mail", "old"] {
            let is_shown = found.iter().any(|found| found == name);
            assert_eq!(is_shown, shown.contains(&name), "{path}: {name} in {found:?}");
        }
    };
    shows("/by-name", 200, &["db", "shop"]);
    shows("/by-tag", 200, &["db", "shop"]);
    shows("/both", 503, &["db", "mail"]);
    shows("/rest", 200, &["db", "shop", "old"]);
    shows("/any", 200, &["db", "mail"]);
    shows("/all-of", 503, &["db", "mail"]);
    shows("/two", 200, &["db", "shop", "mail"]);
    shows("/everything", 503, &["db", "shop", "mail", "old"]);
    assert_eq!(host.get("/everything").body, host.get("/health").body);
    // Groups have their own health too, without an endpoint.
    assert_eq!(host.get("/health/any-of").code, 200);
    assert_eq!(host.get("/health/both").code, 503);
    assert_eq!(host.get("/by-name/db").code, 404);
    assert_eq!(host.ask("POST", "/by-name", &[]).code, 405);
}

#[test]
fn an_endpoint_has_its_format_or_lets_the_client_choose() {
    let host = start(
        "[[endpoint]]\npath = \"/fixed\"\nformat = \"text\"\n\
         [[endpoint]]\npath = \"/free\"\n\
         [[endpoint]]\npath = \"/health/status\"\nformat = \"text\"\nnames = [\"db\"]\n",
    );
    let media_type = |path: &str, accept: &str| {
        let answer = host.ask("GET", path, &[("Accept", accept)]);
        answer.header("content-type").expect("a media type").to_owned()
    };
    let text = "text/plain; charset=utf-8";
    assert_eq!(media_type("/fixed", "application/json"), text);
    assert_eq!(media_type("/fixed?format=genesis", "*/*"), text);
    assert_eq!(host.get("/fixed").header("vary"), Some("accept-encoding"));
    assert_eq!(media_type("/free", "application/json"), "application/json");
    assert_eq!(media_type("/free?format=text", "*/*"), text);
    assert_eq!(host.ask("GET", "/free", &[("Accept", "image/png")]).code, 406);
    // It wins over the built-in route of the same path.
    let own = host.get("/health/status");
    assert_eq!((own.code, own.header("content-type")), (200, Some(text)));
}

#[test]
fn codes_are_as_the_endpoint_says() {
    let host = start(
        "[[endpoint]]\npath = \"/warn\"\nnames = [\"shop\"]\ncodes = { warn = 429 }\n\
         [[endpoint]]\npath = \"/fail\"\nnames = [\"mail\"]\ncodes = { fail = 200 }\n\
         [[endpoint]]\npath = \"/pass\"\nnames = [\"db\"]\ncodes = { warn = 429, fail = 500, pass = 204 }\n\
         [[endpoint]]\npath = \"/other\"\nnames = [\"mail\"]\ncodes = { warn = 429 }\nformat = \"text\"\n",
    );
    for (path, code) in [("/warn", 429), ("/fail", 200), ("/pass", 204), ("/other", 503)] {
        assert_eq!(host.get(path).code, code, "{path}");
        assert_eq!(host.ask("HEAD", path, &[]).code, code, "{path}");
    }
    assert!(host.get("/fail").header("etag").is_some());
    assert_eq!(host.get("/warn").header("etag"), None);
}

#[test]
fn detail_is_bounded_and_a_token_raises_it() {
    let host = start(
        "[[endpoint]]\npath = \"/none\"\ndetail = \"none\"\ndetail-with-token = \"all\"\n\
         [[endpoint]]\npath = \"/names\"\ndetail = \"names\"\ndetail-with-token = \"none\"\n\
         [[endpoint]]\npath = \"/all\"\n",
    );
    let bearer = format!("Bearer {TOKEN}");
    let with = |path: &str, token: &str| host.ask("GET", path, &[("Authorization", token)]);
    for format in ["health%2Bjson", "genesis", "text"] {
        let path = format!("/none?format={format}");
        let plain = host.get(&path);
        assert_eq!(plain.code, 503, "{format}");
        for word in ["db", "shop", "mail", "any-of", "is fail"] {
            assert!(!plain.body.contains(word), "{format} tells `{word}`: {}", plain.body);
        }
        let raised = with(&path, &bearer);
        assert_eq!(raised.code, 503, "{format}");
        assert!(raised.body.contains("mail is fail"), "{format}: {}", raised.body);
        for wrong in ["Bearer wrong", "Bearer", "Basic dGVzdA==", "test"] {
            let answer = with(&path, wrong);
            assert_eq!((answer.code, &answer.body), (503, &plain.body), "{wrong}");
            assert_eq!(answer.header("www-authenticate"), None);
        }
        let vary = plain.header("vary").expect("it depends on something");
        assert!(vary.contains("authorization"), "{vary}");
        assert_eq!(raised.header("vary"), Some(vary));
    }
    let names = host.get("/names");
    assert!(names.body.contains("mail") && !names.body.contains("is fail"), "{}", names.body);
    assert_eq!(with("/names", &bearer).body, names.body, "a token takes nothing away");
    let all = host.get("/all");
    assert!(all.body.contains("mail is fail"));
    assert!(!all.header("vary").expect("a header").contains("authorization"));
}

#[test]
fn standby_counts_as_the_endpoint_says() {
    let host = start(
        "[[endpoint]]\npath = \"/healthy\"\nnames = [\"old\"]\nformat = \"genesis\"\n\
         [[endpoint]]\npath = \"/unhealthy\"\nnames = [\"old\"]\nformat = \"genesis\"\nstandby = \"unhealthy\"\n",
    );
    assert_eq!((host.get("/healthy").code, host.get("/unhealthy").code), (200, 503));
}

#[test]
fn endpoints_come_and_go_with_a_reload() {
    let host = start("[[endpoint]]\npath = \"/first\"\n");
    assert_eq!(host.get("/first").code, 503);
    host.configure("[[endpoint]]\npath = \"/second\"\n");
    host.until_code("/second", 200);
    assert_eq!(host.get("/first").code, 404);
}

// ── Listeners ───────────────────────────────────────────────────────────────────────────────────

fn at(host: &Host, listener: &str, path: &str) -> Answer {
    http::request(host.listener_address(listener), "GET", path, &[], "").expect("an answer")
}

#[test]
fn a_listener_serves_its_routes_and_its_endpoints() {
    let host = start(
        "[[listen]]\nname = \"genesis\"\naddress = \"127.0.0.1:0\"\nroutes = [\"/health/status\", \"/\"]\n\
         [[listen]]\nname = \"full\"\naddress = \"[::1]:0\"\n\
         [[endpoint]]\npath = \"/inside\"\nlistener = \"genesis\"\nnames = [\"db\"]\n\
         [[endpoint]]\npath = \"/outside\"\nlistener = \"main\"\nnames = [\"db\"]\n\
         [[endpoint]]\npath = \"/same\"\nlistener = \"main\"\nnames = [\"db\"]\n\
         [[endpoint]]\npath = \"/same\"\nlistener = \"full\"\nnames = [\"mail\"]\n\
         [[endpoint]]\npath = \"/everywhere\"\nnames = [\"db\"]\n",
    );
    assert!(host.listener("genesis").starts_with("http://127.0.0.1:"));
    assert!(host.listener("full").starts_with("http://[::1]:"));
    let status = at(&host, "genesis", "/health/status");
    assert_eq!((status.code, &status.body), (503, &host.get("/health/status").body));
    for (path, main, genesis, full) in [
        ("/health", 503, 404, 503),
        ("/health/db", 200, 404, 200),
        ("/livez", 200, 404, 200),
        ("/inside", 404, 200, 404),
        ("/outside", 200, 404, 404),
        ("/same", 200, 404, 503),
        ("/everywhere", 200, 200, 200),
    ] {
        let codes =
            (host.get(path).code, at(&host, "genesis", path).code, at(&host, "full", path).code);
        assert_eq!(codes, (main, genesis, full), "{path}");
    }
    let index = at(&host, "genesis", "/").body;
    for (path, is_listed) in
        [("/health/status", true), ("/livez", false), ("/inside", true), ("/outside", false)]
    {
        assert_eq!(index.contains(path), is_listed, "{path}: {index}");
    }
}

#[test]
fn a_listener_without_routes_serves_its_endpoints_alone() {
    let host = start(
        "[server]\nroutes = [\"/health\", \"/api/v1/checks/{name}\"]\n\
         [[listen]]\nname = \"outside\"\naddress = \"127.0.0.1:0\"\nroutes = []\n\
         [[endpoint]]\npath = \"/up\"\nlistener = \"outside\"\ndetail = \"none\"\n",
    );
    assert_eq!(at(&host, "outside", "/up").code, 503);
    for path in ["/", "/health", "/health/db", "/livez", "/metrics", "/api/v1/checks", "/probe"] {
        assert_eq!(at(&host, "outside", path).code, 404, "{path}");
    }
    for (path, code) in [("/health", 503), ("/api/v1/checks/db", 200), ("/livez", 404), ("/", 404)]
    {
        assert_eq!(host.get(path).code, code, "{path}");
    }
    assert!(!host.log().contains("which tells everything"), "nothing tells more than is meant");
}

#[test]
fn an_idle_listener_takes_no_place_from_another() {
    let host = builder(
        "[server]\nmax-connections = 1\n[[listen]]\nname = \"other\"\naddress = \"127.0.0.1:0\"\n",
    )
    .start();
    for _ in 0..3 {
        assert_eq!(host.get("/livez").code, 200);
        assert_eq!(at(&host, "other", "/livez").code, 200);
    }
    // The limit is one for all of them.
    let mut open = http::connect(host.address).expect("a connection");
    std::io::Write::write_all(&mut open, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut open, &mut first).expect("an answer");
    let other = host.listener_address("other");
    let waiting = std::thread::spawn(move || http::request(other, "GET", "/livez", &[], ""));
    assert!(!waiting.is_finished());
    drop(open);
    assert_eq!(waiting.join().expect("no panic").expect("an answer").code, 200);
}

#[test]
fn a_taken_address_is_an_error_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let address = taken.local_addr().expect("it is bound");
    let config = format!("[[listen]]\nname = \"second\"\naddress = \"{address}\"\n");
    let builder = host().config(&config);
    let mut program = command();
    program.current_dir(builder.path()).args(["serve", "--listen", "127.0.0.1:0"]);
    program.env("XDG_STATE_HOME", builder.path());
    let ended = finish(&mut program, "").expect(69);
    assert_eq!(ended.out, "");
    let expected = format!("cannot listen on {address} (the `address` of `[[listen]]` `second`)");
    assert!(ended.err.contains(&expected), "{}", ended.err);
}

#[test]
fn a_listener_that_changes_takes_a_restart() {
    let host = start("");
    let answer = host.get("/health");
    assert_eq!(answer.code, 503);
    host.configure("[[listen]]\nname = \"late\"\naddress = \"127.0.0.1:0\"\n");
    host.until_logged("takes a restart");
}

#[test]
fn the_root_lists_routes_endpoints_and_formats() {
    let host = start(
        "[[endpoint]]\npath = \"/actuator/health\"\nformat = \"genesis\"\nnames = [\"db\"]\ndetail = \"none\"\n",
    );
    let index = host.get("/").body;
    for line in ["GET /health ", "GET /health/{name} ", "GET /actuator/health ", "as genesis"] {
        assert!(index.contains(line), "`{line}` in {index}");
    }
    for format in wellcheck_core::format::FORMATS {
        assert!(index.contains(&format!("{} ", format.name())), "{index}");
        assert!(index.contains(format.media_type()), "{index}");
    }
    assert!(!index.contains("db"), "what an endpoint answers for is not told: {index}");
}

#[test]
fn every_listener_ends_in_good_order() {
    let mut host = start("[[listen]]\nname = \"other\"\naddress = \"127.0.0.1:0\"\n");
    let address = host.listener_address("other");
    let mut open = http::connect(address).expect("a connection");
    std::io::Write::write_all(&mut open, b"GET /health HTTP/1.1\r\nHos").expect("sent");
    assert_eq!(at(&host, "other", "/livez").code, 200);
    host.signal(rustix::process::Signal::TERM);
    host.until_logged("stopping");
    std::io::Write::write_all(&mut open, b"t: x\r\n\r\n").expect("sent");
    let bytes = http::read_all(&mut open);
    let answer = Answer::take(&mut &bytes[..], false).expect("the open request is answered");
    assert_eq!(answer.code, 503);
    assert_eq!(host.ended().code(), Some(0));
    assert!(http::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_missing_check_is_told_by_its_name() {
    let host = start("");
    let answer = host.get("/health/absent");
    assert_eq!(answer.code, 404);
    let message = &answer.json()["error"]["message"];
    assert_ne!(*message, Value::Null);
    assert_eq!(answer.json()["error"]["code"], json!("unknown-check"));
}
