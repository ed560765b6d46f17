//! What several guests share. The guests are the examples of this package, one file each in `bin`.

pub mod http;

use wellcheck_plugin::Description;
use wellcheck_plugin::bindings::wasi::http::types::{Fields, Method, OutgoingRequest, Scheme};

/// Makes a plugin whose schema is the attack: it passes every run that it gets.
#[macro_export]
macro_rules! with_schema {
    ($name:literal, $schema:expr) => {
        struct WithSchema;

        impl wellcheck_plugin::Plugin for WithSchema {
            type Settings = serde_json::Value;

            fn describe() -> wellcheck_plugin::Description {
                wellcheck_plugin::Description::new($name, "1.0.0", "attacks its schema's reader")
                    .schema($schema)
            }

            fn run(
                _: serde_json::Value,
                _: &wellcheck_plugin::Context,
            ) -> Result<wellcheck_plugin::Report, wellcheck_plugin::Stop> {
                Ok(wellcheck_plugin::Report::pass("the settings were accepted"))
            }
        }

        wellcheck_plugin::export!(WithSchema);
    };
}

/// What both versions of a plugin that comes to want more say of themselves at first.
pub fn modest(version: &str) -> Description {
    Description::new("greedy", version, "wants more with time").want(
        "http",
        "https://api.example.com",
        "to ask the API",
    )
}

/// A request for `http://AUTHORITY/PATH` without any check of its parts.
///
/// # Errors
///
/// The name of the part that was refused, and what stood there.
pub fn request(method: &Method, url: &str, headers: Fields) -> Result<OutgoingRequest, String> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((_, rest)) => (Scheme::Http, rest),
        None => return Err(format!("no URL: {url}")),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(headers);
    request.set_method(method).map_err(|()| format!("method {method:?}"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme".to_owned())?;
    request.set_authority(Some(authority)).map_err(|()| format!("authority {authority}"))?;
    let path = if path.is_empty() { "/" } else { path };
    request.set_path_with_query(Some(path)).map_err(|()| format!("path {path}"))?;
    Ok(request)
}
