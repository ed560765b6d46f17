//! What sections, grants, limits and sidecars come to. Messages are tested in `tests/cases/config`.

mod modules;
mod sidecars;

use super::*;
use crate::check::What;
use crate::config::tree::{Table, Text};
use crate::fact::Asked;
use crate::grant::Grants;
use crate::id::PluginName;
use crate::limits::{KIB, MIB, RunLimits};

const CANARY: &str = "canary-7f3a-51c2";

/// An environment and a file, both with the canary in them.
struct Fake;

impl Lookup for Fake {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "CANARY" => Some(CANARY.to_owned()),
            "EMPTY" => Some(String::new()),
            "TZ" => Some("Europe/Berlin".to_owned()),
            _ => None,
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        match path {
            "canary" => Ok(format!("{CANARY}\n")),
            "key.pem" => Ok(pem("PRIVATE KEY")),
            "cert.pem" => Ok(pem("CERTIFICATE")),
            _ => Err("no such file".to_owned()),
        }
    }
}

fn pem(label: &str) -> String {
    format!("-----BEGIN {label}-----\n{CANARY}\n-----END {label}-----\n")
}

struct NoKinds;

impl Kinds for NoKinds {
    fn read(
        &mut self,
        _: &str,
        _: Option<&CheckName>,
        _: &Text,
        _: &Table,
        _: &Asked,
        _: &mut Problems,
    ) {
    }
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.to_owned() }
}

fn sources(main: &str, sidecar: &str) -> Sources {
    let plugin = PluginName::new("side").expect("a name");
    let sidecars = match sidecar {
        "" => Vec::new(),
        text => vec![(plugin.clone(), Ok(file("plugins/side.toml", text)))],
    };
    let main = Some(file("wellcheck.toml", main));
    Sources { main, sidecars, plugins: vec![plugin], ..Sources::default() }
}

/// The configuration and all problems as text.
fn read(sources: &Sources) -> (Option<Config>, String) {
    let (config, problems) = load(sources, &Fake, &mut NoKinds);
    let text: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    assert!(!text.contains(CANARY), "{text}");
    (config, text)
}

#[track_caller]
fn good(main: &str) -> Config {
    let (config, problems) = read(&sources(main, ""));
    assert_eq!(problems, "");
    let config = config.expect("no problems");
    assert!(!format!("{config:?}").contains(CANARY), "{config:?}");
    config
}

#[track_caller]
fn check_refused(main: &str, says: &str) {
    let (config, problems) = read(&sources(main, ""));
    assert!(problems.contains(says), "`{says}` is not in:\n{problems}");
    assert_eq!(config, None);
}

/// A check `a` of a plugin with these grants.
fn granting(grants: &str) -> String {
    format!("[[check]]\nname = \"a\"\nplugin = \"p\"\n[check.grants]\n{grants}\n")
}

fn grants_of<'a>(config: &'a Config, name: &str) -> &'a Grants {
    match &find(config, name).what {
        What::Plugin { grants, .. } => grants,
        What::Builtin { .. } => panic!("`{name}` is no plugin's"),
    }
}

fn limits_of<'a>(config: &'a Config, name: &str) -> &'a RunLimits {
    match &find(config, name).what {
        What::Plugin { limits, .. } => limits,
        What::Builtin { .. } => panic!("`{name}` is no plugin's"),
    }
}

fn find<'a>(config: &'a Config, name: &str) -> &'a crate::check::CheckSpec {
    config.checks.iter().find(|check| check.name.as_str() == name).expect("a check")
}

#[test]
fn every_example_of_a_grant_and_of_a_limit_is_good() {
    for key in keys::GRANTS.iter().chain(keys::DIR_GRANT).chain(keys::HTTP_GRANT) {
        assert!(key.example.parse::<toml::Table>().is_ok(), "{}", key.example);
    }
    for key in keys::GRANTS {
        let main =
            "[secrets]\ndb-password = \"secret\"\n[[check]]\nname = \"db\"\nplugin = \"q\"\n";
        let config = good(&(main.to_owned() + &granting(key.example)));
        let list = grants_of(&config, "a").list();
        assert!(list.iter().all(|(kind, _)| kind.as_str() == key.name), "{list:?}");
        assert!(!list.is_empty(), "{}", key.example);
    }
    for key in keys::LIMITS {
        let text = format!("[defaults.limits]\n{}\n", key.example);
        assert_ne!(limits_of(&good(&text), "side"), &RunLimits::default(), "{text}");
        let text = format!("[check.limits]\n{}\n", key.example);
        let config = good(&("[[check]]\nname = \"a\"\nplugin = \"p\"\n".to_owned() + &text));
        assert_ne!(limits_of(&config, "a"), &RunLimits::default(), "{text}");
    }
    for key in keys::PLUGIN_LIMITS {
        let plugins = good(&format!("[plugins.limits]\n{}\n", key.example)).plugins;
        assert_ne!(plugins, Plugins::default(), "{}", key.example);
    }
}

#[test]
fn grants_take_one_value_or_many() {
    let config = good(&granting("env = \"TZ\"\ndns = [\"a.example\", \"*.b.example\"]"));
    let list = grants_of(&config, "a").list();
    let text: Vec<String> = list.iter().map(|(kind, text)| format!("{kind} {text}")).collect();
    assert_eq!(text, ["dns a.example", "dns *.b.example", "env TZ"]);
}

#[test]
fn what_is_attached_is_kept_out_of_everything() {
    let config = good(&granting(
        r#"http = [
            "https://plain.example",
            { url = "GET https://a.example/v1", headers = { X-Token = "Bearer ${CANARY}" }, basic-auth = "user:${CANARY}" },
            { url = "https://b.example", client-certificate = "${file:cert.pem}", client-key = "${file:key.pem}" },
        ]"#,
    ));
    let grants = grants_of(&config, "a");
    let list: Vec<String> = grants.list().into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        list,
        [
            "https://plain.example",
            "GET https://a.example/v1 (adds: x-token, authorization)",
            "https://b.example (adds: client certificate)",
        ]
    );
    let permit = grants.http("GET", "https", "a.example", None, "/v1").expect("granted");
    let attach = permit.attach().expect("headers");
    assert_eq!(attach.headers[0], ("x-token".to_owned(), format!("Bearer {CANARY}")));
    let basic = &attach.headers[1].1;
    assert!(basic.starts_with("Basic "), "{basic}");
    let encoded = basic.trim_start_matches("Basic ");
    let shown = format!("{basic} {encoded} user:{CANARY} Bearer {CANARY}");
    let redacted = config.redactor.apply(&shown);
    assert!(!redacted.contains(encoded) && !redacted.contains(CANARY), "{redacted}");
    let permit = grants.http("GET", "https", "b.example", None, "/").expect("granted");
    let identity = permit.attach().and_then(|attach| attach.identity.clone()).expect("one");
    assert_eq!(identity.key, pem("PRIVATE KEY").trim_end());
}

#[test]
fn a_literal_value_that_is_attached_is_a_secret_too() {
    let config = good(&granting(
        "http = { url = \"https://a.example\", headers = { authorization = \"Bearer literal-1\" }, basic-auth = \"\" }",
    )
    .replace(", basic-auth = \"\"", ""));
    assert_eq!(config.redactor.apply("literal-1 of Bearer literal-1"), "[redacted] of [redacted]");
    let config =
        good(&granting("http = { url = \"https://a.example\", basic-auth = \"u:literal-2\" }"));
    assert_eq!(config.redactor.apply("literal-2 dTpsaXRlcmFsLTI="), "[redacted] [redacted]");
}

#[test]
fn what_cannot_be_attached_is_refused_without_being_quoted() {
    for (rest, says) in [
        ("headers = { Host = \"${CANARY}\" }", "the header `host` belongs to the connection"),
        ("headers = { a = \"${CANARY}\\r\\nx: y\" }", "control characters"),
        ("headers = { \"a b\" = \"${CANARY}\" }", "`a b` is no name of a header"),
        (
            "headers = { Authorization = \"x\" }, basic-auth = \"u:${CANARY}\"",
            "adds the header `authorization` twice",
        ),
        ("headers = { a = \"${CANARY}\", A = \"${CANARY}\" }", "adds the header `a` twice"),
        ("headers = { a = 7 }", "is a number (expected a string)"),
        ("basic-auth = \"${CANARY}\"", "is no user and password"),
        (
            "client-certificate = \"${file:cert.pem}\"",
            "has `client-certificate` and no `client-key`",
        ),
        ("client-key = \"${file:key.pem}\"", "has `client-key` and no `client-certificate`"),
        (
            "client-certificate = \"${CANARY}\", client-key = \"${CANARY}\"",
            "no PEM text with a CERTIFICATE",
        ),
        ("header = {}", "did you mean `headers`?"),
    ] {
        let grants = format!("http = {{ url = \"https://a.example\", {rest} }}");
        check_refused(&granting(&grants), says);
    }
    check_refused(
        &granting(
            "http = { url = \"http://a.example\", client-certificate = \"${file:cert.pem}\", client-key = \"${file:key.pem}\" }",
        ),
        "only `https` knows certificates",
    );
    check_refused(&granting("http = { headers = { a = \"b\" } }"), "has no `url`");
    check_refused(
        &granting("http = { url = \"${CANARY}\" }"),
        "`${CANARY}` is no grant for `http`",
    );
    check_refused(
        &granting("sockets = { url = \"tcp://a:1\" }"),
        "holds a table (expected strings)",
    );
}

#[test]
fn folders_have_a_path_of_their_own_each() {
    let config =
        good(&granting("dirs = [\"/a\", { host = \"/b\", guest = \"/c\", write = true }]"));
    let list: Vec<_> = grants_of(&config, "a").list().into_iter().map(|(_, text)| text).collect();
    assert_eq!(list, ["/a", "/b as /c (write)"]);
    for (dirs, says) in [
        (
            "[\"/a\", { host = \"/b\", guest = \"/a\" }]",
            "puts `/b` at the guest's path `/a`, where `/a` is already",
        ),
        ("[\"a\"]", "the host's path is not absolute"),
        ("[\"/a/../b\"]", "the host's path has `..`"),
        ("[\"/a (write)\", \"/a/\"]", "the guest's path has"),
        ("{ host = \"/a\", guest = \"c\" }", "`c` is no grant for `dirs`: the guest's path"),
        ("{ host = \"b\", guest = \"/c\" }", "`b` is no grant for `dirs`: the host's path"),
        ("{ guest = \"/c\" }", "has no `host`"),
        ("{ host = \"/a\", write = \"yes\" }", "expected true or false"),
        ("{ host = \"/a\", wirte = true }", "did you mean `write`?"),
    ] {
        check_refused(&granting(&format!("dirs = {dirs}")), says);
    }
}

#[test]
fn secrets_are_taken_in_from_all_files_and_kept_out_of_everything() {
    let mut sources = sources(
        &("[secrets]\none = \"${CANARY}\"\ntwo = \"${file:canary}\"\n".to_owned()
            + &granting("secrets = [\"one\", \"three\"]")),
        "",
    );
    sources.included.push(file("conf.d/a.toml", "[secrets]\nthree = \"literal-3\"\n"));
    let (config, problems) = read(&sources);
    assert_eq!(problems, "");
    let config = config.expect("no problems");
    let names: Vec<&str> = config.secrets.keys().map(String::as_str).collect();
    assert_eq!(names, ["one", "three", "two"]);
    assert_eq!(config.secrets["two"], CANARY);
    assert_eq!(config.redactor.apply("literal-3"), "[redacted]");
    assert!(!format!("{config:?}").contains("literal-3"));

    sources.included.push(file("conf.d/b.toml", "[secrets]\none = \"again-and-again\"\n"));
    let (config, problems) = read(&sources);
    assert_eq!(config, None);
    assert!(
        problems
            .contains("a second secret is called `one` (the first stands at wellcheck.toml:2:1)")
            && !problems.contains("again-and-again"),
        "{problems}"
    );
}

#[test]
fn secrets_that_are_none_are_problems() {
    for (secrets, says) in [
        ("A = \"x\"", "`A` in `[secrets]` is not a name"),
        ("a = 7", "`a` in `[secrets]` is a number (expected a string)"),
        ("a = \"\"", "the secret `a` is empty"),
        ("a = \"${EMPTY}\"", "the secret `a` is empty"),
    ] {
        check_refused(&format!("[secrets]\n{secrets}\n"), says);
    }
    let (_, problems) = read(&sources("[secrets]\na = \"${ABSENT}\"\n", ""));
    assert_eq!(problems.lines().count(), 1, "{problems}");
    let (config, problems) = read(&sources("[secrets]\na = \"abc\"\n", ""));
    assert!(config.is_some() && problems.contains("shorter than 4 bytes"), "{problems}");
    let main = "[secrets]\ndb-password = \"long-enough\"\n".to_owned();
    check_refused(
        &(main + &granting("secrets = \"db-pasword\"")),
        "names `db-pasword`, and there is no such secret (did you mean `db-password`?)",
    );
}

#[test]
fn a_grant_for_a_check_that_is_not_there_is_a_warning() {
    let (config, problems) =
        read(&sources(&granting("checks = [\"sied\", \"side\", \"x-*\", \"a\"]"), ""));
    assert!(config.is_some());
    assert_eq!(
        problems,
        "wellcheck.toml:5:11: warning: `checks` of `grants` of check `a` names `sied`, and there is no such check (did you mean `side`?)\n"
    );
}

#[test]
fn limits_of_a_check_go_over_the_defaults() {
    let config = good(
        "[plugins.limits]\nmax-memory = \"1GiB\"\nslots = 7\ndescribe-time = \"1s\"\n\
         [defaults.limits]\ncpu = \"2s\"\nrequests = 3\n\
         [[check]]\nname = \"a\"\nplugin = \"p\"\n[check.limits]\nrequests = 5\nmemory = \"512MiB\"\n",
    );
    assert_eq!(config.plugins.host.slots, 7);
    assert_eq!(config.plugins.load.describe_time.as_secs(), 1);
    let (own, other) = (limits_of(&config, "a"), limits_of(&config, "side"));
    assert_eq!((own.requests, own.cpu.as_secs(), own.memory), (5, 2, 512 * MIB));
    assert_eq!((other.requests, other.cpu.as_secs(), other.memory), (3, 2, 64 * MIB));
    assert_eq!(other.body_bytes, RunLimits::default().body_bytes);
}

#[test]
fn what_the_host_holds_ready_bounds_what_a_run_may_use() {
    let config = good("[plugins.limits]\nmax-memory = \"16MiB\"\nmax-table-elements = 500\n");
    let limits = limits_of(&config, "side");
    assert_eq!((limits.memory, limits.table_elements), (16 * MIB, 500), "a default gives way");
    let limited =
        |key| format!("[plugins.limits]\nmax-memory = \"16MiB\"\n[defaults.limits]\n{key}\n");
    check_refused(
        &limited("memory = \"17MiB\""),
        "`memory` of `[defaults.limits]` is 17 MiB, more than the 16 MiB of `max-memory`",
    );
    check_refused(&limited("table-elements = 20001"), "`max-table-elements`");
    check_refused(&limited("cpu = \"2h\""), "from 1ms to 1h");
    check_refused(&limited("handles = 1"), "a whole number from 16 to 100000");
    check_refused(&limited("body-bytes = 7"), "a size with a unit");
    check_refused(&limited("requets = 7"), "did you mean `requests`?");
}

#[test]
fn built_in_kinds_have_neither_grants_nor_limits() {
    for key in ["grants = { env = \"TZ\" }", "limits = { cpu = \"1s\" }"] {
        let text = format!("[[check]]\nname = \"a\"\nkind = \"http\"\n{key}\n");
        check_refused(&text, "which are for plugins");
    }
}

/// What becomes of a sidecar: the problem, or the check.
#[track_caller]
fn sidecar(main: &str, sidecar: &str) -> Result<Config, String> {
    let (config, problems) = read(&sources(main, sidecar));
    let config = config.expect("a sidecar's problems never refuse the configuration");
    let refused = find(&config, "side").refused.is_some();
    assert_eq!(refused, !problems.is_empty(), "{problems}");
    if refused {
        assert!(grants_of(&config, "side").is_empty());
        return Err(problems);
    }
    Ok(config)
}

#[test]
fn a_sidecar_grants_itself_what_is_allowed_and_nothing_else() {
    let main = "[secrets]\none = \"secret-1\"\ntwo = \"secret-2\"\n[plugins.sidecar-grants]\n\
        http = [\"GET https://*.example.com/v1\", \"http://10.0.0.0/8:8080\"]\n\
        sockets = \"tcp://db.internal:5432\"\ndns = \"*.example.com\"\ndirs = [\"/srv\"]\nenv = \"TZ\"\n\
        secrets = \"one\"\nchecks = \"side*\"\nstate = \"1KiB\"\n";
    for grants in [
        "http = \"GET https://api.example.com/v1/x\"",
        "http = { url = \"http://10.0.0.7:8080/status\" }",
        "sockets = \"tcp://db.internal:5432\"",
        "dns = [\"a.example.com\", \"*.b.example.com\"]",
        "dirs = { host = \"/srv\", guest = \"/data\" }",
        "env = \"TZ\"",
        "secrets = \"one\"",
        "checks = \"side\"",
        "state = \"1KiB\"",
    ] {
        let config = sidecar(main, &format!("[grants]\n{grants}\n")).expect(grants);
        assert_eq!(
            grants_of(&config, "side").list().len(),
            grants.matches("example.com\"").count().max(1)
        );
    }
    for (grants, shown) in [
        ("http = \"https://api.example.com/v1\"", "`https://api.example.com/v1`"),
        ("http = \"GET https://api.example.com\"", "`GET https://api.example.com`"),
        ("http = \"http://127.0.0.1:8080\"", "`http://127.0.0.1:8080`"),
        ("sockets = \"udp://db.internal:5432\"", "`sockets` `udp://db.internal:5432`"),
        ("dns = \"example.com\"", "`dns` `example.com`"),
        ("dirs = { host = \"/srv\", write = true }", "`dirs` `/srv (write)`"),
        ("dirs = \"/srv/sub\"", "`dirs` `/srv/sub`"),
        ("env = \"HOME\"", "`env` `HOME`"),
        ("secrets = \"two\"", "`secrets` `two`"),
        ("checks = \"*\"", "`checks` `*`"),
        ("state = \"2KiB\"", "`state` `2 KiB`"),
    ] {
        let problems = sidecar(main, &format!("[grants]\n{grants}\n")).expect_err(grants);
        assert!(problems.contains(&format!("grants itself {shown}")), "{problems}");
        assert!(sidecar("", &format!("[grants]\n{}\n", grants.replace("two", "one"))).is_err());
    }
}

#[test]
fn nothing_is_added_to_the_requests_of_a_sidecar() {
    let allowed = "[plugins.sidecar-grants]\nhttp = \"https://a.example\"\n";
    for adding in ["headers = { a = \"b\" }", "basic-auth = \"a:b\"", "client-key = \"x\""] {
        let table = format!("http = {{ url = \"https://a.example\", {adding} }}\n");
        let problems = sidecar(allowed, &format!("[grants]\n{table}")).expect_err(adding);
        assert!(problems.contains("nothing is added to the requests of a sidecar's check"));
        check_refused(&format!("[plugins.sidecar-grants]\n{table}"), "nothing is added");
    }
}

#[test]
fn a_sidecar_reads_the_environment_and_files_only_as_it_is_allowed() {
    let allowed = "[plugins]\nsidecar-grants = { env = [\"TZ\"] }\n";
    let config = sidecar(allowed, "settings = { zone = \"${TZ}\", text = \"$${CANARY}\" }\n");
    let config = config.expect("allowed");
    let What::Plugin { settings, .. } = &find(&config, "side").what else { panic!("a plugin's") };
    assert_eq!(settings["zone"], "Europe/Berlin");
    assert_eq!(settings["text"], "${CANARY}");
    for (text, says) in [
        ("${CANARY}", "this would allow it: `env = [\"CANARY\"]`"),
        ("${ABSENT}", "this would allow it: `env = [\"ABSENT\"]`"),
        ("${file:canary}", "a sidecar reads no files"),
        ("${file:absent}", "a sidecar reads no files"),
        ("${TZ}${file:canary}", "a sidecar reads no files"),
    ] {
        // Whether there is such a variable or file does not show.
        let problems =
            sidecar(allowed, &format!("settings = {{ x = \"{text}\" }}\n")).expect_err(text);
        assert!(problems.contains(says), "{problems}");
        assert!(!problems.contains("not set") && !problems.contains("cannot read"), "{problems}");
        let problems = sidecar("", &format!("title = \"{text}\"\n")).expect_err(text);
        assert!(problems.contains("stands in a sidecar"), "{problems}");
    }
    assert!(sidecar("", "settings = { zone = \"${TZ}\" }\n").is_err(), "nothing by default");
}

#[test]
fn a_sidecar_lowers_limits_and_raises_none() {
    let main = "[defaults.limits]\ncpu = \"1s\"\n";
    let config =
        sidecar(main, "limits = { cpu = \"500ms\", memory = \"1MiB\", log-bytes = \"64KiB\" }\n");
    let limits = limits_of(config.as_ref().expect("allowed"), "side").clone();
    assert_eq!((limits.cpu.as_millis(), limits.memory, limits.log_bytes), (500, MIB, 64 * KIB));
    assert!(sidecar(main, "limits = { cpu = \"1s\" }\n").is_ok());
    let problems = sidecar(main, "limits = { cpu = \"1001ms\" }\n").expect_err("raised");
    assert!(
        problems.contains("is 1s1ms, more than the 1s of `[defaults.limits]` (a sidecar may lower a limit but not raise it"),
        "{problems}"
    );
    assert!(sidecar(main, "limits = { requests = 17 }\n").is_err(), "more than the standard");
}

#[test]
fn the_store_and_sections_of_the_main_file_stand_there_alone() {
    let config = good("[store]\npath = \"var/store.db\"\n");
    assert_eq!(config.store.as_deref(), Some(std::path::Path::new("var/store.db")));
    assert_eq!(good("").store, None);
    check_refused("[store]\npath = \"\"\n", "it is empty");
    let mut sources = sources("", "");
    sources.included.push(file("conf.d/a.toml", "[store]\npath = \"x\"\n"));
    let (_, problems) = read(&sources);
    assert!(problems.contains("`[store]` stands in `conf.d/a.toml`"), "{problems}");
}

#[test]
fn problems_of_grants_have_the_places_of_their_values() {
    let (_, problems) = read(&sources(
        &granting(
            "http = [\"https://a.example\", \"nonsense\"]\nenv = \"1\"\nstate = \"17MiB\"\nchecks = [7]",
        ),
        "[grants]\nenv = [\n\"A\",\n\"B\"]\n",
    ));
    let places: Vec<&str> =
        problems.lines().map(|line| line.split(": ").next().expect("a place")).collect();
    assert_eq!(
        places,
        [
            "plugins/side.toml:3:1",
            "plugins/side.toml:4:1",
            "wellcheck.toml:5:30",
            "wellcheck.toml:6:7",
            "wellcheck.toml:7:9",
            "wellcheck.toml:8:11",
        ],
        "{problems}"
    );
}
