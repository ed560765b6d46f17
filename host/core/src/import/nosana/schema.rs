//! What a job definition may hold, as a table: the two published lines of its types
//! (`@nosana/sdk` and `@nosana/types`) taken together.
//!
//! Both refuse properties that they do not know, and so does this. A health check may leave
//! `continuous` out, as the examples of the documentation do.

use crate::config::Problems;
use crate::config::problem::did_you_mean;
use crate::import::json::{Node, Value};
use crate::import::shown;

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Any,
    Text,
    Number,
    Boolean,
    /// One of these words.
    Word(&'static [&'static str]),
    List(&'static Shape),
    /// An object with names of the user's choice.
    Map(&'static Shape),
    Object(&'static [Field]),
    /// A text or a list of texts.
    Texts,
    /// A word, or an object.
    WordOr(&'static [&'static str], &'static [Field]),
    /// A text or an object, for the values of `results`.
    TextOr(&'static [Field]),
    /// A number or a text.
    NumberOrText,
    Resource,
    HealthCheck,
    /// `args`, which depend on the `type` beside them.
    Args,
}

/// A property of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    needed: bool,
    shape: Shape,
}

const fn needs(name: &'static str, shape: Shape) -> Field {
    Field { name, needed: true, shape }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, needed: false, shape }
}

/// The whole file.
pub(super) const JOB: Shape = Shape::Object(&[
    needs("version", Shape::Text),
    needs("type", Shape::Word(&["container"])),
    may("logistics", Shape::Object(&[may("send", LOGISTIC), may("receive", LOGISTIC)])),
    may("deployment_id", Shape::Text),
    may("ssh", Shape::Object(&[may("public_keys", Shape::List(&Shape::Text))])),
    may("meta", Shape::Map(&Shape::Any)),
    may("global", GLOBAL),
    needs("ops", Shape::List(&OPERATION)),
]);

const LOGISTIC: Shape = Shape::Object(&[
    needs("type", Shape::Word(&["api", "api-listen"])),
    needs("args", Shape::Object(&[may("endpoint", Shape::Text)])),
]);

/// `meta`, of which two members have a type.
pub(super) const META: &[(&str, Shape)] =
    &[("trigger", Shape::Text), ("system_resources", Shape::Map(&Shape::NumberOrText))];

const GLOBAL: Shape = Shape::Object(&[
    may("image", Shape::Text),
    may("gpu", Shape::Boolean),
    may("entrypoint", Shape::Texts),
    may("env", Shape::Map(&Shape::Text)),
    may("work_dir", Shape::Text),
    may("variables", Shape::Map(&Shape::Text)),
]);

const OPERATION: Shape = Shape::Object(&[
    needs("type", Shape::Word(&["container/run", "container/create-volume"])),
    needs("id", Shape::Text),
    needs("args", Shape::Args),
    may("results", Shape::Map(&Shape::TextOr(RESULT))),
    may("execution", Shape::Object(EXECUTION)),
]);

const RESULT: &[Field] = &[
    needs("regex", Shape::Text),
    needs("logType", Shape::List(&Shape::Word(&["stdin", "stdout", "stderr", "nodeerr"]))),
];

const EXECUTION: &[Field] = &[
    may("group", Shape::Text),
    may("timeout", Shape::Number),
    may("depends_on", Shape::List(&Shape::Text)),
    may("stop_if_dependent_stops", Shape::Boolean),
];

const RUN: Shape = Shape::Object(&[
    needs("image", Shape::Text),
    may("aliases", Shape::Texts),
    may("cmd", Shape::Texts),
    may("volumes", Shape::List(&VOLUME)),
    // Read by itself.
    may("expose", Shape::Any),
    may("private", Shape::Boolean),
    may("gpu", Shape::Boolean),
    may("work_dir", Shape::Text),
    may("output", Shape::Text),
    may("entrypoint", Shape::Texts),
    may("env", Shape::Map(&Shape::Text)),
    may("required_vram", Shape::Number),
    may(
        "restart_policy",
        Shape::WordOr(
            &["no", "always", "unless-stopped", "on-failure"],
            &[needs("policy", Shape::Word(&["on-failure"])), may("restart_tries", Shape::Number)],
        ),
    ),
    may("resources", Shape::List(&Shape::Resource)),
    may("authentication", Shape::Object(&[may("docker", DOCKER)])),
]);

const VOLUME: Shape = Shape::Object(&[needs("name", Shape::Text), needs("dest", Shape::Text)]);

const DOCKER: Shape = Shape::Object(&[
    may("username", Shape::Text),
    may("password", Shape::Text),
    may("email", Shape::Text),
    may("server", Shape::Text),
]);

const CREATE_VOLUME: Shape = Shape::Object(&[needs("name", Shape::Text)]);

const S3: Shape = Shape::Object(&[
    needs("type", Shape::Word(&["S3"])),
    needs("target", Shape::Text),
    may("url", Shape::Text),
    may("files", Shape::List(&Shape::Text)),
    may("allowWrite", Shape::Boolean),
    may("bucket", Shape::Text),
    may(
        "buckets",
        Shape::List(&Shape::Object(&[
            needs("url", Shape::Text),
            may("files", Shape::List(&Shape::Text)),
        ])),
    ),
    may(
        "IAM",
        Shape::Object(&[
            needs("REGION", Shape::Text),
            needs("ACCESS_KEY_ID", Shape::Text),
            needs("SECRET_ACCESS_KEY", Shape::Text),
        ]),
    ),
]);

const HUGGING_FACE: Shape = Shape::Object(&[
    may("type", Shape::Word(&["HF"])),
    may("target", Shape::Text),
    needs("repo", Shape::Text),
    may("revision", Shape::Text),
    may("files", Shape::List(&Shape::Text)),
    may("accessToken", Shape::Text),
]);

const OLLAMA: Shape = Shape::Object(&[
    needs("type", Shape::Word(&["Ollama"])),
    needs("model", Shape::Text),
    may("target", Shape::Text),
]);

/// `{"__spread__": "%%...%%"}`.
pub(super) const SPREAD: Shape =
    Shape::Object(&[needs("__spread__", Shape::Text), may("chunked", Shape::Boolean)]);

/// An object in `expose`.
pub(super) const EXPOSED: Shape = Shape::Object(&[
    needs("port", Shape::NumberOrText),
    may("type", Shape::Word(&["web", "api", "webapi", "websocket", "none"])),
    may("health_checks", Shape::List(&Shape::HealthCheck)),
]);

const HTTP: Shape = Shape::Object(&[
    needs("type", Shape::Word(&["http"])),
    needs("path", Shape::Text),
    needs("method", Shape::Word(&["GET", "POST", "PUT", "DELETE"])),
    needs("expected_status", Shape::Number),
    may("headers", Shape::Map(&Shape::Text)),
    may("body", Shape::Any),
    may("continuous", Shape::Boolean),
]);

const WEBSOCKET: Shape = Shape::Object(&[
    needs("type", Shape::Word(&["websocket"])),
    needs("expected_response", Shape::Text),
    may("continuous", Shape::Boolean),
]);

impl Shape {
    /// What is expected, for messages.
    fn words(self) -> String {
        match self {
            Self::Any => "anything".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(" or ")
            }
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) | Self::Object(_) | Self::HealthCheck | Self::Args => {
                "an object".to_owned()
            }
            Self::Texts => "a string or a list of strings".to_owned(),
            Self::WordOr(words, _) => format!("{} or an object", Self::Word(words).words()),
            Self::TextOr(_) => "a string or an object".to_owned(),
            Self::NumberOrText => "a number or a string".to_owned(),
            Self::Resource => "an object with `type`".to_owned(),
        }
    }
}

/// Looks whether a value has a shape. `path` is where it is, as in `ops[0].args`.
pub(super) fn check(shape: Shape, node: &Node, path: &str, problems: &mut Problems) {
    let each = |inner: Shape, problems: &mut Problems| {
        for (index, item) in node.items().iter().enumerate() {
            check(inner, item, &format!("{path}[{index}]"), problems);
        }
    };
    match (shape, &node.value) {
        (Shape::Any, _)
        | (Shape::Text | Shape::Texts | Shape::TextOr(_) | Shape::NumberOrText, Value::String(_))
        | (Shape::Number | Shape::NumberOrText, Value::Number(_))
        | (Shape::Boolean, Value::Boolean(_)) => {}
        (Shape::Word(words) | Shape::WordOr(words, _), Value::String(text)) => {
            if !words.contains(&text.as_str()) {
                let (text, expected) = (shown(text), shape.words());
                let message = format!("`{path}` is \"{text}\" (expected {expected})");
                problems.error(&node.place, message);
            }
        }
        (Shape::List(inner), Value::Array(_)) => each(*inner, problems),
        (Shape::Texts, Value::Array(_)) => each(Shape::Text, problems),
        (Shape::Map(inner), Value::Object(members)) => {
            for member in members {
                check(*inner, &member.node, &format!("{path}.{}", shown(&member.name)), problems);
            }
        }
        (
            Shape::Object(fields) | Shape::WordOr(_, fields) | Shape::TextOr(fields),
            Value::Object(_),
        ) => object(fields, node, path, problems),
        (Shape::HealthCheck, Value::Object(_)) => match kind(node, path, problems) {
            Some("http") => check(HTTP, node, path, problems),
            Some("websocket") => check(WEBSOCKET, node, path, problems),
            Some(other) => {
                let place = node.get("type").map_or(&node.place, |kind| &kind.place);
                let other = shown(other);
                problems.error(
                    place,
                    format!("`{path}.type` is \"{other}\" (expected \"http\" or \"websocket\")"),
                );
            }
            None => {}
        },
        (Shape::Resource, Value::String(text)) if text == "__remove-if-empty__" => {}
        (Shape::Resource, Value::Object(_)) => resource(node, path, problems),
        // Both are read by the object around them.
        (Shape::Args, Value::Object(_)) => {}
        _ => {
            let (found, expected) = (node.kind(), shape.words());
            let what = if path.is_empty() { "the job".to_owned() } else { format!("`{path}`") };
            problems.error(&node.place, format!("{what} is {found} (expected {expected})"));
        }
    }
}

/// The text of `type`, which decides about the rest.
fn kind<'a>(node: &'a Node, path: &str, problems: &mut Problems) -> Option<&'a str> {
    match node.get("type") {
        None => {
            problems.error(&node.place, format!("`{path}` has no `type`, which is required"));
            None
        }
        Some(kind) => {
            check(Shape::Text, kind, &format!("{path}.type"), problems);
            kind.text()
        }
    }
}

fn object(fields: &[Field], node: &Node, path: &str, problems: &mut Problems) {
    let known = || fields.iter().map(|field| field.name);
    for member in node.members() {
        let inside = format!("{path}.{}", shown(&member.name));
        let inside = inside.strip_prefix('.').unwrap_or(&inside);
        let Some(field) = fields.iter().find(|field| field.name == member.name) else {
            let hint = match did_you_mean(&member.name, known()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known properties: {}", known().collect::<Vec<_>>().join(", ")),
            };
            problems.error(&member.place, format!("unknown property `{inside}` ({hint})"));
            continue;
        };
        check(field.shape, &member.node, inside, problems);
        if matches!(field.shape, Shape::Args) {
            match node.get("type").and_then(Node::text) {
                Some("container/run") => check(RUN, &member.node, inside, problems),
                Some("container/create-volume") => {
                    check(CREATE_VOLUME, &member.node, inside, problems);
                }
                // The `type` has its problem already.
                _ => {}
            }
        }
    }
    for field in fields.iter().filter(|field| field.needed && node.get(field.name).is_none()) {
        let what = if path.is_empty() { "the job".to_owned() } else { format!("`{path}`") };
        problems.error(&node.place, format!("{what} has no `{}`, which is required", field.name));
    }
}

fn resource(node: &Node, path: &str, problems: &mut Problems) {
    if node.get("__spread__").is_some() {
        check(SPREAD, node, path, problems);
        return;
    }
    let shape = match node.get("type").and_then(Node::text) {
        Some("S3") => S3,
        Some("HF") => HUGGING_FACE,
        Some("Ollama") => OLLAMA,
        None if node.get("repo").is_some() => HUGGING_FACE,
        _ => {
            let place = node.get("type").map_or(&node.place, |kind| &kind.place);
            let message = format!("`{path}` has no `type` of \"S3\", \"HF\" or \"Ollama\"");
            problems.error(place, message);
            return;
        }
    };
    check(shape, node, path, problems);
    if let (Some(_), Some(buckets)) = (node.get("bucket"), node.get("buckets")) {
        let message = format!("`{path}` has both `bucket` and `buckets` (expected one of them)");
        problems.error(&buckets.place, message);
    }
}
