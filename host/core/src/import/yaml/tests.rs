//! Hostile YAML, and what YAML means.

use super::*;
use crate::import::testing::file;

#[track_caller]
fn refused(text: &str) -> String {
    let problems = read(&file("a.yaml", text)).expect_err("it is refused");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[track_caller]
fn one(text: &str) -> Node {
    let mut documents = read(&file("a.yaml", text)).expect("sound");
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// A tree as JSON-like text.
fn show(node: &Node) -> String {
    match &node.value {
        _ if node.is_null() => "null".to_owned(),
        Value::Scalar { text, plain: true } => text.clone(),
        Value::Scalar { text, plain: false } => format!("{text:?}"),
        Value::Binary(bytes) => format!("{bytes:?}"),
        Value::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(pairs) => {
            let pair = |pair: &Pair| format!("{}: {}", pair.key, show(&pair.node));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn values_are_read_as_yaml_means_them() {
    let cases = [
        ("a: [1, 'x', ~]\nb:\n  - c: d", "{a: [1, \"x\", null], b: [{c: d}]}"),
        ("a: &x {b: 1}\nc: *x", "{a: {b: 1}, c: {b: 1}}"),
        ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3", "{a: {b: 1, c: 2}, d: {c: 3, b: 1}}"),
        ("a: {<<: [{b: 1}, {b: 2, c: 3}]}", "{a: {b: 1, c: 3}}"),
        (
            "a: !!str 1\nb: !!int 2\nc: !!binary aGk=\nd: ! x",
            "{a: \"1\", b: 2, c: [104, 105], d: \"x\"}",
        ),
        ("\u{feff}a: |\n  x\n  y\n", "{a: \"x\\ny\\n\"}"),
        ("? a\n: b\n", "{a: b}"),
        ("{a: , b: ''}", "{a: null, b: \"\"}"),
    ];
    for (text, expected) in cases {
        assert_eq!(show(&one(text)), expected, "{text}");
    }
    assert_eq!(read(&file("a", "")).map(|d| d.len()), Ok(0));
    assert_eq!(read(&file("a", "a: 1\n---\n---\nb: 2\n")).map(|d| d.len()), Ok(2));
}

#[test]
fn every_value_knows_its_place() {
    let root = one("a:\n  - é: [1, 2]\n");
    let item = &root.get("a").and_then(|node| match &node.value {
        Value::List(list) => list.first(),
        _ => None,
    });
    let pair = &item.expect("an item").pairs().expect("a map")[0];
    assert_eq!((pair.mark.line, pair.mark.column), (2, 5));
    let Value::List(list) = &pair.node.value else { panic!("no list") };
    assert_eq!((list[1].mark.line, list[1].mark.column), (2, 12));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        (
            "a: 1\nb: 2\na: 3\nb: 4",
            "a.yaml:3:1: error: the key `a` is there twice\na.yaml:4:1: error: the key `b` is there twice\n",
        ),
        ("a: !Ref x", "a.yaml:1:9: error: the tag `!Ref` is not understood"),
        ("a: !!set {x, y}", "the tag `!!set` is not understood"),
        ("a: !!binary '*'", "what is tagged `!!binary` is not base64"),
        ("[a]: 1", "a.yaml:1:1: error: a key is a list (expected a text)"),
        ("a: &x [*x]", "an alias stands within what it stands for"),
        ("a: *x", "not valid YAML"),
        ("a: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("<<: 1", "`<<` merges a text (expected a map or a list of maps)"),
    ];
    for (text, says) in cases {
        let problems = refused(text);
        assert!(problems.contains(says), "{text}: `{says}` is not in:\n{problems}");
    }
}

/// Names its values again and again: nine levels of nine aliases are 387,420,489 values.
fn bomb(open: char, close: char) -> String {
    let mut text = String::from("a0: &a0 [lol]\n");
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        let inner: Vec<String> = (0..9)
            .map(|n| if open == '{' { format!("k{n}: {alias}") } else { alias.clone() })
            .collect();
        let line = format!("a{level}: &a{level} {open}{}{close}\n", inner.join(", "));
        text.push_str(&line);
    }
    text
}

#[test]
fn bombs_are_refused() {
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(1000));
    let merged = format!(
        "a: &a {{{}}}\nb: [{}]\n",
        (0..1000).map(|n| format!("k{n}: 1")).collect::<Vec<_>>().join(", "),
        "{<<: *a}, ".repeat(1000)
    );
    // Not an alias in it, and still each level would be kept once more.
    let nested = format!(
        "{}{}",
        (0..60).map(|n| format!("&a{n} [")).collect::<String>(),
        "1, ".repeat(20_000)
    ) + &"]".repeat(60);
    for text in [bomb('[', ']'), bomb('{', '}'), long, merged, nested] {
        let problems = refused(&text);
        assert!(problems.contains("anchors and aliases stand for more than"), "{problems}");
    }
}

#[test]
fn depth_is_bounded_also_through_aliases() {
    let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
    assert!(refused(&deep).contains("nested deeper than 64 levels"));
    let blocks: String = (0..70).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(refused(&blocks).contains("nested deeper than 64 levels"));
    let half = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let aliased = format!("a: &a {half}\nb: {}*a{}\n", "[".repeat(40), "]".repeat(40));
    assert!(refused(&aliased).contains("nested deeper than 64 levels"));
    let fits = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    one(&fits);
}

#[test]
fn large_and_hostile_files_are_answered() {
    let many = 128 * 1024;
    let texts = [
        "[".repeat(many),
        "{".repeat(many),
        "- ".repeat(many),
        "? ".repeat(many),
        "&a ".repeat(many),
        "!a ".repeat(many),
        "a: ".repeat(many),
        "\"".to_owned() + &"x".repeat(8 * many),
        "#".repeat(8 * many),
        " ".repeat(8 * many),
        "\n".repeat(8 * many),
        "a".repeat(8 * many),
        "a\n".repeat(many),
        "---\n".repeat(many),
        "%TAG ! a\n".repeat(many / 8),
        "- a\n".repeat(many),
        "\"\\u0041".repeat(many / 8),
        "|\n".repeat(many),
        "[a, ".repeat(many / 4),
        "{a: ".repeat(many / 4),
        "*a ".repeat(many),
        "\t".repeat(many),
        "a: &a b\n".repeat(many / 8),
    ];
    for text in texts {
        // Sound or not: it comes to an end. How soon is measured from outside.
        let _ = read(&file("a", &text));
    }
    let keys: String = (0..20_000).map(|n| format!("k{n}: {n}\n")).collect();
    assert_eq!(one(&keys).pairs().map(<[Pair]>::len), Some(20_000));
    let values = format!("[{}]", "a,".repeat(MAX_VALUES));
    assert!(refused(&values).contains("the file holds more than 1000000 values"));
    assert!(refused(&"---\na\n".repeat(MAX_DOCUMENTS + 1)).contains("more than 10000 documents"));
    let large = " ".repeat(MAX_FILE + 1);
    assert!(refused(&large).contains("the file has more than 16 MiB"));
}
