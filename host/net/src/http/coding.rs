//! Compressed bodies: asking for them, and decoding them as they come.
//!
//! The limit counts decoded bytes, and decoding stops at it, so that a small body that stands for a
//! huge one costs what its limit allows.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

use crate::failure::printable;
use crate::{Failure, FailureKind};

/// Piece in which deflated bytes are decoded.
const PIECE: usize = 16 * 1024;

/// A way to compress a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `br`
    Brotli,
    /// `deflate`, with the frame of zlib as the standard says, or without as some servers do it.
    Deflate,
}

impl Coding {
    /// Every coding.
    pub const ALL: &'static [Self] = &[Self::Gzip, Self::Brotli, Self::Deflate];

    /// As it stands in headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Deflate => "deflate",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("x-").unwrap_or(text);
        Self::ALL.iter().copied().find(|coding| coding.as_str() == text)
    }
}

/// Adds `Accept-Encoding`, unless the request has its own.
pub(super) fn ask(codings: &[Coding], headers: &mut HeaderMap) {
    if codings.is_empty() || headers.contains_key(ACCEPT_ENCODING) {
        return;
    }
    let names: Vec<&str> = codings.iter().map(|coding| coding.as_str()).collect();
    let value = HeaderValue::from_str(&names.join(", ")).expect("the names are plain words");
    headers.insert(ACCEPT_ENCODING, value);
}

/// The coding of an answer from `host`; nothing where none was asked for.
pub(super) fn of(
    asked: &[Coding],
    headers: &HeaderMap,
    host: &str,
) -> Result<Option<Coding>, Failure> {
    if asked.is_empty() {
        return Ok(None);
    }
    let mut named = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        let words = text.split(',').map(|word| word.trim().to_owned());
        named.extend(words.filter(|word| !matches!(word.as_str(), "" | "identity")));
    }
    let known = match named.as_slice() {
        [] => return Ok(None),
        [one] => Coding::parse(one).filter(|coding| asked.contains(coding)),
        _ => None,
    };
    known.map(Some).ok_or_else(|| {
        let names: Vec<&str> = asked.iter().map(|coding| coding.as_str()).collect();
        let message = format!(
            "`{host}` answered in the encoding `{}` (asked for {})",
            printable(&named.join(", ")),
            names.join(", ")
        );
        Failure::new(FailureKind::Protocol, message)
    })
}

/// A body so far, decoded.
pub(super) enum Content {
    /// As it comes.
    Plain(Collected),
    /// By what it is decoded, and whether anything came.
    Coded(Coded, bool),
}

/// Something that decodes.
pub(super) enum Coded {
    Gzip(Box<MultiGzDecoder<Room>>),
    Brotli(Box<DecompressorWriter<Room>>),
    Deflate(Box<Inflate>),
}

impl Content {
    pub(super) fn new(coding: Option<Coding>, limit: usize) -> Self {
        let room = Room { bytes: Vec::new(), limit, is_cut: false };
        let coded = match coding {
            None => return Self::Plain(Collected::new(limit)),
            Some(Coding::Gzip) => Coded::Gzip(Box::new(MultiGzDecoder::new(room))),
            Some(Coding::Brotli) => Coded::Brotli(Box::new(DecompressorWriter::new(room, 4096))),
            Some(Coding::Deflate) => Coded::Deflate(Box::new(Inflate::new(room))),
        };
        Self::Coded(coded, false)
    }

    fn room(&self) -> Option<&Room> {
        match self {
            Self::Plain(_) => None,
            Self::Coded(Coded::Gzip(inner), _) => Some(inner.get_ref()),
            Self::Coded(Coded::Brotli(inner), _) => Some(inner.get_ref()),
            Self::Coded(Coded::Deflate(inner), _) => Some(&inner.room),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.len(),
            Self::Coded(..) => self.room().map_or(0, |room| room.bytes.len()),
        }
    }

    /// Whether the body goes on behind the limit.
    pub(super) fn is_cut(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.truncated,
            Self::Coded(..) => self.room().is_some_and(|room| room.is_cut),
        }
    }

    /// Takes the next piece; the error completes "the body ...".
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), String> {
        let (coded, begun) = match self {
            Self::Plain(plain) => {
                plain.push(piece);
                return Ok(());
            }
            Self::Coded(coded, begun) => (coded, begun),
        };
        *begun |= !piece.is_empty();
        let (name, written) = match coded {
            Coded::Gzip(inner) => ("gzip", inner.write_all(&piece)),
            Coded::Brotli(inner) => ("br", inner.write_all(&piece)),
            Coded::Deflate(inner) => ("deflate", inner.push(&piece)),
        };
        match written {
            Err(error) if !self.is_cut() => {
                Err(format!("is no `{name}`: {}", printable(&error.to_string())))
            }
            _ => Ok(()),
        }
    }

    /// All of it; an error if there is less than the encoding says.
    pub(super) fn finish(self) -> Result<Bytes, String> {
        let cut = self.is_cut();
        let ended = |name: &str| format!("ends before its `{name}` does");
        match self {
            Self::Plain(plain) => Ok(plain.finish()),
            // An answer to `HEAD` names an encoding, and so does one with nothing in it.
            Self::Coded(_, false) => Ok(Bytes::new()),
            Self::Coded(Coded::Gzip(mut inner), _) => {
                let whole = cut || inner.try_finish().is_ok();
                whole.then(|| inner.get_mut().take()).ok_or_else(|| ended("gzip"))
            }
            Self::Coded(Coded::Brotli(mut inner), _) => {
                let whole = cut || inner.close().is_ok();
                whole.then(|| inner.get_mut().take()).ok_or_else(|| ended("br"))
            }
            Self::Coded(Coded::Deflate(mut inner), _) => {
                let whole = cut || inner.ended;
                whole.then(|| inner.room.take()).ok_or_else(|| ended("deflate"))
            }
        }
    }
}

/// Where decoded bytes go, up to a limit.
pub(super) struct Room {
    bytes: Vec<u8>,
    limit: usize,
    is_cut: bool,
}

impl Room {
    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

impl Write for Room {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let room = self.limit - self.bytes.len();
        if piece.len() > room {
            self.bytes.extend_from_slice(&piece[..room]);
            self.is_cut = true;
            return Err(io::Error::other("there is more than the limit"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes `deflate`, which its first two bytes tell apart: with the frame of zlib or without.
pub(super) struct Inflate {
    /// `None` until the first two bytes are there.
    state: Option<Decompress>,
    held: Vec<u8>,
    room: Room,
    ended: bool,
}

impl Inflate {
    fn new(room: Room) -> Self {
        Self { state: None, held: Vec::new(), room, ended: false }
    }

    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        let joined;
        let mut input = piece;
        if self.state.is_none() {
            self.held.extend_from_slice(piece);
            let [first, second, ..] = self.held[..] else { return Ok(()) };
            let framed =
                first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
            self.state = Some(Decompress::new(framed));
            joined = std::mem::take(&mut self.held);
            input = &joined;
        }
        let state = self.state.as_mut().expect("made above");
        let mut output = [0; PIECE];
        while !self.ended {
            let (taken, made) = (state.total_in(), state.total_out());
            let status = state.decompress(input, &mut output, FlushDecompress::None)?;
            let taken = usize::try_from(state.total_in() - taken).expect("part of a piece");
            let made = usize::try_from(state.total_out() - made).expect("part of a piece");
            input = &input[taken..];
            self.room.write_all(&output[..made])?;
            match status {
                Status::StreamEnd => self.ended = true,
                _ if taken == 0 && made == 0 => return Ok(()),
                _ => {}
            }
        }
        if input.is_empty() {
            Ok(())
        } else {
            Err(io::Error::other("there is more behind its end"))
        }
    }
}

/// A body so far; a single piece is not copied.
pub(super) struct Collected {
    first: Bytes,
    all: BytesMut,
    limit: usize,
    pub(super) truncated: bool,
}

impl Collected {
    fn new(limit: usize) -> Self {
        Self { first: Bytes::new(), all: BytesMut::new(), limit, truncated: false }
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, mut piece: Bytes) {
        let room = self.limit - self.len();
        if piece.len() > room {
            piece.truncate(room);
            self.truncated = true;
        }
        if self.len() == 0 {
            self.first = piece;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.extend_from_slice(&piece);
        }
    }

    fn finish(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflated(text: &[u8], framed: bool) -> Vec<u8> {
        let mut state = flate2::Compress::new(flate2::Compression::default(), framed);
        let mut output = Vec::with_capacity(text.len() + 1024);
        state.compress_vec(text, &mut output, flate2::FlushCompress::Finish).expect("it has room");
        output
    }

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(text).expect("memory takes all");
        writer.finish().expect("memory takes all")
    }

    /// `hello`, as brotli writes what it does not compress.
    const BROTLI: &[u8] = b"\x0b\x02\x80hello\x03";

    fn decode(coding: Coding, bytes: &[u8], limit: usize) -> Result<(Vec<u8>, bool), String> {
        let mut pieces = Content::new(Some(coding), limit);
        for piece in bytes.chunks(3) {
            if pieces.is_cut() {
                break;
            }
            pieces.push(Bytes::copy_from_slice(piece))?;
        }
        let cut = pieces.is_cut();
        Ok((pieces.finish()?.to_vec(), cut))
    }

    #[test]
    fn bodies_are_decoded_piece_by_piece() {
        for (coding, bytes) in [
            (Coding::Gzip, gzipped(b"hello")),
            (Coding::Deflate, deflated(b"hello", true)),
            (Coding::Deflate, deflated(b"hello", false)),
            (Coding::Brotli, BROTLI.to_vec()),
        ] {
            assert_eq!(decode(coding, &bytes, 5), Ok((b"hello".to_vec(), false)), "{coding:?}");
            assert_eq!(decode(coding, &bytes, 4), Ok((b"hell".to_vec(), true)), "{coding:?}");
            assert_eq!(decode(coding, b"", 9), Ok((Vec::new(), false)), "{coding:?}");
            let short = &bytes[..bytes.len() - 1];
            decode(coding, short, 9).expect_err("it is not whole");
        }
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit() {
        let zeros = vec![0; 64 * 1024 * 1024];
        for (coding, bytes) in
            [(Coding::Gzip, gzipped(&zeros)), (Coding::Deflate, deflated(&zeros, true))]
        {
            assert!(bytes.len() < 100_000);
            let (body, cut) = decode(coding, &bytes, 1000).expect("what there is of it is good");
            assert_eq!((body.len(), cut), (1000, true));
        }
    }

    #[test]
    fn garbage_is_no_encoding() {
        for coding in Coding::ALL {
            for bytes in
                [&b"hello, this is no such thing"[..], &[0xff; 40], b"\x1f\x8b\x08garbage!!"]
            {
                let why = decode(*coding, bytes, 1000).expect_err("garbage");
                assert!(why.contains(coding.as_str()), "{why}");
            }
        }
    }

    #[test]
    fn only_what_was_asked_for_is_decoded() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(text))])
        };
        let asked = [Coding::Gzip];
        let found = |asked: &[Coding], text| of(asked, &headers(text), "a").map_err(|f| f.kind);
        assert_eq!(found(&asked, "gzip"), Ok(Some(Coding::Gzip)));
        assert_eq!(found(&asked, "X-GZIP, identity"), Ok(Some(Coding::Gzip)));
        assert_eq!(found(&asked, "identity"), Ok(None));
        assert_eq!(found(&[], "br"), Ok(None));
        for other in ["br", "gzip, gzip", "zstd"] {
            assert_eq!(found(&asked, other), Err(FailureKind::Protocol), "{other}");
        }
    }
}
