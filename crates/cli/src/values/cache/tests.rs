//! Forms of caches on the command line.

use super::*;

fn shown<T: std::fmt::Debug>(parsed: Result<T, ValueError>) -> String {
    match parsed {
        Ok(cache) => format!("{cache:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_not_honoured_is_named() {
    for (text, expected) in [
        (
            "type=gha",
            "unsupported cache type \"gha\": use type=local with a directory that actions/cache keeps, or type=registry",
        ),
        (
            "type=s3,bucket=b",
            "unsupported cache type \"s3\": use type=local and copy the directory, or type=registry",
        ),
        (
            "type=azblob",
            "unsupported cache type \"azblob\": use type=local and copy the directory, or type=registry",
        ),
        (
            "type=x",
            "unsupported cache type \"x\": kiln has registry, local and, for --cache-to, inline",
        ),
        (
            "ref=a,mode=max",
            "type is required for cache \"ref=a,mode=max\"",
        ),
        (
            "type=registry",
            "ref is required for cache type \"registry\"",
        ),
        ("type=local", "dest is required for cache type \"local\""),
        (
            "type=local,dest=d,src=s",
            "unsupported attribute \"src\" of cache type \"local\"",
        ),
        (
            "type=registry,ref=a,scope=b",
            "unsupported attribute \"scope\" of cache type \"registry\"",
        ),
        (
            "type=registry,ref=a,mode=most",
            "invalid value \"most\" for cache attribute \"mode\": expected min or max",
        ),
        (
            "type=inline,mode=max",
            "invalid value \"max\" for cache attribute \"mode\": an image holds the results that it is made of: use type=registry for all",
        ),
        (
            "type=registry,ref=a,image-manifest=true,oci-mediatypes=false",
            "invalid value \"true\" for cache attribute \"image-manifest\": it needs oci-mediatypes=true",
        ),
        (
            "type=registry,ref=a,ignore-error=perhaps",
            "invalid value \"perhaps\" for cache attribute \"ignore-error\": expected true or false",
        ),
        (
            "type=registry,ref=a,compression=xz",
            "invalid value \"xz\" for output attribute \"compression\": expected gzip, zstd or uncompressed",
        ),
    ] {
        assert_eq!(shown(to(text)), expected, "{text}");
    }
    for (text, expected) in [
        (
            "type=inline",
            "unsupported cache type \"inline\": an inline cache is read with type=registry,ref=IMAGE",
        ),
        (
            "type=local,dest=d",
            "unsupported attribute \"dest\" of cache type \"local\"",
        ),
        (
            "type=local,src=d,digest=x",
            "invalid value \"x\" for cache attribute \"digest\": expected sha256 and 64 characters",
        ),
    ] {
        assert_eq!(shown(from(text)), expected, "{text}");
    }
}

#[test]
fn forms() {
    let local = "Layout(LayoutCache { path: \"d\", tag: \"latest\", digest: None })";
    assert_eq!(shown(from("type=local,src=d")), format!("{local}"));
    assert_eq!(
        shown(from("alpine")),
        shown(from("type=registry,ref=alpine"))
    );
    assert_eq!(shown(to("type=inline")), "Inline");
    let CacheTo::Export(export) = to("type=local,dest=d,mode=max,compression=zstd").unwrap() else {
        panic!("a cache of its own");
    };
    assert_eq!(format!("{:?}", export.to), local);
    assert_eq!(
        (
            export.mode,
            export.image_manifest,
            export.layers.compression
        ),
        (CacheMode::Max, true, Compression::Zstd)
    );
}
