//! How commands talk to a running server: where it listens, the token, and one request.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use wellcheck_net::http::{Answer, Client, Request};
use wellcheck_net::{Resolver, Tls};

use super::setup;
use crate::sources::without_credentials;

/// Longest that a server may take, where nothing else is said.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Longest token file, in bytes.
const MAX_TOKEN: u64 = 4 * 1024;

/// Which server, and by which right.
#[derive(Debug, ClapArgs)]
pub(super) struct Remote {
    /// Where the server listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "WELLCHECK_SERVER", value_parser = server)]
    server: Url,
    /// What the server knows us by: a token with the role `operate`
    #[arg(long, value_name = "TOKEN", env = "WELLCHECK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token and nothing else; wins over `--token`
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Where a server listens, as an argument has it: an address and port alone will do.
pub(super) fn server(text: &str) -> Result<Url, String> {
    let url =
        if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("expected a URL with http or https".to_owned()),
    }
}

impl Remote {
    /// Whether there is a token to show.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    fn bearer(&self) -> anyhow::Result<Option<HeaderValue>> {
        let text = match (&self.token_file, &self.token) {
            (Some(path), _) => {
                let cannot = || format!("cannot read `{}`", path.display());
                let mut text = String::new();
                let file = std::fs::File::open(path).with_context(cannot)?;
                file.take(MAX_TOKEN).read_to_string(&mut text).with_context(cannot)?;
                text
            }
            (None, Some(token)) => token.clone(),
            (None, None) => return Ok(None),
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", text.trim()))
            .map_err(|_| anyhow!("the token holds characters that no token has"))?;
        bearer.set_sensitive(true);
        Ok(Some(bearer))
    }
}

/// Asks the server for a path of its API, once. Without a body none is sent. Redirects are not
/// followed: a token goes where it was meant to go and nowhere else.
pub(super) fn call(
    remote: &Remote,
    method: Method,
    path: &[&str],
    body: &Value,
    timeout: Duration,
) -> anyhow::Result<Value> {
    let mut url = remote.server.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow!("this is no URL to ask"))?
        .pop_if_empty()
        .extend(path);
    url.set_query(None);
    let shown = without_credentials(url.as_str());
    let mut request = Request::new(method, url, Tls::default());
    if let Some(bearer) = remote.bearer()? {
        request.headers.insert(AUTHORIZATION, bearer);
    }
    if !body.is_null() {
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = body.to_string().into();
    }
    let answer = fetch(request, timeout)?;
    let told = serde_json::from_slice::<Value>(&answer.body);
    if !answer.status.is_success() {
        let told = told.unwrap_or_default();
        let why = told["error"]["message"].as_str().unwrap_or("is this a wellcheck server?");
        bail!("{shown} answered {}: {}", answer.status, printable(why));
    }
    told.with_context(|| format!("{shown} answered something else than JSON"))
}

/// Asks a URL, once; over `https` whoever the system trusts.
pub(super) fn get(url: &Url, timeout: Duration) -> anyhow::Result<Answer> {
    fetch(Request::new(Method::GET, url.clone(), Tls::default()), timeout)
}

fn fetch(mut request: Request, timeout: Duration) -> anyhow::Result<Answer> {
    request.body_limit = MAX_ANSWER;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(Resolver::from_system());
    let fetch = async { Box::pin(client.fetch(&request, Instant::now() + timeout)).await };
    let answer = runtime.block_on(fetch).result;
    answer
        .map_err(|failure| anyhow!("{failure}"))
        .with_context(|| format!("no answer from {}", without_credentials(request.url.as_str())))
}

/// Tells what the server remarked on an order that it took.
pub(super) fn pass_on(flags: &Value) {
    for flag in flags.as_array().into_iter().flatten().filter_map(Value::as_str) {
        setup::complain(&printable(flag));
    }
}

/// What others said, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    wellcheck_wasm::cleaned(text, 1024)
}
