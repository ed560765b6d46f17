//! The handshake of the MySQL protocol, and the ways to log in.
//!
//! `mysql_native_password` and `caching_sha2_password`, MariaDB's and MySQL's defaults. The latter
//! sends the password itself when the server does not have it in memory; we do so over TLS only, as
//! the server's own client does. A server that asks for it otherwise (`mysql_clear_password`) does
//! not get it.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::super::database::{Server, Trouble, said};
use super::packet::{Fields, Packets, error};

const LONG_PASSWORD: u32 = 1;
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;

/// What every server of this century can.
const NEEDED: u32 = PROTOCOL_41 | SECURE_CONNECTION;

/// utf8mb4_general_ci, which MySQL and MariaDB both have.
const CHARSET: u8 = 45;

/// Most steps that a login may take: a switch to another way, and three messages of it.
const MAX_STEPS: usize = 6;

/// What the server says first.
#[derive(Debug)]
pub(super) struct Greeting {
    /// Its version, escaped and cut.
    pub(super) version: String,
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
}

impl Greeting {
    pub(super) fn offers_tls(&self) -> bool {
        self.capabilities & SSL != 0
    }

    fn ours(&self, server: &Server) -> u32 {
        let database = if server.database.is_empty() { 0 } else { CONNECT_WITH_DB };
        NEEDED | LONG_PASSWORD | TRANSACTIONS | database | (PLUGIN_AUTH & self.capabilities)
    }

    fn head(capabilities: u32) -> Vec<u8> {
        let mut head = capabilities.to_le_bytes().to_vec();
        head.extend((16_u32 << 20).to_le_bytes());
        head.push(CHARSET);
        head.extend([0; 23]);
        head
    }

    /// The wish to go on over TLS.
    pub(super) fn tls_request(&self, server: &Server) -> Vec<u8> {
        Self::head(self.ours(server) | SSL)
    }

    /// Who we are, and the first answer of the way to log in.
    fn response(&self, server: &Server, is_tls: bool) -> Vec<u8> {
        let capabilities = self.ours(server) | if is_tls { SSL } else { 0 };
        let mut packet = Self::head(capabilities);
        packet.extend(server.user.as_bytes());
        packet.push(0);
        let password = server.password.as_deref().unwrap_or_default();
        // Instead of a way that we do not know, one that the server can switch away from.
        let plugin = if self.plugin == CACHING { CACHING } else { NATIVE };
        let answer = scramble(plugin, password, &self.nonce).expect("it is one of the known ones");
        packet.push(u8::try_from(answer.len()).expect("a hash has at most 32 bytes"));
        packet.extend(answer);
        if !server.database.is_empty() {
            packet.extend(server.database.as_bytes());
            packet.push(0);
        }
        if capabilities & PLUGIN_AUTH != 0 {
            packet.extend(plugin.as_bytes());
            packet.push(0);
        }
        packet
    }
}

/// Reads the server's greeting, or the error that it has instead of one.
pub(super) async fn greeting(packets: &mut Packets<'_>) -> Result<Greeting, Trouble> {
    let packet = packets.read().await?;
    if packet.first() == Some(&0xff) {
        return Err(refusal(&packet));
    }
    parse_greeting(&packet).ok_or_else(|| packets.garbage("no greeting of version 10"))
}

fn parse_greeting(packet: &[u8]) -> Option<Greeting> {
    let mut fields = Fields(packet);
    if fields.u8()? != 10 {
        return None;
    }
    let version = said(fields.until_nul());
    fields.take(4)?;
    let mut nonce = fields.take(8)?.to_vec();
    fields.take(1)?;
    let low = fields.u16()?;
    fields.take(3)?;
    let high = fields.u16()?;
    let capabilities = u32::from(low) | u32::from(high) << 16;
    fields.take(11)?;
    // 20 bytes altogether, and a NUL.
    nonce.extend(fields.take(12)?);
    fields.take(1)?;
    let plugin = if capabilities & PLUGIN_AUTH == 0 {
        NATIVE.to_owned()
    } else {
        String::from_utf8(fields.until_nul().to_vec()).ok()?
    };
    let good = capabilities & NEEDED == NEEDED && plugin.len() <= 64;
    good.then_some(Greeting { version, capabilities, nonce, plugin })
}

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";

/// Logs in.
pub(super) async fn authenticate(
    packets: &mut Packets<'_>,
    greeting: &Greeting,
    server: &Server,
    is_tls: bool,
) -> Result<(), Trouble> {
    let password = server.password.as_deref().unwrap_or_default();
    packets.write(&greeting.response(server, is_tls)).await?;
    for _ in 0..MAX_STEPS {
        let packet = packets.read().await?;
        match packet.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, _)) => return Err(refusal(&packet)),
            // Another way than the one of the greeting.
            Some((0xfe, rest)) => {
                let mut fields = Fields(rest);
                let plugin = String::from_utf8_lossy(fields.until_nul()).into_owned();
                let nonce = fields.0.strip_suffix(&[0]).unwrap_or(fields.0);
                let answer = scramble(&plugin, password, nonce);
                packets.write(&answer.ok_or_else(|| unknown(&plugin))?).await?;
            }
            // `caching_sha2_password`: the server knows the password, and an answer follows.
            Some((0x01, [3])) => {}
            // It wants to see the password itself.
            Some((0x01, [4])) if is_tls => packets.write(&clear(password)).await?,
            Some((0x01, [4])) => {
                return Err(Trouble::login(
                    "it wants the password itself, which is sent over TLS only (`ssl-mode=required`)",
                ));
            }
            _ => return Err(packets.garbage("no answer to a login")),
        }
    }
    Err(packets.garbage("a login without an end"))
}

fn clear(password: &str) -> Vec<u8> {
    [password.as_bytes(), &[0]].concat()
}

fn unknown(plugin: &str) -> Trouble {
    let plugin = said(plugin.as_bytes());
    Trouble::login(format!("it wants `{plugin}` (known: {NATIVE}, {CACHING})"))
}

/// An error before the login is done, by what it is about.
fn refusal(packet: &[u8]) -> Trouble {
    let (code, text) = error(packet);
    match code {
        // The user, the password, the host that we come from, the account.
        1044 | 1045 | 1129 | 1130 | 1251 | 1275 | 1698 | 1820 | 1862 | 3118 | 3159 | 4151 => {
            Trouble::login(text)
        }
        _ => Trouble::query(text),
    }
}

/// The answer of a way to log in: the password's hash, masked by the server's random bytes.
fn scramble(plugin: &str, password: &str, nonce: &[u8]) -> Option<Vec<u8>> {
    let mask = |hash: &'static Algorithm, nonce_first: bool| {
        let once = digest(hash, password.as_bytes());
        let twice = digest(hash, once.as_ref());
        let mut context = Context::new(hash);
        let (a, b) = if nonce_first { (nonce, twice.as_ref()) } else { (twice.as_ref(), nonce) };
        context.update(a);
        context.update(b);
        let mask = context.finish();
        once.as_ref().iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect::<Vec<u8>>()
    };
    match plugin {
        NATIVE | CACHING if password.is_empty() => Some(Vec::new()),
        NATIVE => Some(mask(&SHA1_FOR_LEGACY_USE_ONLY, true)),
        CACHING => Some(mask(&SHA256, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"abcdefghij0123456789";

    /// What a server does with the answer: it takes the mask off with what it has stored, the hash
    /// of the hash, and hashes what is left.
    fn accepts(hash: &'static Algorithm, answer: &[u8], password: &str, nonce_first: bool) -> bool {
        let once = digest(hash, password.as_bytes());
        let stored = digest(hash, once.as_ref());
        let parts = if nonce_first { [NONCE, stored.as_ref()] } else { [stored.as_ref(), NONCE] };
        let mask = digest(hash, &parts.concat());
        let unmasked: Vec<u8> = answer.iter().zip(mask.as_ref()).map(|(a, b)| a ^ b).collect();
        digest(hash, &unmasked).as_ref() == stored.as_ref()
    }

    #[test]
    fn a_server_accepts_the_right_password_only() {
        for (plugin, hash, nonce_first) in
            [(NATIVE, &SHA1_FOR_LEGACY_USE_ONLY, true), (CACHING, &SHA256, false)]
        {
            let answer = scramble(plugin, "secret", NONCE).expect("it is known");
            assert!(accepts(hash, &answer, "secret", nonce_first), "{plugin}");
            assert!(!accepts(hash, &answer, "other", nonce_first), "{plugin}");
            assert_eq!(scramble(plugin, "", NONCE), Some(Vec::new()), "{plugin}");
        }
        assert_eq!(scramble("dialog", "secret", NONCE), None);
    }

    #[test]
    fn a_greeting_is_read_and_its_pieces_are_not() {
        let mut packet = b"\x0a8.4.6\0".to_vec();
        packet.extend([1, 0, 0, 0]);
        packet.extend(b"abcdefgh\0");
        packet.extend([0xff, 0xff, 45, 2, 0, 0xff, 0xdf, 21]);
        packet.extend([0; 10]);
        packet.extend(b"ij0123456789\0caching_sha2_password\0");
        let greeting = parse_greeting(&packet).expect("a greeting");
        assert_eq!((&*greeting.version, &*greeting.plugin), ("8.4.6", CACHING));
        assert_eq!(greeting.nonce, NONCE);
        assert!(greeting.offers_tls());
        for end in 0..packet.len() - CACHING.len() - 1 {
            assert!(parse_greeting(&packet[..end]).is_none(), "{end}");
        }
        assert!(parse_greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_none());
    }

    #[test]
    fn refusals_are_told_from_other_errors() {
        let kind = |code: u16| {
            let [low, high] = code.to_le_bytes();
            refusal(&[0xff, low, high, b'x'])
        };
        assert_eq!(kind(1045), Trouble::login("x (1045)"));
        assert_eq!(kind(1040), Trouble::query("x (1040)"));
        assert_eq!(kind(1049), Trouble::query("x (1049)"));
    }
}
