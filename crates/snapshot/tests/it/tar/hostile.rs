//! Archives that are broken, or broken on purpose. Each either has one clear meaning or is refused.

use super::raw::{Block, Raw};
use crate::fixture::{text, try_list_tar};

fn check(name: &str, archive: &[u8], expected: Result<&str, &str>) {
    let found = try_list_tar(archive).map_err(|error| error.to_string());
    let expected = expected.map(text).map_err(str::to_owned);
    assert_eq!(found, expected, "{name}");
}

fn number(field: &str, value: &str) -> String {
    format!("invalid tar header: {field} {value:?}")
}

#[test]
fn ends() {
    let file = || Raw::new().block(Block::new("f").size(5)).data(b"hello");
    let good = file().end();
    let ok = Ok("file f \"hello\"");
    let early = Err("tar archive ends early");
    check("nothing at all", b"", Ok(""));
    check("an empty archive", &Raw::new().end(), Ok(""));
    check("no end mark", &file().cut(), ok);
    check("half an end mark", &good[..good.len() - 512], ok);
    check(
        "garbage after the end",
        &[&good[..], b"garbage"].concat(),
        ok,
    );
    check("a header cut short", &good[..100], early);
    check("content cut short", &good[..515], early);
    check("padding cut short", &good[..600], early);
    check("an end mark cut short", &good[..1100], early);
    let lone = Raw::new().data(&[0; 512]).block(Block::new("f")).end();
    let text = "invalid tar archive: data after a lone zero block";
    check("a lone zero block", &lone, Err(text));
    let checksum = Err("invalid tar header: wrong checksum");
    let wrong = Raw::new().block(Block::new("f").wrong_checksum()).end();
    check("a wrong checksum", &wrong, checksum);
    check("no tar at all", &[b'x'; 2048], checksum);
}

#[test]
fn numbers() {
    let one = |block: Block| Raw::new().block(block).end();
    let fails = |name: &str, block: Block, field: &str, value: &str| {
        check(name, &one(block), Err(&number(field, value)));
    };
    let f = || Block::new("f");
    fails(
        "letters in a size",
        f().field(124, b"0000000xyz0\0"),
        "size",
        "0000000xyz0",
    );
    fails(
        "a digit 8",
        f().field(124, b"00000000008\0"),
        "size",
        "00000000008",
    );
    fails(
        "a signed size",
        f().field(124, b"-0000000005\0"),
        "size",
        "-0000000005",
    );
    let mut base256 = [0xff; 12];
    fails(
        "a negative size",
        f().field(124, &base256),
        "size",
        "\u{fffd}".repeat(12).as_str(),
    );
    base256[0] = 0x80;
    fails(
        "a size beyond 63 bits",
        f().field(124, &base256),
        "size",
        "\u{fffd}".repeat(12).as_str(),
    );
    fails(
        "an owner beyond 32 bits",
        f().field(108, &[0x80, 0, 0, 1, 0, 0, 0, 0]),
        "uid",
        "4294967296",
    );
    fails(
        "the owner nobody",
        f().field(108, &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        "uid",
        "4294967295",
    );
    fails("a negative group", f().field(116, &[0xff; 8]), "gid", "-1");
    check(
        "an owner in base 256",
        &one(f().field(108, &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff])),
        Ok("file f 2147483647:0"),
    );
    check(
        "a time before 1970",
        &one(f().field(136, &[0xff; 12])),
        Ok("file f @-1"),
    );
    check(
        "blanks for a number",
        &one(f().field(108, b"        ")),
        Ok("file f"),
    );
    check(
        "no terminator",
        &one(f().field(108, b"00000017")),
        Ok("file f 15:0"),
    );
    check(
        "leading blanks",
        &one(f().field(108, b"    17 \0")),
        Ok("file f 15:0"),
    );
    check(
        "a file type in the mode",
        &one(f().field(100, b"0100600\0")),
        Ok("file f 0600"),
    );
    // Signed sums were written by some old tars: a name with high bits tells them apart.
    let latin = Block::new("").field(0, &[0xe4, 0xf6]);
    check(
        "a name that is no UTF-8",
        &one(latin),
        Ok("file \u{fffd}\u{fffd}"),
    );
}

#[test]
fn kinds() {
    let one = |block: Block| Raw::new().block(block).end();
    for flag in *b"DMVNXAZ\xff" {
        let text = format!("unsupported tar entry type {:?} of f", char::from(flag));
        check(
            "an unknown kind",
            &one(Block::new("f").flag(flag)),
            Err(&text),
        );
    }
    check(
        "a V7 directory",
        &one(Block::new("d/").flag(0).v7()),
        Ok("dir d/ 0644"),
    );
    check(
        "a V7 file",
        &one(Block::new("f").flag(0).v7()),
        Ok("file f"),
    );
    check(
        "a contiguous file",
        &one(Block::new("f").flag(b'7')),
        Ok("file f"),
    );
    check("a file with a slash", &one(Block::new("f/")), Ok("file f/"));
    let foreign = "unsupported tar entry type 'L' of f";
    check(
        "a long name outside of GNU",
        &one(Block::new("f").flag(b'L')),
        Err(foreign),
    );
    let huge = Block::new("c")
        .flag(b'3')
        .field(329, &[0x80, 0, 0, 1, 0, 0, 0, 0]);
    let text = number("device number", "\u{fffd}");
    check("a device number beyond 32 bits", &one(huge), Err(&text));
}

#[test]
fn sizes_of_what_has_no_content() {
    for (flag, shown) in [
        (b'1', "hard f = t"),
        (b'2', "symlink f -> t 0644"),
        (b'3', "char f 0,0"),
        (b'5', "dir f 0644"),
        (b'6', "fifo f"),
    ] {
        // The next header follows at once, whatever the size says.
        let archive = Raw::new()
            .block(Block::new("f").flag(flag).link("t").size(700))
            .block(Block::new("next"))
            .end();
        check(
            "a size in the header",
            &archive,
            Ok(&format!("{shown}\nfile next")),
        );
        let archive = Raw::new()
            .pax(&[("size", "700")])
            .block(Block::new("f").flag(flag).link("t"))
            .block(Block::new("next"))
            .end();
        check(
            "a size in a record",
            &archive,
            Ok(&format!("{shown}\nfile next")),
        );
    }
}

#[test]
fn extended_headers_out_of_step() {
    // The record's size counts, not the header's: whoever takes the other one sees other members.
    let inner = Raw::new().block(Block::new("hidden")).cut();
    let archive = Raw::new()
        .pax(&[("size", "512")])
        .block(Block::new("f"))
        .data(&inner)
        .block(Block::new("next"))
        .end();
    check(
        "a size that hides a header",
        &archive,
        Ok("file f \"512 bytes\"\nfile next"),
    );
    let archive = Raw::new()
        .pax(&[("size", "0")])
        .block(Block::new("f").size(512))
        .block(Block::new("shown"))
        .end();
    check(
        "a size that shows a header",
        &archive,
        Ok("file f\nfile shown"),
    );
    let last = Raw::new()
        .pax(&[("size", "9"), ("size", "3")])
        .block(Block::new("f"))
        .data(b"abc")
        .end();
    check("two sizes", &last, Ok("file f \"abc\""));
    let empty = Raw::new()
        .pax(&[("size", ""), ("path", "")])
        .block(Block::new("f").size(3))
        .data(b"abc")
        .end();
    check("records without a value", &empty, Ok("file f \"abc\""));
    for size in ["-1", "x", "1x", "+1", " 1", "9223372036854775808", "0x10"] {
        let archive = Raw::new()
            .pax(&[("size", size)])
            .block(Block::new("f"))
            .end();
        check("a malformed size", &archive, Err(&number("size", size)));
    }
    let twice = Raw::new()
        .pax(&[("path", "first"), ("uid", "7")])
        .pax(&[("path", "second")])
        .block(Block::new("f"))
        .end();
    check("two headers for one member", &twice, Ok("file second"));
    let early = Err("tar archive ends early");
    check(
        "a header for nothing",
        &Raw::new().pax(&[("path", "p")]).end(),
        early,
    );
    let global = Raw::new()
        .special(b'g', b"15 path=global\n")
        .block(Block::new("f"))
        .end();
    check("a global path", &global, Ok("file f"));
    let both = Raw::new()
        .pax(&[("path", "pax")])
        .special(b'L', b"gnu\0rest")
        .block(Block::new("f").gnu())
        .end();
    check("a name in both dialects", &both, Ok("file gnu"));
}

#[test]
fn malformed_records() {
    let with = |data: &[u8]| Raw::new().special(b'x', data).block(Block::new("f")).end();
    let malformed = Err("invalid tar extended header: malformed record");
    for (name, data) in [
        ("no length", &b"path=x\n"[..]),
        ("a length of letters", b"ab path=x\n"),
        ("a length that is too short", b"5 path=x\n"),
        ("a length that is too long", b"99 path=x\n"),
        ("a length of nothing", b"3 \n"),
        ("a huge length", b"99999999999999999999 path=x\n"),
        ("a negative length", b"-9 path=x\n"),
        ("no newline", b"9 path=xy"),
        ("no equals sign", b"9 path:x\n"),
        ("a length without a record", b"12"),
        ("zeros", &[0; 30]),
        ("a second record that is bad", b"9 path=x\nrest"),
    ] {
        check(name, &with(data), malformed);
    }
    let nul = Err("invalid tar extended header: a NUL byte, or a record without a key");
    check("a NUL in a path", &with(b"12 path=a\0b\n"), nul);
    check("no key", &with(b"5 =x\n"), nul);
    check(
        "a key that means nothing here",
        &with(b"11 foo.b=r\n"),
        Ok("file f"),
    );
    check(
        "an attribute with a NUL and an equals sign",
        &with(b"26 SCHILY.xattr.user.a=\0=\n"),
        Ok("file f user.a=\\0="),
    );
    for time in ["x", "1.x", "--1", "1.-1", ""] {
        let archive = Raw::new()
            .pax(&[("mtime", time)])
            .block(Block::new("f"))
            .end();
        let error = number("mtime", time);
        let expected = if time.is_empty() {
            Ok("file f")
        } else {
            Err(error.as_str())
        };
        check("a malformed time", &archive, expected);
    }
    for (time, shown) in [
        ("5", "@5"),
        ("5.", "@5"),
        ("5.25", "@5.250000000"),
        ("-1.5", "@-2.500000000"),
        ("0.0000000019", "@0.1"),
    ] {
        let archive = Raw::new()
            .pax(&[("mtime", time)])
            .block(Block::new("f"))
            .end();
        check("a time", &archive, Ok(&format!("file f {shown}")));
    }
}

#[test]
fn too_long() {
    let big = Block::new("x").flag(b'x').size(1024 * 1024 + 1);
    let text = "tar extended header of 1048577 bytes: at most 1048576 are accepted";
    check(
        "an extended header",
        &Raw::new().block(big).end(),
        Err(text),
    );
    let big = Block::new("x").flag(b'L').gnu().size(8 << 29);
    let found = try_list_tar(&Raw::new().block(big).end()).unwrap_err();
    assert!(found.to_string().starts_with("tar extended header of"));
    let cut = Raw::new()
        .block(Block::new("x").flag(b'x').size(5000))
        .cut();
    check(
        "an extended header that is cut",
        &cut,
        Err("tar archive ends early"),
    );
}

/// A sparse file in format 1.0, and a file behind it.
fn sparse(records: &[(&str, &str)], content: &[u8]) -> Vec<u8> {
    let version = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    Raw::new()
        .pax(&[&version, records].concat())
        .block(Block::new("f").size(content.len()))
        .data(content)
        .block(Block::new("next"))
        .end()
}

/// A map, and the data behind it.
fn map(lines: &str, data: &str) -> Vec<u8> {
    let mut content = lines.as_bytes().to_vec();
    content.resize(512, 0);
    content.extend_from_slice(data.as_bytes());
    content
}

fn bad_map(name: &str, size: &str, content: &[u8], what: &str) {
    let archive = sparse(&[("GNU.sparse.realsize", size)], content);
    let text = format!("invalid tar sparse map: {what}");
    check(name, &archive, Err(&text));
}

#[test]
fn sparse_maps() {
    let archive = sparse(
        &[("GNU.sparse.realsize", "8"), ("GNU.sparse.name", "real")],
        &map("2\n1\n2\n6\n1\n", "abc"),
    );
    check(
        "a good one",
        &archive,
        Ok("file real \"\\0ab\\0\\0\\0c\\0\"\nfile next"),
    );
    bad_map(
        "overlapping",
        "8",
        &map("2\n1\n2\n2\n1\n", "abc"),
        "ranges overlap or are out of order",
    );
    bad_map(
        "out of order",
        "8",
        &map("2\n6\n1\n1\n2\n", "abc"),
        "ranges overlap or are out of order",
    );
    bad_map(
        "beyond the end",
        "8",
        &map("1\n6\n3\n", "abc"),
        "a range beyond the end of the file",
    );
    bad_map(
        "too much data",
        "8",
        &map("1\n1\n2\n", "abc"),
        "other than the archive holds",
    );
    bad_map(
        "too little data",
        "8",
        &map("1\n1\n4\n", "abc"),
        "other than the archive holds",
    );
    bad_map(
        "negative",
        "8",
        &map("1\n-1\n3\n", "abc"),
        "a negative number",
    );
    bad_map(
        "a negative count",
        "8",
        &map("-1\n", ""),
        "a negative number",
    );
    bad_map(
        "a negative size",
        "-8",
        &map("1\n1\n3\n", "abc"),
        "negative size",
    );
    bad_map(
        "an endless line",
        "8",
        &map(&"1".repeat(100), ""),
        "a line too long",
    );
    bad_map(
        "a map without an end",
        "8",
        &map("9\n1\n2\n", ""),
        "a line too long",
    );
    bad_map("no map", "8", b"", "the map is longer than the content");
    let many = sparse(&[("GNU.sparse.realsize", "8")], &map("999999999\n", ""));
    check(
        "too many ranges",
        &many,
        Err("tar sparse map of 999999999 bytes: at most 262144 are accepted"),
    );
    let overflow = map("2\n9223372036854775807\n9223372036854775807\n1\n1\n", "");
    bad_map(
        "an overflow",
        "8",
        &overflow,
        "a range beyond the end of the file",
    );
}

#[test]
fn sparse_formats() {
    let no_size = sparse(&[], &map("1\n1\n3\n", "abc"));
    check("no size", &no_size, Err("invalid tar sparse map: no size"));
    let version = Raw::new()
        .pax(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")])
        .block(Block::new("f"))
        .end();
    check(
        "an unknown version",
        &version,
        Err("invalid tar sparse map: unknown version"),
    );
    let odd = Raw::new()
        .pax(&[("GNU.sparse.map", "1,2,3"), ("GNU.sparse.size", "9")])
        .block(Block::new("f"))
        .end();
    check(
        "an odd map",
        &odd,
        Err("invalid tar sparse map: an offset without a length"),
    );
    let order = Raw::new()
        .pax(&[("GNU.sparse.numbytes", "1"), ("GNU.sparse.size", "9")])
        .block(Block::new("f"))
        .end();
    check(
        "lengths first",
        &order,
        Err("invalid tar sparse map: offsets and lengths differ"),
    );
    // Old GNU: a map of blocks that goes on for ever must end with the archive.
    let old = Block::new("f").flag(b'S').gnu().field(482, &[1]);
    let mut endless = Raw::new().block(old);
    for _ in 0..3 {
        let mut block = [0; 512];
        block[504] = 1;
        endless = endless.data(&block);
    }
    check(
        "an endless map",
        &endless.cut(),
        Err("tar archive ends early"),
    );
    // A file of eight exabytes, all hole, is only as long as its map.
    let hole = sparse(
        &[("GNU.sparse.realsize", "9223372036854775807")],
        &map("0\n", ""),
    );
    check(
        "a huge hole",
        &hole,
        Ok("file f 9223372036854775807 bytes\nfile next"),
    );
}
