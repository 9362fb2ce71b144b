//! Annotations of cache mounts that are carried.

use super::*;

#[test]
fn annotations_read_as_they_are_written() {
    let there = CacheMountIdentity {
        id: "a b".to_owned(),
        mode: 0o1750,
        uid: 5,
        gid: 6,
    };
    let mut layer = Descriptor::of(MediaType::parse(MOUNT), b"");
    assert_eq!(identity(&layer), None);
    layer.annotations = annotations(&there);
    assert_eq!(identity(&layer), Some(there));
}
