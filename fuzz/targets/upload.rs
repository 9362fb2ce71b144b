//! Any bytes as an archive that a client sends, compressed or not, unpacked like a context.

#![cfg_attr(not(test), no_main)]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use snapshot::archive::Compression;
use snapshot::{Marks, Overwrite, Owners, Upper};

fuzz_target!(|archive: &[u8]| {
    let Some(compression) = Compression::of_archive(archive) else {
        return;
    };
    let Ok(tar) = compression.decode(archive, &fuzz::LIMITS) else {
        return;
    };
    let place = fuzz::Place::new();
    let upper = Upper::open(&place.inside(), &[], Marks::User).unwrap();
    for overwrite in [Overwrite::Anything, Overwrite::SameKind] {
        // What is refused is fine.
        let _ = snapshot::unpack(
            archive,
            &upper,
            Path::new("/"),
            overwrite,
            Owners::Archive,
            fuzz::LIMITS,
        );
    }
    let _ = snapshot::unpack(
        tar,
        &upper,
        Path::new("/"),
        Overwrite::Anything,
        Owners::Process,
        fuzz::LIMITS,
    );
    place.check();
});
