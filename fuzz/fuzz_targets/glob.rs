#![no_main]

use resurgam_fuzz::laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::glob(data));
