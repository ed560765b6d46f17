//! Who may call the routes that change something: bearer tokens, hashed in the configuration.
//!
//! A token is long and random, so one round of SHA-256 is enough, and comparing hashes in constant
//! time gives nothing away. Cookies are not looked at: a page of another site cannot make a browser
//! send a token.

use aws_lc_rs::constant_time;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use wellcheck_core::config::{Role, Token};

use super::Problem;
use crate::digest::sha256;

const BEARER: &[u8] = b"Bearer ";

/// The name of the token that came with a request, if it may do what `role` may.
pub(super) fn check(tokens: &[Token], headers: &HeaderMap, role: Role) -> Result<String, Problem> {
    if tokens.is_empty() {
        return Err(Problem::new(
            403,
            "no-token-configured",
            "no token is configured, so that nothing can be changed over HTTP (`wellcheck token` makes a `[[token]]`; SIGHUP reloads too)",
        ));
    }
    let Some(given) = given(headers) else {
        return Err(Problem::new(401, "no-token", "expected `Authorization: Bearer TOKEN`"));
    };
    let found = find(tokens, given);
    match found {
        None => Err(Problem::new(401, "unknown-token", "this token is not configured")),
        Some(token) if token.role < role => Err(Problem::new(
            403,
            "role",
            format!(
                "the token `{}` has the role `{}` (expected `{}`)",
                token.name,
                token.role.as_str(),
                role.as_str()
            ),
        )),
        Some(token) => Ok(token.name.clone()),
    }
}

/// Whether a token came with a request that is in the configuration, whatever its role.
pub(super) fn has_token(tokens: &[Token], headers: &HeaderMap) -> bool {
    given(headers).is_some_and(|given| find(tokens, given).is_some())
}

/// The token that came with a request.
pub(super) fn given(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

/// The token with this text.
fn find<'a>(tokens: &'a [Token], given: &[u8]) -> Option<&'a Token> {
    let hash = sha256(given);
    tokens.iter().find(|token| is_same(&token.sha256, &hash))
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(crate) fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}
