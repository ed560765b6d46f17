//! libFuzzer makes the inputs of `wellcheck_fuzz::load_and_run`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wellcheck_fuzz::load_and_run(data);
});
