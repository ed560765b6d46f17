//! libFuzzer makes the inputs of `wellcheck_fuzz::grants`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wellcheck_fuzz::grants(data);
});
