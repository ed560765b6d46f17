//! What lies in a guest's memory when it answers, laid out as the canonical ABI has it.
//!
//! Everything begins at address 0, so that what an input says about addresses leads into itself.

use arbitrary::{Result, Unstructured};

/// A memory in the making: the answer itself first, then what it points to.
pub(crate) struct Image(Vec<u8>);

/// Pieces of texts: plain ones, and all that must not get through.
const PIECES: [&str; 20] = [
    "queue_depth",
    "latency",
    "a",
    "B",
    "s",
    "%",
    "api.example.com",
    "5:10",
    "@~:20",
    "1e400",
    "\n",
    "\r\n\t",
    "\u{1b}[31m",
    "\0",
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "grün ✓",
    "`\"\\<b>",
    "the quick brown fox jumps over the lazy dog ",
];

/// Values that are something special.
const NUMBERS: [f64; 8] =
    [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE];

impl Image {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn word(&mut self, at: usize, word: u32) {
        self.0[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    /// Space for something that begins at a multiple of eight; its address.
    fn room(&mut self, len: usize) -> usize {
        let at = self.0.len().next_multiple_of(8);
        self.0.resize(at + len, 0);
        at
    }

    /// Where something is and how much of it: a text, or a list.
    fn pointer(&mut self, at: usize, target: usize, len: usize) {
        // Both fit: an image is never as long as its input, which is short.
        self.word(at, target as u32);
        self.word(at + 4, len as u32);
    }

    /// A text, sometimes a long one, sometimes one that is no UTF-8.
    fn text(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let mut text = Vec::new();
        for _ in 0..u.int_in_range(0..=3)? {
            match u.int_in_range(0..=199)? {
                0..=4 => text.extend(u.choose(&PIECES)?.repeat(u.int_in_range(1..=80)?).bytes()),
                5..=9 => text.extend(u.arbitrary::<char>()?.to_string().bytes()),
                10 => text.push(u.arbitrary()?),
                _ => text.extend(u.choose(&PIECES)?.bytes()),
            }
        }
        self.bytes(at, &text);
        Ok(())
    }

    fn bytes(&mut self, at: usize, text: &[u8]) {
        let target = self.room(text.len());
        self.0[target..].copy_from_slice(text);
        self.pointer(at, target, text.len());
    }

    /// Nothing or a text.
    fn optional(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        if u.arbitrary()? {
            self.word(at, 1);
            self.text(at + 4, u)?;
        }
        Ok(())
    }

    /// A list of up to `most`, each of `size` bytes and written by `one`.
    fn list(
        &mut self,
        at: usize,
        (most, size): (usize, usize),
        u: &mut Unstructured<'_>,
        one: fn(&mut Self, usize, &mut Unstructured<'_>) -> Result<()>,
    ) -> Result<()> {
        let count = u.int_in_range(0..=most)?;
        let target = self.room(count * size);
        self.pointer(at, target, count);
        for item in 0..count {
            one(self, target + item * size, u)?;
        }
        Ok(())
    }

    fn pairs(&mut self, at: usize, most: usize, u: &mut Unstructured<'_>) -> Result<()> {
        self.list(at, (most, 16), u, |image, at, u| {
            image.text(at, u)?;
            image.text(at + 8, u)
        })
    }

    fn observation(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        self.text(at, u)?;
        let value = match u.arbitrary()? {
            true => *u.choose(&NUMBERS)?,
            false => f64::from_bits(u.arbitrary()?),
        };
        self.0[at + 8..at + 16].copy_from_slice(&value.to_le_bytes());
        self.optional(at + 16, u)?;
        self.pairs(at + 28, 3, u)?;
        self.optional(at + 36, u)?;
        self.optional(at + 48, u)
    }

    fn part(&mut self, at: usize, u: &mut Unstructured<'_>) -> Result<()> {
        self.text(at, u)?;
        self.word(at + 8, u.int_in_range(0..=2)?);
        self.text(at + 12, u)
    }

    /// What `run` returns: a report or a fault.
    pub(crate) fn answer(u: &mut Unstructured<'_>) -> Result<Self> {
        let mut image = Self(vec![0; 40]);
        if u.ratio(1, 6)? {
            image.word(0, 1);
            image.word(4, u.int_in_range(0..=2)?);
            image.text(8, u)?;
            return Ok(image);
        }
        image.word(4, u.int_in_range(0..=2)?);
        image.text(8, u)?;
        image.list(16, (12, 64), u, Self::observation)?;
        image.list(24, (10, 20), u, Self::part)?;
        image.pairs(32, 10, u)?;
        Ok(image)
    }

    /// What `describe` returns, with this schema.
    pub(crate) fn description(schema: Option<&str>, u: &mut Unstructured<'_>) -> Result<Self> {
        let mut image = Self(vec![0; 52]);
        for at in [0, 8, 16] {
            image.text(at, u)?;
        }
        if let Some(schema) = schema {
            image.word(24, 1);
            image.bytes(28, schema.as_bytes());
        }
        image.list(36, (70, 24), u, |image, at, u| {
            [0, 8, 16].into_iter().try_for_each(|field| image.text(at + field, u))
        })?;
        image.pairs(44, 70, u)?;
        Ok(image)
    }

    /// Changes some bytes.
    pub(crate) fn damage(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        for _ in 0..u.int_in_range(1..=6)? {
            let at = u.choose_index(self.0.len())?;
            self.0[at] = match u.arbitrary()? {
                true => u.arbitrary()?,
                false => self.0[at] ^ (1 << u.int_in_range(0..=7)?),
            };
        }
        Ok(())
    }
}
