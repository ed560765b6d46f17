//! Probes of pods.

use super::*;
use crate::import::testing::{check_no_key_is_lost, file, made, refused, show};

const DOCUMENTED: &str = include_str!("documented.yaml");

#[test]
fn every_documented_key_is_carried_over_or_noted() {
    insta::assert_snapshot!(show(&made(&Kubernetes, "k8s/web.yaml", DOCUMENTED)));
}

#[test]
fn no_key_of_a_probe_is_lost_in_silence() {
    let file = file("web.yaml", DOCUMENTED);
    let probes = |keys: &[String]| {
        let name = keys.join(".");
        let of_a_probe = keys.iter().any(|key| key.ends_with("Probe")) || name.contains("ports");
        // What is as it would be without it.
        let plain = name.ends_with("livenessProbe.successThreshold")
            || name.ends_with("readinessProbe.periodSeconds");
        of_a_probe && !plain
    };
    let options = Options::default();
    check_no_key_is_lost(&file, probes, |documents| import(documents, &file, &options));
}

fn pod(probe: &str) -> String {
    format!(
        "kind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n    - name: a\n      livenessProbe: {probe}\n"
    )
}

#[test]
fn defaults_are_those_of_the_kubelet() {
    let toml = made(&Kubernetes, "pod.yaml", &pod("{httpGet: {port: 80}}")).toml;
    let expected = "[[check]]\nname = \"a-liveness\"\ntitle = \"a: liveness\"\nkind = \"http\"\nurl = \"http://127.0.0.1:80/\"\nexpect-status = \"200-399\"\ninterval = \"10s\"\ntimeout = \"1s\"\nfailure-threshold = 3\nsuccess-threshold = 1\ntags = [\"liveness\"]\n";
    assert!(toml.ends_with(expected), "{toml}");
}

#[test]
fn what_is_no_manifest_is_refused() {
    let cases = [
        ("".to_owned(), "the file is empty"),
        ("a: 1".to_owned(), "pod.yaml:1:1: error: this is no manifest"),
        ("[]".to_owned(), "this is no manifest"),
        ("kind: Pod".to_owned(), "this Pod has no `spec`"),
        ("kind: Deployment\nspec: {}".to_owned(), "this Deployment has no `spec.template.spec`"),
        ("kind: Pod\nspec: {containers: 1}".to_owned(), "`containers` is a text (expected a list)"),
        ("kind: Pod\nspec: {containers: [1]}".to_owned(), "a container is a text (expected a map)"),
        (pod("1"), "`livenessProbe` of container `a` of `a` is a text (expected a map)"),
        (pod("{}"), "does nothing (expected `httpGet`, `tcpSocket`, `exec` or `grpc`)"),
        (pod("{tcpSocket: {port: 1}, exec: {}}"), "does more than one thing"),
        (pod("{tcpSocket: {}}"), "has no `port`"),
        (pod("{tcpSocket: {port: 65536}}"), "is 65536 (expected 1 to 65535)"),
        (pod("{tcpSocket: {port: 1}, periodSeconds: x}"), "`periodSeconds` of `livenessProbe`"),
        (pod("{tcpSocket: {port: 1}, periodSeconds: -1}"), "a probe has -1 seconds"),
        (pod("{httpGet: {port: 1, scheme: ftp}}"), "is `ftp` (expected HTTP or HTTPS)"),
        (pod("{httpGet: {port: 1, httpHeaders: [{name: 'a b'}]}}"), "`a b` is no name of a header"),
    ];
    for (text, says) in cases {
        let problems = refused(&Kubernetes, "pod.yaml", &text);
        assert!(problems.contains(says), "{text}: `{says}` is not in:\n{problems}");
    }
}
