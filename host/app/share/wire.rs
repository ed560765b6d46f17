//! Questions and verdicts as zrok's API has them on the wire.
//!
//! Read as Go reads JSON: names in any case, unknown ones and `null` ignored, and what is missing is
//! empty or zero.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Question, Verdict, bounded};

/// The media type of both.
pub(crate) const MEDIA_TYPE: &str = "application/zrok.v1+json";

const FIELDS: [&str; 6] =
    ["envZId", "shareToken", "httpVerb", "endpoint", "expectedHttpResponse", "timeoutMs"];

/// Reads a question.
///
/// # Errors
/// What was found and what was expected.
pub(crate) fn question(body: &[u8]) -> Result<Question, String> {
    let object: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            let example =
                r#"{"shareToken": "TOKEN", "endpoint": "/", "expectedHttpResponse": 200}"#;
            return Err(format!(
                "the body is {} (expected an object such as {example})",
                kind(&other)
            ));
        }
        Err(error) => return Err(format!("the body is no JSON: {error}")),
    };
    let [mut environment, mut share, mut verb, mut endpoint] = [const { String::new() }; 4];
    let (mut expected, mut timeout_ms) = (0, 0);
    for (name, value) in object {
        let Some(field) = FIELDS.into_iter().find(|field| field.eq_ignore_ascii_case(&name)) else {
            continue;
        };
        match field {
            "envZId" => text(field, value, &mut environment)?,
            "shareToken" => text(field, value, &mut share)?,
            "httpVerb" => text(field, value, &mut verb)?,
            "endpoint" => text(field, value, &mut endpoint)?,
            "expectedHttpResponse" => {
                if let Some(code) = number(field, &value)? {
                    expected = whole(code).ok_or_else(|| {
                        format!("`{field}` is {value} (expected an HTTP status, such as 200)")
                    })?;
                }
            }
            _ => {
                if let Some(ms) = number(field, &value)? {
                    // Too much is cut by whoever asks for it, and less than nothing is nothing.
                    timeout_ms = ms as u64;
                }
            }
        }
    }
    Ok(Question { environment, share, verb, endpoint, expected, timeout_ms })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn text(field: &str, value: Value, into: &mut String) -> Result<(), String> {
    match value {
        Value::String(text) => *into = text,
        Value::Null => {}
        other => return Err(format!("`{field}` is {} (expected a string)", kind(&other))),
    }
    Ok(())
}

fn number(field: &str, value: &Value) -> Result<Option<f64>, String> {
    match value {
        Value::Number(number) => Ok(number.as_f64()),
        Value::Null => Ok(None),
        other => Err(format!("`{field}` is {} (expected a number)", kind(other))),
    }
}

fn whole(number: f64) -> Option<u32> {
    let is_whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_whole.then_some(number as u32)
}

/// A question as another instance reads it.
pub(super) fn encoded(question: &Question) -> Vec<u8> {
    let object = serde_json::json!({
        "envZId": question.environment,
        "shareToken": question.share,
        "httpVerb": question.verb,
        "endpoint": question.endpoint,
        "expectedHttpResponse": question.expected,
        "timeoutMs": question.timeout_ms,
    });
    object.to_string().into_bytes()
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    healthy: bool,
}

/// A verdict, byte for byte: what is false or empty is left out, and a line ends it.
pub(crate) fn verdict(verdict: &Verdict) -> Vec<u8> {
    let body = match verdict {
        Ok(()) => Body { error: "", healthy: true },
        Err(error) => Body { error, healthy: false },
    };
    let mut bytes = serde_json::to_vec(&body).expect("a struct with two plain fields");
    bytes.push(b'\n');
    bytes
}

/// Reads another instance's verdict.
pub(super) fn decoded(body: &[u8]) -> Result<Verdict, String> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Err("its answer is no JSON object".to_owned());
    };
    if object.get("healthy") == Some(&Value::Bool(true)) {
        return Ok(Ok(()));
    }
    match object.get("error") {
        Some(Value::String(error)) => Ok(Err(bounded(error.clone()))),
        None => Ok(Err(String::new())),
        Some(other) => Err(format!("`error` of its answer is {} (expected a string)", kind(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Question {
        Question {
            environment: "MxMbUXSANU".to_owned(),
            share: "8rvjpmeeyvwc".to_owned(),
            verb: "GET".to_owned(),
            endpoint: "/".to_owned(),
            expected: 200,
            timeout_ms: 1500,
        }
    }

    #[test]
    fn questions_read_back_as_written() {
        assert_eq!(question(&encoded(&asked())), Ok(asked()));
    }

    #[test]
    fn questions_are_read_as_go_does_it() {
        let empty = Question {
            environment: String::new(),
            share: String::new(),
            verb: String::new(),
            endpoint: String::new(),
            expected: 0,
            timeout_ms: 0,
        };
        let nulls = br#"{"envZId": null, "timeoutMs": null, "extra": [{}], "httpVerb": null}"#;
        for body in [&b"{}"[..], nulls, b" {\"timeoutMs\": -7.5}\n"] {
            assert_eq!(question(body), Ok(empty.clone()));
        }
        let cased = br#"{"SHARETOKEN": "a", "sharetoken": "b", "ExpectedHttpResponse": 204.0}"#;
        assert_eq!(
            question(cased),
            Ok(Question { share: "b".to_owned(), expected: 204, ..empty.clone() })
        );
        let long = question(br#"{"timeoutMs": 1e300}"#).expect("a number");
        assert_eq!(long.timeout(), super::super::MAX_TIMEOUT);
        assert_eq!(empty.timeout(), std::time::Duration::from_secs(5));
    }

    #[test]
    fn wrong_types_are_named_with_what_was_expected() {
        for (body, says) in [
            (r#"{"shareToken": 1}"#, "`shareToken` is a number (expected a string)"),
            (r#"{"httpVerb": ["GET"]}"#, "`httpVerb` is a list (expected a string)"),
            (r#"{"timeoutMs": "1"}"#, "`timeoutMs` is a string (expected a number)"),
            (
                r#"{"expectedHttpResponse": 200.5}"#,
                "`expectedHttpResponse` is 200.5 (expected an HTTP status, such as 200)",
            ),
            (
                r#"{"expectedHttpResponse": -1}"#,
                "`expectedHttpResponse` is -1 (expected an HTTP status, such as 200)",
            ),
            (r#"{"expectedHttpResponse": true}"#, "is true or false (expected a number)"),
            ("[]", "the body is a list (expected an object such as "),
            ("null", "the body is null"),
            ("", "the body is no JSON: EOF"),
            ("{", "the body is no JSON: EOF"),
            ("{} {}", "the body is no JSON: trailing characters"),
        ] {
            let error = question(body.as_bytes()).expect_err(body);
            assert!(error.contains(says), "{body}: {error}");
        }
    }

    #[test]
    fn verdicts_are_the_bytes_that_zrok_sends() {
        assert_eq!(verdict(&Ok(())), b"{\"healthy\":true}\n");
        assert_eq!(verdict(&Err("a \"b\" <c>".to_owned())), b"{\"error\":\"a \\\"b\\\" <c>\"}\n");
        for told in [Ok(()), Err("x".to_owned()), Err(String::new())] {
            assert_eq!(decoded(&verdict(&told)), Ok(told));
        }
        for wrong in ["", "[]", "{\"error\":{}}", "{\"error\":null}", "<html>"] {
            decoded(wrong.as_bytes()).expect_err(wrong);
        }
    }
}
