//! Echo requests, and which of the packets that come in are their answers.
//!
//! An answer repeats what the request carries, and that begins with 8 random bytes of the run: over
//! a raw socket the answers to other programs come in as well, and anyone may send more.

use std::net::SocketAddr;

/// The most that a packet carries, in bytes.
pub(super) const MAX_SIZE: usize = 65_000;

/// The header of an echo: type, code, checksum, identifier, number.
const HEADER: usize = 8;

/// The requests of a run.
#[derive(Debug)]
pub(super) struct Echo {
    v6: bool,
    raw: bool,
    id: u16,
    token: [u8; 8],
    size: usize,
}

impl Echo {
    /// Requests to `peer` that carry `size` bytes.
    pub(super) fn new(peer: SocketAddr, raw: bool, size: usize) -> Self {
        let mut token = [0; 8];
        aws_lc_rs::rand::fill(&mut token).expect("the system has random numbers");
        let id = u16::from_be_bytes([token[0], token[1]]);
        Self { v6: peer.is_ipv6(), raw, id, token, size }
    }

    /// The request of this number.
    pub(super) fn request(&self, number: u16) -> Vec<u8> {
        let mut bytes = vec![if self.v6 { 128 } else { 8 }, 0, 0, 0];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.extend(self.token);
        bytes.resize(HEADER + self.size, b'w');
        // Over IPv6 the system adds it, which knows the addresses that belong to it.
        if !self.v6 {
            let sum = checksum(&bytes).to_be_bytes();
            bytes[2..4].copy_from_slice(&sum);
        }
        bytes
    }

    /// The number of the request that this answers, if it does, and the time to live that the
    /// header of IP says, where there is one.
    pub(super) fn answer(&self, packet: &[u8]) -> Option<(u16, Option<u8>)> {
        let (packet, ttl) = if self.raw && !self.v6 {
            let length = usize::from(packet.first()? & 0xf) * 4;
            (packet.get(length..)?, packet.get(8).copied())
        } else {
            (packet, None)
        };
        let expected = if self.v6 { 129 } else { 0 };
        let (head, carried) = packet.split_first_chunk::<HEADER>()?;
        let is_echo = head[0] == expected && head[1] == 0;
        // Without a raw socket, the identifier is the system's business.
        let is_ours = !self.raw || u16::from_be_bytes([head[4], head[5]]) == self.id;
        let repeats = carried.len() == self.size && carried.starts_with(&self.token);
        (is_echo && is_ours && repeats).then(|| (u16::from_be_bytes([head[6], head[7]]), ttl))
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let sum = bytes.chunks(2).fold(0_u32, |sum, pair| {
        sum + u32::from(pair[0]) * 256 + u32::from(pair.get(1).copied().unwrap_or(0))
    });
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("two folds leave 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_repeats_the_request_is_its_answer() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 0));
        let echo = Echo::new(peer, false, 56);
        let mut packet = echo.request(3);
        assert_eq!(packet.len(), 64);
        assert_eq!(checksum(&packet), 0, "a sum over its own checksum");
        assert_eq!(echo.answer(&packet), None, "the request itself");
        packet[0] = 0;
        assert_eq!(echo.answer(&packet), Some((3, None)));
        assert_eq!(Echo::new(peer, false, 56).answer(&packet), None, "somebody else's");
        packet.pop();
        assert_eq!(echo.answer(&packet), None, "cut");
        for length in 0..packet.len() {
            assert_eq!(echo.answer(&packet[..length]), None);
        }
    }

    #[test]
    fn raw_sockets_hand_over_the_header_of_ip() {
        let echo = Echo::new(SocketAddr::from(([127, 0, 0, 1], 0)), true, 16);
        let mut answer = echo.request(0);
        answer[0] = 0;
        let mut header = [0; 20];
        (header[0], header[8]) = (0x45, 57);
        assert_eq!(echo.answer(&[&header[..], &*answer].concat()), Some((0, Some(57))));
        answer[4] ^= 1;
        assert_eq!(echo.answer(&[&header[..], &*answer].concat()), None, "another identifier");
        assert_eq!(echo.answer(&[0x4f; 30]), None, "a header longer than the packet");
    }
}
