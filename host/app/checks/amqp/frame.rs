//! Frames, methods and fields of AMQP 0-9-1.

use super::super::database::{Trouble, Wire, said};

/// Largest frame that is read.
const MAX_FRAME: usize = 256 * 1024;

/// What ends each frame.
const END: u8 = 0xce;

/// The methods that are said and heard, by class and number.
pub(super) mod call {
    pub(in super::super) const START: (u16, u16) = (10, 10);
    pub(in super::super) const START_OK: (u16, u16) = (10, 11);
    pub(in super::super) const TUNE: (u16, u16) = (10, 30);
    pub(in super::super) const TUNE_OK: (u16, u16) = (10, 31);
    pub(in super::super) const OPEN: (u16, u16) = (10, 40);
    pub(in super::super) const OPEN_OK: (u16, u16) = (10, 41);
    pub(in super::super) const CLOSE: (u16, u16) = (10, 50);
    pub(in super::super) const CHANNEL_OPEN: (u16, u16) = (20, 10);
    pub(in super::super) const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
    pub(in super::super) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
    pub(in super::super) const DECLARE: (u16, u16) = (50, 10);
    pub(in super::super) const DECLARE_OK: (u16, u16) = (50, 11);
}

pub(super) fn garbage(wire: &Wire<'_>) -> Trouble {
    Trouble::protocol(format!("`{}` does not speak AMQP 0-9-1", wire.name()))
}

/// A method that is being written. Texts must have been bounded.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn method((class, number): (u16, u16)) -> Self {
        let mut writer = Self(Vec::new());
        writer.short(class).short(number);
        writer
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn byte(&mut self, byte: u8) -> &mut Self {
        self.raw(&[byte])
    }

    pub(super) fn short(&mut self, number: u16) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    /// A text of at most 255 bytes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        let length = u8::try_from(text.len()).expect("the keys bound every short text");
        self.byte(length).raw(text.as_bytes())
    }

    pub(super) fn long_text(&mut self, text: &[u8]) -> &mut Self {
        let length = u32::try_from(text.len()).expect("no configuration is that long");
        self.raw(&length.to_be_bytes()).raw(text)
    }

    /// A table, which `fill` fills.
    pub(super) fn table(&mut self, fill: &dyn Fn(&mut Self)) -> &mut Self {
        let mut table = Self(Vec::new());
        fill(&mut table);
        self.long_text(&table.0)
    }

    /// An entry of a table: a table of what is so.
    pub(super) fn flags(&mut self, name: &str, flags: &[&str]) {
        self.text(name).byte(b'F').table(&|table| {
            for flag in flags {
                table.text(flag).raw(b"t\x01");
            }
        });
    }
}

/// Sends a method.
pub(super) async fn write(
    wire: &mut Wire<'_>,
    channel: u16,
    method: &Writer,
) -> Result<(), Trouble> {
    let mut frame = Writer(vec![1]);
    frame.short(channel).long_text(&method.0).byte(END);
    wire.write(&frame.0).await
}

/// The fields of the method that must come next. What the broker says when it refuses is a trouble
/// of its own.
pub(super) async fn read(
    wire: &mut Wire<'_>,
    channel: u16,
    expected: (u16, u16),
) -> Result<Vec<u8>, Trouble> {
    loop {
        let head: [u8; 7] = wire.array().await?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        // Who speaks another version answers with the head of that.
        if !matches!(head[0], 1 | 8) || length > MAX_FRAME {
            return Err(garbage(wire));
        }
        let mut body = wire.bytes(length + 1).await?;
        if body.pop() != Some(END) {
            return Err(garbage(wire));
        }
        if head[0] == 8 {
            continue;
        }
        let mut fields = Fields::new(&body);
        let (Some(class), Some(number)) = (fields.short(), fields.short()) else {
            return Err(garbage(wire));
        };
        let method = (class, number);
        if method == expected && u16::from_be_bytes([head[1], head[2]]) == channel {
            return Ok(body.split_off(4));
        }
        if method == call::CLOSE || method == call::CHANNEL_CLOSE {
            let (code, text) = (fields.short(), fields.text().map(said));
            let (Some(code), Some(text)) = (code, text) else { return Err(garbage(wire)) };
            return Err(match code {
                403 => Trouble::login(text),
                _ => Trouble::query(text),
            });
        }
        return Err(garbage(wire));
    }
}

/// Fields that are being read.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let [length] = self.array()?;
        self.bytes(length.into())
    }

    /// Also a table, in its bytes.
    pub(super) fn long_text(&mut self) -> Option<&'a [u8]> {
        let length = self.long()?;
        self.bytes(length as usize)
    }

    /// The text of this name in a table.
    pub(super) fn entry(mut self, wanted: &str) -> Option<&'a [u8]> {
        loop {
            let name = self.text()?;
            let [kind] = self.array()?;
            let value = match kind {
                b'S' | b'F' | b'A' | b'x' => self.long_text()?,
                b't' | b'b' | b'B' => self.bytes(1)?,
                b's' | b'u' => self.bytes(2)?,
                b'I' | b'i' | b'f' => self.bytes(4)?,
                b'D' => self.bytes(5)?,
                b'l' | b'L' | b'd' | b'T' => self.bytes(8)?,
                b'V' => &[],
                _ => return None,
            };
            if name == wanted.as_bytes() && kind == b'S' {
                return Some(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_table_are_found_behind_other_entries() {
        let mut writer = Writer(Vec::new());
        writer.flags("capabilities", &["a", "b"]);
        writer.text("product").byte(b'S').long_text(b"RabbitMQ");
        let entry = |bytes, name| Fields::new(bytes).entry(name).map(<[u8]>::to_vec);
        assert_eq!(entry(&writer.0, "product").as_deref(), Some(&b"RabbitMQ"[..]));
        assert_eq!(entry(&writer.0, "capabilities"), None, "no text");
        assert_eq!(entry(&writer.0, "version"), None);
        for length in 0..writer.0.len() {
            assert_eq!(entry(&writer.0[..length], "product"), None);
        }
        assert_eq!(entry(b"\x01aS\xff\xff\xff\xff", "a"), None, "longer than it is");
    }
}
