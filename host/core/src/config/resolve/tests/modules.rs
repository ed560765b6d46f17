//! What `[[module]]` comes to.

use std::time::Duration;

use super::*;
use crate::grant::Targets;
use crate::module::{DEFAULT_MODULE, ModuleSpec};

fn names(config: &Config) -> Vec<&str> {
    config.modules.iter().map(|module| module.name.as_str()).collect()
}

#[test]
fn the_standard_module_is_there_unless_the_configuration_has_its_own() {
    let config = good("[[module]]\nname = \"a\"\nkind = \"x\"\ntimeout = \"3s\"\n");
    assert_eq!(names(&config), ["a", DEFAULT_MODULE]);
    assert_eq!(config.modules[0].timeout, Duration::from_secs(3));
    assert_eq!(config.modules[1], ModuleSpec::standard());
    assert_eq!(config.modules[1].targets, Targets::default());

    let config = good("[[module]]\nname = \"http_2xx\"\nkind = \"x\"\ntargets = \"10.0.0.0/8\"\n");
    assert_eq!(names(&config), [DEFAULT_MODULE]);
    assert_eq!(config.modules[0].targets.0.len(), 1);
}

#[test]
fn a_module_shows_itself_without_its_secrets() {
    let config = good(
        "[[module]]\nname = \"a\"\nkind = \"x\"\nheaders = { x-token = \"${CANARY}\" }\nurl = \"http://${CANARY}/\"\ntargets = \"a.example\"\n",
    );
    let shown = &config.modules[0].shown;
    assert!(shown.contains("x-token = \"[redacted]\"") && shown.contains("http://${CANARY}/"));
}

#[test]
fn the_plugin_of_a_module_is_no_check_of_its_own() {
    let config = good("[[module]]\nname = \"a\"\nplugin = \"side\"\n");
    assert_eq!(config.checks, []);
    assert_eq!(config.modules[0].target_setting, "target");
}

#[test]
fn a_module_that_tells_something_must_say_whom() {
    let telling = [
        "kind = \"x\"\nheaders = { x-token = \"t\" }",
        "kind = \"x\"\nbody = \"b\"",
        "kind = \"x\"\nsend = \"s\"",
        "kind = \"x\"\nproxy = \"http://me:word@proxy:3128\"",
        "kind = \"x\"\nproxy = \"${CANARY}\"",
        "kind = \"x\"\nexpect-body = \"${CANARY}\"",
        "plugin = \"side\"\nsettings = { deep = [{ token = \"${file:canary}\" }] }",
        "plugin = \"side\"\n[[module.grants.http]]\nurl = \"http://a.example\"\nheaders = { x-key = \"k\" }",
        "plugin = \"side\"\n[[module.grants.http]]\nurl = \"http://a.example\"\nbasic-auth = \"me:word\"",
    ];
    for keys in telling {
        let (_, problems) = read(&sources(&format!("[[module]]\nname = \"a\"\n{keys}\n"), ""));
        assert!(problems.contains("module `a` has no `targets`"), "{keys}: {problems}");
        let listed = format!("[[module]]\nname = \"a\"\ntargets = [\"a.example\"]\n{keys}\n");
        let (config, problems) = read(&sources(&listed, ""));
        assert!(config.is_some() && problems.is_empty(), "{keys}: {problems}");
    }
    for keys in [
        "kind = \"x\"\nproxy = \"http://proxy:3128\"",
        "kind = \"x\"\nexpect-body = \"$${\"",
        "kind = \"x\"\ntls-ca = \"${file:cert.pem}\"",
        "plugin = \"side\"\nsettings = { a = 1 }\ngrants = { http = [\"http://a.example\"] }",
    ] {
        good(&format!("[[module]]\nname = \"a\"\n{keys}\n"));
    }
}
