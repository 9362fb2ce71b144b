//! Any bytes as what a cache says that it holds, and all that can be asked of it.

#![cfg_attr(not(test), no_main)]

use buildkit::{CacheConfig, Index};
use libfuzzer_sys::fuzz_target;
use oci::Digest;

fuzz_target!(|bytes: &[u8]| {
    let _ = CacheConfig::parse_inline(bytes, vec![Digest::of(b"layer")]);
    let Ok(config) = CacheConfig::parse(bytes) else {
        return;
    };
    let digests: Vec<Digest> = config.records.iter().map(|record| record.digest).collect();
    let blobs = config.layers.iter().map(|layer| {
        let media_type = oci::MediaType::OciLayer(oci::Compression::Gzip);
        oci::Descriptor::new(media_type, layer.blob, 1)
    });
    let blobs = blobs.collect();
    let index = Index::new(config, blobs);
    let mut from = Vec::new();
    for digest in &digests {
        from.extend_from_slice(index.roots(digest));
    }
    for digest in &digests {
        // Each record once, so the ways to it do not multiply.
        let linked = index.linked(&from, 0, digest, None);
        assert!(linked.len() <= digests.len());
        from.extend(linked);
        from.sort_unstable();
        from.dedup();
    }
    for record in from {
        let _ = index.result(record);
    }
});
