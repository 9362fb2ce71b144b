//! Any bytes as the packets by which a client sends its files. Nothing beside their directory may
//! change.

#![cfg_attr(not(test), no_main)]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|packets: &[u8]| {
    let place = fuzz::Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    // What makes no sense is an error.
    drop(runtime.block_on(daemon::keep_packets(&place.inside(), packets)));
    place.check();
});
