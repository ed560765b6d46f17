//! TLS as every kind has it: the same keys with the same meaning.

use wellcheck_core::config::Problems;
use wellcheck_core::config::keys::{Key, key};
use wellcheck_core::config::reader::Reader;
use wellcheck_core::config::tree::Place;
use wellcheck_net::{BadTls, Identity, Tls, TlsOptions, Trust};

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
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
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

/// Likewise.
pub(super) const CLIENT_CERTIFICATE: Key = key(
    "tls-client-certificate",
    "none",
    "tls-client-certificate = \"/etc/ssl/probe.pem\"",
    "A PEM file with a certificate of ours, and those above it, for servers that ask; relative to the configuration file. It is not shown to another host that a redirect leads to.",
);

/// Likewise.
pub(super) const CLIENT_KEY: Key = key(
    "tls-client-key",
    "the file of `tls-client-certificate`",
    "tls-client-key = \"/etc/ssl/private/probe.key\"",
    "A PEM file with the private key of that certificate.",
);

/// Reads them; `None` if a problem is fatal.
pub(super) fn read(reader: &mut Reader, tools: &Tools, problems: &mut Problems) -> Option<Tls> {
    let verify = reader.boolean("tls-verify", problems).unwrap_or(true);
    let server_name = reader.text("tls-server-name", problems).map(|text| text.value);
    let ca_place = reader.place_of("tls-ca");
    let name_place = reader.place_of("tls-server-name");
    let had_ca = reader.has("tls-ca");
    let ca = pem(reader, "tls-ca", tools, problems);
    let identity = identity(reader, tools, problems);
    if had_ca && ca.is_none() {
        return None;
    }
    let identity = identity?;
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
    let tls = match (&trust, &server_name) {
        (Trust::System, None) => Ok(tools.tls_system.clone()),
        (Trust::Anyone, None) => Ok(tools.tls_anyone.clone()),
        _ => Tls::new(TlsOptions { trust, identity: None, server_name }),
    };
    let place = if had_ca { &ca_place } else { &name_place };
    let mut unfit = |place: &Place, error: BadTls| {
        problems.error(place, format!("TLS settings of {}: {error}", reader.what()));
    };
    let tls = tls.map_err(|error| unfit(place, error)).ok()?;
    let Some(identity) = identity else { return Some(tls) };
    let place = reader.place_of("tls-client-certificate");
    tls.with_identity(identity).map_err(|error| unfit(&place, error)).ok()
}

/// The content of a PEM file.
fn pem(reader: &mut Reader, key: &str, tools: &Tools, problems: &mut Problems) -> Option<Vec<u8>> {
    reader.parsed(key, problems, |text| {
        let path = tools.base.join(&text.value);
        let pem = crate::sources::read_text(&path)
            .map_err(|why| format!("cannot read `{}`: {why}", text.shown()))?;
        Ok(pem.into_bytes())
    })
}

/// A certificate of ours; `Some(None)` for none, and `None` if a problem is fatal.
fn identity(
    reader: &mut Reader,
    tools: &Tools,
    problems: &mut Problems,
) -> Option<Option<Identity>> {
    let given = [CLIENT_CERTIFICATE.name, CLIENT_KEY.name].map(|key| reader.has(key));
    let certificate = pem(reader, CLIENT_CERTIFICATE.name, tools, problems);
    let key = pem(reader, CLIENT_KEY.name, tools, problems);
    let chain = match (given, certificate) {
        ([false, false], _) => return Some(None),
        ([false, true], _) => {
            let message = format!(
                "{} has `tls-client-key` without `tls-client-certificate` (expected both)",
                reader.what()
            );
            problems.error(&reader.place_of(CLIENT_KEY.name), message);
            return None;
        }
        ([true, _], certificate) => certificate?,
    };
    let key = if given[1] { key? } else { chain.clone() };
    match Identity::from_pem(&chain, &key) {
        Ok(identity) => Some(Some(identity)),
        Err(error) => {
            let place = reader.place_of(CLIENT_CERTIFICATE.name);
            problems.error(&place, format!("TLS settings of {}: {error}", reader.what()));
            None
        }
    }
}
