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

#[test]
fn privileged_layers_that_say_more() {
    let below = r#"
        dir d @5
        file d/f "x"
        dir d/e @5
        file d/e/g
        file z
    "#;
    let cases = [
        ("", false, ""),
        // What is new, gone or other.
        ("dir d @6\nfile d/new", false, "dir d @6\nfile d/new"),
        ("dir d @6\nwhiteout d/f", false, "dir d @6\nwhiteout d/f"),
        ("dir d 0700 @5", false, "dir d 0700 @5"),
        ("dir new @6\ndir new/e", false, "dir new @6\ndir new/e"),
        // There is nothing that it hides.
        ("dir new\nopaque new", false, "dir new"),
        // Times of directories alone.
        ("dir d @6", true, ""),
        ("dir d @6\ndir d/e @6", true, ""),
        (
            "dir d 0700 @6\ndir d/e @6\nfile z \"z\"",
            true,
            "dir d 0700 @6\nfile z \"z\"",
        ),
        // A directory that was made anew.
        (
            "dir d @6\nopaque d\nfile d/f \"y\"\nfile d/new",
            true,
            "dir d @6\nwhiteout d/e\nfile d/f \"y\"\nfile d/new",
        ),
        (
            "dir d @5\ndir d/e @6\nopaque d/e",
            true,
            "dir d @5\ndir d/e @6\nwhiteout d/e/g",
        ),
    ];
    for (layer, says_more, differs) in cases {
        let dir = scratch();
        let stack = [tree(dir.path(), "below", below)];
        let layer = tree(dir.path(), "layer", layer);
        let said = changes::says_more(&layer, &stack, Marks::Trusted).unwrap();
        assert_eq!(said, says_more, "{}", list(&layer));

        let into = tree(dir.path(), "into", "");
        let upper = Upper::open(&into, &stack, Marks::Trusted).unwrap();
        let whole = [&stack[..], &[layer]].concat();
        let trees = [&stack[..], &whole].map(|stack| Tree::layers(stack, Marks::Trusted).unwrap());
        changes::between(&trees[0], &trees[1], &upper, &Options::default()).unwrap();
        assert_eq!(list(&into), text(differs));
    }
}
