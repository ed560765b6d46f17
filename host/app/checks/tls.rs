//! TLS as every kind has it: the same keys with the same meaning.

use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_net::{Tls, TlsOptions, Trust};

use super::Tools;

/// The keys.
pub(super) const KEYS: &[Key] = &[
    key(
        "tls-verify",
        "true",
        "tls-verify = false",
        "Whether a certificate that is not trusted fails the check.",
    ),
    CA,
    SERVER_NAME,
];

/// Part of [`KEYS`], for kinds whose `tls-verify` means more.
pub(super) const CA: Key = key(
    "tls-ca",
    "the system's",
    "tls-ca = \"/etc/ssl/internal-ca.pem\"",
    "A PEM file with the roots to trust, and no others; relative to the configuration file.",
);

/// Likewise.
pub(super) const SERVER_NAME: Key = key(
    "tls-server-name",
    "the URL's host",
    "tls-server-name = \"shop.internal\"",
    "The name to ask for and to expect in the certificate.",
);

/// Reads them; `None` if a problem is fatal.
pub(super) fn read(reader: &mut Reader, tools: &Tools, problems: &mut Problems) -> Option<Tls> {
    let verify = reader.boolean("tls-verify", problems).unwrap_or(true);
    let server_name = reader.text("tls-server-name", problems).map(|text| text.value);
    let ca_place = reader.place_of("tls-ca");
    let name_place = reader.place_of("tls-server-name");
    let had_ca = reader.has("tls-ca");
    let ca = reader.parsed("tls-ca", problems, |text| {
        let path = tools.base.join(&text.value);
        let pem = crate::sources::read_text(&path)
            .map_err(|why| format!("cannot read `{}`: {why}", text.shown()))?;
        Ok(pem.into_bytes())
    });
    if had_ca && ca.is_none() {
        return None;
    }
    if !verify && ca.is_some() {
        problems.warning(
            &ca_place,
            format!("`tls-ca` of {} has no effect beside `tls-verify = false`", reader.what()),
        );
    }
    let trust = match (verify, ca) {
        (false, _) => Trust::Anyone,
        (true, Some(pem)) => Trust::Pem(pem),
        (true, None) => Trust::System,
    };
    match (&trust, &server_name) {
        (Trust::System, None) => return Some(tools.tls_system.clone()),
        (Trust::Anyone, None) => return Some(tools.tls_anyone.clone()),
        _ => {}
    }
    match Tls::new(TlsOptions { trust, identity: None, server_name }) {
        Ok(tls) => Some(tls),
        Err(error) => {
            let place = if had_ca { &ca_place } else { &name_place };
            problems.error(place, format!("TLS settings of {}: {error}", reader.what()));
            None
        }
    }
}
