//! Packets of the MySQL protocol, and the fields in them.
//!
//! A packet is a length of three bytes, a number that counts within one exchange, and a payload.
//! Payloads of 16 MiB continue in the next packet; ours are far smaller, and larger ones are
//! refused.

use super::super::database::{Trouble, Wire, said};

/// Largest payload that is read.
const MAX_PAYLOAD: usize = 512 * 1024;

/// Reads and writes packets.
pub(super) struct Packets<'a> {
    wire: Wire<'a>,
    sequence: u8,
}

impl<'a> Packets<'a> {
    pub(super) fn new(wire: Wire<'a>) -> Self {
        Self::resumed(wire, 0)
    }

    /// Goes on counting after TLS has begun.
    pub(super) fn resumed(wire: Wire<'a>, sequence: u8) -> Self {
        Self { wire, sequence }
    }

    pub(super) fn into_parts(self) -> (Wire<'a>, u8) {
        (self.wire, self.sequence)
    }

    /// A new exchange begins.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
    }

    /// The payload of the next packet.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, Trouble> {
        let [a, b, c, sequence] = self.wire.array().await?;
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        if sequence != self.sequence {
            return Err(self.garbage("packets out of order"));
        }
        if length > MAX_PAYLOAD {
            return Err(self.garbage("a packet that is too large"));
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.wire.bytes(length).await
    }

    /// Sends a payload, which is shorter than 16 MiB.
    pub(super) async fn write(&mut self, payload: &[u8]) -> Result<(), Trouble> {
        let [a, b, c, ..] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let packet = [&[a, b, c, self.sequence], payload].concat();
        self.sequence = self.sequence.wrapping_add(1);
        self.wire.write(&packet).await
    }

    /// What was read is not the protocol.
    pub(super) fn garbage(&self, what: &str) -> Trouble {
        Trouble::protocol(format!(
            "`{}` does not speak the protocol of MySQL: {what}",
            self.wire.name()
        ))
    }
}

/// Whether a packet ends a list of columns or rows; a row that begins with the same byte is longer.
pub(super) fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// Number and text of an error packet.
pub(super) fn error(packet: &[u8]) -> (u16, String) {
    let mut fields = Fields(packet.get(1..).unwrap_or_default());
    let code = fields.take(2).map_or(0, |code| u16::from_le_bytes([code[0], code[1]]));
    // The state, which says less than the code; absent before the login.
    if fields.0.first() == Some(&b'#') {
        fields.take(6);
    }
    (code, format!("{} ({code})", said(fields.0)))
}

/// Takes fields from the front of a payload; `None` where there is not enough of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// Up to a NUL, which is taken too, or all that is left.
    pub(super) fn until_nul(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (text, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        text
    }

    /// A number in as many bytes as it needs.
    pub(super) fn number(&mut self) -> Option<u64> {
        let count = match self.u8()? {
            small @ ..=0xfa => return Some(small.into()),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => return None,
        };
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        Some(u64::from_le_bytes(bytes))
    }

    /// A text behind its length.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_size() {
        let number = |bytes: &[u8]| Fields(bytes).number();
        assert_eq!(number(&[0xfa]), Some(250));
        assert_eq!(number(&[0xfc, 1, 2]), Some(0x0201));
        assert_eq!(number(&[0xfd, 1, 2, 3]), Some(0x03_0201));
        assert_eq!(number(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255]), Some(u64::MAX));
        for odd in [&[][..], &[0xfb], &[0xff], &[0xfc, 1], &[0xfe, 1, 2, 3]] {
            assert_eq!(number(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn texts_end_where_the_packet_does() {
        assert_eq!(Fields(b"\x02abc").text(), Some(&b"ab"[..]));
        assert_eq!(Fields(b"\x04abc").text(), None);
        assert_eq!(Fields(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 0]).text(), None);
        let mut fields = Fields(b"ab\0cd");
        assert_eq!(
            (fields.until_nul(), fields.until_nul(), fields.until_nul()),
            (&b"ab"[..], &b"cd"[..], &b""[..])
        );
    }

    #[test]
    fn errors_are_read_with_and_without_their_state() {
        assert_eq!(
            error(b"\xff\x10\x04Too many connections"),
            (1040, "Too many connections (1040)".to_owned())
        );
        assert_eq!(
            error(b"\xff\x15\x04#28000Access denied"),
            (1045, "Access denied (1045)".to_owned())
        );
        assert_eq!(error(b"\xff"), (0, " (0)".to_owned()));
        assert_eq!(error(b""), (0, " (0)".to_owned()));
    }
}
