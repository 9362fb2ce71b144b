//! What turns one file system into another.

use snapshot::changes;
use snapshot::copy::Options;
use snapshot::{Marks, Tree, Upper};

use crate::fixture::{list, scratch, text, tree};

#[test]
fn privileged_between_trees() {
    let dir = scratch();
    let lower = tree(
        dir.path(),
        "lower",
        r#"
        dir same @5
        file same/f "x"
        dir gone
        file gone/f
        dir changed
        file changed/content "1"
        file changed/mode
        file changed/same "s"
        symlink changed/link -> a
        dir meta
        file todir
        dir tofile
        file tofile/x
        file z-gone
        "#,
    );
    let upper = tree(
        dir.path(),
        "upper",
        r#"
        dir same @6
        file same/f "x"
        dir changed
        file changed/content "2"
        file changed/mode 0600
        file changed/same "s"
        symlink changed/link -> b
        dir meta 0700
        dir new @7
        file new/f @8 "n"
        hard new/h = new/f
        dir todir
        file todir/y
        file tofile
        "#,
    );
    let layer = tree(dir.path(), "layer", "");
    let into = Upper::open(&layer, &[], Marks::Trusted).unwrap();
    let (lower, upper) = (
        Tree::directory(&lower).unwrap(),
        Tree::directory(&upper).unwrap(),
    );
    changes::between(&lower, &upper, &into, &Options::default()).unwrap();
    assert_eq!(
        list(&layer),
        text(
            r#"
            dir changed
            file changed/content "2"
            symlink changed/link -> b
            file changed/mode 0600
            whiteout gone
            dir meta 0700
            dir new @7
            file new/f @8 "n"
            hard new/h = new/f
            dir todir
            file todir/y
            file tofile
            whiteout z-gone
            "#
        )
    );
}
