//! How commands talk to a running server: where it listens, the token, and one request.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args as ClapArgs;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use wellcheck_net::http::{Client, Request};
use wellcheck_net::{Resolver, Tls};

use crate::sources::without_credentials;

/// Longest that a server may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which server, and by which right.
#[derive(Debug, ClapArgs)]
pub(super) struct Remote {
    /// Where the server listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", env = "WELLCHECK_SERVER", value_parser = super::control::url)]
    server: Url,
    /// A token with the role `operate`
    #[arg(long, value_name = "TOKEN", env = "WELLCHECK_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Asks the server, once. Without a body none is sent.
pub(super) fn call(
    remote: &Remote,
    method: Method,
    path: &[&str],
    body: &Value,
) -> anyhow::Result<Value> {
    let mut url = remote.server.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow!("this is no URL to ask"))?
        .pop_if_empty()
        .extend(path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(Resolver::from_system());
    let mut request = Request::new(method, url.clone(), Tls::default());
    request.body_limit = 16 * 1024 * 1024;
    if let Some(token) = &remote.token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .context("the token holds characters that no token has")?;
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
    }
    if !body.is_null() {
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = body.to_string().into();
    }
    let shown = without_credentials(url.as_str());
    let exchange = runtime.block_on(client.fetch(&request, Instant::now() + TIMEOUT));
    let answer = exchange
        .result
        .map_err(|failure| anyhow!("{failure}"))
        .with_context(|| format!("no answer from {shown}"))?;
    let told = serde_json::from_slice::<Value>(&answer.body);
    if !answer.status.is_success() {
        let why = told.ok().and_then(|told| told["error"]["message"].as_str().map(str::to_owned));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        bail!("{shown} answered {}{why}", answer.status);
    }
    told.with_context(|| format!("{shown} answered something else than JSON"))
}
