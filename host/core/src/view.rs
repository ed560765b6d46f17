//! The picture of all checks that readers share: plain values, replaced as a whole.
