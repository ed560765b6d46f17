//! Signatures of minisign: small texts, verified offline, against keys that the configuration names.

use minisign_verify::{Error, Signature};
use wellcheck_core::source::PublicKey;

use crate::error::{FetchError, FetchErrorKind};

/// Longest text of a signature, in bytes: two comments and two lines of base64.
pub const MAX_SIGNATURE: usize = 4 * 1024;

/// Looks whether one of `keys` has signed `bytes`, and says which; without keys nothing is asked
/// for. `what` is whose signature it is, for messages.
///
/// # Errors
/// When none has.
pub fn verify(
    bytes: &[u8],
    signature: Option<&str>,
    keys: &[PublicKey],
    what: &str,
) -> Result<Option<PublicKey>, FetchError> {
    if keys.is_empty() {
        return Ok(None);
    }
    let Some(text) = signature else {
        let message = format!(
            "{what} is not signed, and must be (`minisign -S` makes a signature; `key` of `[[plugin]]` and `keys` of `[plugins]` say whose are good)"
        );
        return Err(FetchError::new(FetchErrorKind::Unsigned, message));
    };
    let bad = |why: &str| {
        FetchError::new(FetchErrorKind::BadSignature, format!("the signature of {what} {why}"))
    };
    if text.len() > MAX_SIGNATURE {
        return Err(bad(&format!("has more than {MAX_SIGNATURE} bytes")));
    }
    let signature = Signature::decode(text)
        .map_err(|_foreign| bad("cannot be read (expected what `minisign -S` writes)"))?;
    let mut is_known = false;
    for key in keys {
        let Ok(public) = minisign_verify::PublicKey::from_base64(key.as_str()) else { continue };
        match public.verify(bytes, &signature, false) {
            Ok(()) => return Ok(Some(key.clone())),
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => {
                return Err(bad(
                    "is of the old sort, over the file itself (sign again with a newer minisign, without `-l`)",
                ));
            }
            Err(_forged) => is_known = true,
        }
    }
    Err(if is_known {
        bad("is over something else: the file is not the one that was signed")
    } else {
        let keys: Vec<_> = keys.iter().take(3).map(|key| format!("`{key}`")).collect();
        bad(&format!("is by a key that is not named (good are {})", keys.join(", ")))
    })
}
