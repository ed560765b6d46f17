//! libFuzzer makes the inputs of `wellcheck_fuzz::answers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wellcheck_fuzz::answers(data);
});
