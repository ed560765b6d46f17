//! Commands that ask a URL, and those that do not.

use super::*;
use crate::import::testing::file;

/// What a line asks, or why it is no check.
fn asked(line: &str) -> String {
    let file = file("Dockerfile", "");
    let mut context = Context::new(&file);
    let command = Command::Line(line.to_owned());
    match read(&command, "10.0.0.7", Mark::default(), "it", &mut context) {
        Ok((request, within)) => {
            let mut block = crate::import::write::Block::new("[[check]]");
            request.put(&mut block);
            let rendered = crate::import::write::render("x", &[block]);
            let (_, keys) = rendered.split_once("[[check]]\n").expect("a check");
            let within = within.map(|within| format!("within {within:?}\n")).unwrap_or_default();
            format!("{keys}{within}")
        }
        Err(why) => why,
    }
}

#[test]
fn curl_and_wget_are_understood() {
    let cases = [
        ("curl http://a/", "url = \"http://a/\"\nexpect-status = \"100-999\"\nredirects = 0\n"),
        ("curl -f a:80/x", "url = \"http://a:80/x\"\nexpect-status = \"200-399\"\nredirects = 0\n"),
        (
            "/usr/bin/curl -fsSL http://a",
            "url = \"http://a\"\nexpect-status = \"200-299\"\nredirects = 50\n",
        ),
        (
            "curl --fail -k -o /dev/null -w '%{http_code}' -m2.5 https://localhost:8443/",
            "url = \"https://10.0.0.7:8443/\"\nexpect-status = \"200-399\"\nredirects = 0\ntls-verify = false\nwithin 2.5s\n",
        ),
        (
            "curl -f -X put -H 'A: b' -H 'Content-Type: c' -d '{}' http://a",
            "url = \"http://a\"\nmethod = \"PUT\"\nheaders = { A = \"b\", Content-Type = \"c\" }\nbody = \"{}\"\nexpect-status = \"200-399\"\nredirects = 0\n",
        ),
        (
            "curl -fd x -u me:pw http://a",
            "url = \"http://a\"\nmethod = \"POST\"\nheaders.Content-Type = \"application/x-www-form-urlencoded\"\nheaders.Authorization = \"Basic bWU6cHc=\"\nbody = \"x\"\nexpect-status = \"200-399\"\nredirects = 0\n",
        ),
        (
            "curl -If4 http://a",
            "url = \"http://a\"\nmethod = \"HEAD\"\nexpect-status = \"200-399\"\nredirects = 0\naddress-family = \"ipv4\"\n",
        ),
        (
            "wget --no-verbose --tries=1 --spider http://localhost:80/ || exit 1",
            "url = \"http://10.0.0.7:80/\"\nexpect-status = \"200-299\"\nredirects = 20\n",
        ),
        (
            "wget -qO- -T 3 --no-check-certificate --header='A: b' https://[::1]/ >/dev/null 2>&1",
            "url = \"https://10.0.0.7/\"\nheaders = { A = \"b\" }\nexpect-status = \"200-299\"\nredirects = 20\ntls-verify = false\nwithin 3s\n",
        ),
        (
            "wget -nv -Y off -O /dev/null --user=me --password=pw http://a",
            "url = \"http://a\"\nheaders = { Authorization = \"Basic bWU6cHc=\" }\nexpect-status = \"200-299\"\nredirects = 20\n",
        ),
        (
            "curl -s http://a | grep -q 'it is up'",
            "url = \"http://a\"\nexpect-status = \"100-999\"\nexpect-body = \"it is up\"\nredirects = 0\n",
        ),
        (
            "curl -sf http://a | grep -iF a.b",
            "url = \"http://a\"\nexpect-status = \"200-399\"\nexpect-body-matches = '(?im)a\\.b'\nredirects = 0\n",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(asked(line), expected, "{line}");
    }
}

#[test]
fn other_commands_say_what_stands_in_the_way() {
    let cases = [
        ("", "its command is empty"),
        ("cat /tmp/healthy", "it runs `cat` (nothing is run in containers; a plugin can look)"),
        (
            "pg_isready -U me",
            "it runs `pg_isready` (nothing is run in containers; the kind `postgres`",
        ),
        ("curl -f", "its command names no URL"),
        ("curl a b", "its command names more than one URL"),
        (
            "curl -f --unix-socket /s http://a",
            "the option `--unix-socket` of `curl` is not understood",
        ),
        ("curl -fZ http://a", "the option `-Z` of `curl` is not understood"),
        ("curl -m", "the option `m` of `curl` has no value"),
        ("curl -m x http://a", "`x` is no limit for `curl`"),
        ("curl -H nonsense http://a", "`nonsense` is no header"),
        ("curl -d @file http://a", "it sends the file `file`"),
        ("curl ftp://a", "it asks by `ftp`"),
        ("curl 'http://a b'", "is no URL"),
        ("curl http://a | jq .status", "it pipes through `jq`"),
        ("curl http://a | grep -v bad", "the option `-v` of `grep` is not understood"),
        ("curl http://a | grep 'a.b'", "it looks for the pattern `a.b`"),
        ("curl http://a | grep a | grep b", "its command pipes through more than one other"),
        ("wget --recursive http://a", "the option `--recursive` of `wget` is not understood"),
    ];
    for (line, says) in cases {
        let found = asked(line);
        assert!(found.contains(says), "{line}: `{says}` is not in `{found}`");
    }
    let long = format!("curl http://a/{}", "x".repeat(MAX_COMMAND));
    assert!(asked(&long).contains("its command has more than"), "{}", asked(&long));
}
