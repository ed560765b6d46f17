//! Random numbers from a seed.

use std::convert::Infallible;

use blake3::OutputReader;
use rand_core::TryRng;

/// As many random bytes as are wanted, of a seed that nobody can guess or that somebody chose.
pub(crate) struct Random(OutputReader);

impl Random {
    /// `purpose` tells streams of the same seed apart.
    pub(crate) fn new(seed: &[u8; 32], purpose: &str) -> Self {
        Self(blake3::Hasher::new_keyed(seed).update(purpose.as_bytes()).finalize_xof())
    }

    pub(crate) fn number(&mut self) -> u128 {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        u128::from_le_bytes(bytes)
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
