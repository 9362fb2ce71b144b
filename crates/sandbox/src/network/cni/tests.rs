//! Network configurations, and what is none; and what is kept of networks.

use std::path::Path;

use serde_json::{Value, json};

use super::list::*;
use super::record::Record;
use super::{Cni, CniError, ListError};

fn of(text: &str) -> Result<NetworkList, ListError> {
    parse(text.as_bytes()).map(|(list, _)| list)
}

#[test]
fn one_plugin_is_a_network_too() {
    let text = r#"{"cniVersion":"0.3.1","name":"n","type":"bridge","ipam":{"type":"x"}}"#;
    let list = of(text).unwrap();
    assert_eq!(list.plugins().collect::<Vec<_>>(), ["bridge"]);
    assert_eq!(list.request(0, None).to_string(), {
        let whole: Value = serde_json::from_str(text).unwrap();
        whole.to_string()
    });
    assert!(!list.tells_at_end());
}

#[test]
fn each_plugin_is_told_its_part() {
    let list = of(
        r#"{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"a","key":[1,2]},
           {"type":"b","capabilities":{"x":true},"cni.dev/y":1,"name":"other"}]}"#,
    );
    let list = list.unwrap();
    let previous = json!({"ips": []});
    assert_eq!(
        list.request(1, Some(&previous)),
        json!({"cniVersion":"1.0.0","name":"net","type":"b","prevResult":{"ips":[]}})
    );
    assert_eq!(
        list.request(0, None),
        json!({"cniVersion":"1.0.0","name":"net","type":"a","key":[1,2]})
    );
    assert!(list.tells_at_end());
}

#[test]
fn versions() {
    for (only, several, expected) in [
        ("", &[][..], "0.1.0"),
        ("0.4.0", &[], "0.4.0"),
        ("0.3.1", &["9.0.0"], "0.3.1"),
        ("0.4.0", &["1.0.0", "0.3.1"], "1.0.0"),
        ("1.0.0", &["0.10.0", "0.9.0"], "1.0.0"),
        ("", &["0.4.0", "1.1.0", "2.0.0"], "1.1.0"),
    ] {
        let several: Vec<String> = several.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(version(only, &several).unwrap(), expected);
    }
    for (only, several, named) in [
        ("9.0.0", &[][..], "9.0.0"),
        ("0.5.0", &[], "0.5.0"),
        ("2.0.0", &["1.0.1", "1.2.0"], "1.0.1, 1.2.0, 2.0.0"),
    ] {
        let several: Vec<String> = several.iter().map(|&text| text.to_owned()).collect();
        let error = version(only, &several).unwrap_err().to_string();
        let expected =
            format!("version {named} of CNI is not spoken: those from 0.1.0 to 1.1.0 are");
        assert_eq!(error, expected);
    }
    for wrong in ["1", "1.0", "1.0.x", "1.0.0.0", "v1.0.0"] {
        let error = version(wrong, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("{wrong:?} is no version of CNI"));
    }
}

#[test]
fn what_is_no_network() {
    for (text, expected) in [
        ("{", "EOF while parsing"),
        ("[]", "invalid type: sequence"),
        (r#"{"type":"a"}"#, "\"\" is no name of a network"),
        (
            r#"{"name":"../x","type":"a"}"#,
            "\"../x\" is no name of a network",
        ),
        (
            r#"{"name":"x","type":"../a"}"#,
            "\"../a\" is no name of a plugin",
        ),
        (
            r#"{"name":"x","type":"a","ipam":{"type":"../b"}}"#,
            "\"../b\" is no name of a plugin",
        ),
        (
            r#"{"name":"x","plugins":[{}]}"#,
            "\"\" is no name of a plugin",
        ),
        (r#"{"name":"x","plugins":[1]}"#, "invalid type: integer"),
        (r#"{"name":1,"type":"a"}"#, "invalid type: integer"),
    ] {
        let error = of(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_directory_adds_plugins() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    write("net.conflist", r#"{"name":"n","plugins":[{"type":"a"}]}"#);
    std::fs::create_dir(at("n")).unwrap();
    write("n/2.conf", r#"{"type":"c"}"#);
    write("n/1.conf", r#"{"type":"b"}"#);
    write("n/3.json", r#"{"type":"d"}"#);
    let plugins = |name: &str| {
        let list = NetworkList::read(&at(name)).unwrap();
        list.plugins().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(plugins("net.conflist"), ["a", "b", "c"]);
    let closed = r#"{"name":"n","loadOnlyInlinedPlugins":true,"plugins":[{"type":"a"}]}"#;
    write("closed.conflist", closed);
    assert_eq!(plugins("closed.conflist"), ["a"]);
    write("empty.conflist", r#"{"name":"m","plugins":[]}"#);
    let error = NetworkList::read(&at("empty.conflist")).unwrap_err();
    assert!(error.to_string().ends_with("it names no plugin"), "{error}");
}

/// An error, and what it comes from.
fn chain(error: CniError) -> Vec<String> {
    let first: &dyn std::error::Error = &error;
    let all = std::iter::successors(Some(first), |error| error.source());
    all.map(ToString::to_string).collect()
}

#[test]
fn what_cannot_be_read_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    let error = |name: &str| chain(NetworkList::read(&at(name)).unwrap_err());
    let missing = error("none");
    let why = "No such file or directory (os error 2)";
    let expected = format!("CNI configuration {}: {why}", at("none").display());
    assert_eq!(missing[..2], [expected, why.to_owned()]);
    // In the place of the directory with its plugins, which others may lack.
    std::fs::write(at("net"), r#"{"name":"n","plugins":[{"type":"a"}]}"#).unwrap();
    std::fs::write(at("n"), "").unwrap();
    let expected = format!("CNI configuration {}: Not a directory", at("n").display());
    assert!(error("net")[0].starts_with(&expected), "{:?}", error("net"));
    std::fs::remove_file(at("n")).unwrap();
    assert_eq!(NetworkList::read(&at("net")).unwrap().plugins().len(), 1);
    // One after the other they are too much.
    std::fs::create_dir(at("n")).unwrap();
    for number in 0..5 {
        let file = at("n").join(format!("{number}.conf"));
        std::fs::write(file, format!("{{\"type\":{:?}}}", "a".repeat(1 << 18))).unwrap();
    }
    let found = error("net");
    let expected = "3.conf: it is more than 1 MiB, with the files of its plugins";
    assert!(found[0].ends_with(expected), "{found:?}");
    let endless = NetworkList::read(Path::new("/dev/zero")).unwrap_err();
    assert!(matches!(
        endless,
        CniError::Configuration {
            why: ListError::Long,
            ..
        }
    ));
}

#[test]
fn the_bridge_of_our_own() {
    let list = NetworkList::bridge("b0", "10.1.0.0/16");
    assert_eq!(list.plugins().collect::<Vec<_>>(), ["bridge", "firewall"]);
    let programs = list.programs().collect::<Vec<_>>();
    assert_eq!(programs, ["bridge", "host-local", "firewall"]);
    let told = list.request(0, None);
    assert_eq!(told["bridge"], "b0");
    assert_eq!(told["ipam"]["ranges"][0][0]["subnet"], "10.1.0.0/16");
}

fn cni(records: &Path, hostname: &str) -> Cni {
    Cni {
        list: NetworkList::bridge("b0", "10.1.0.0/16"),
        plugins: vec![records.join("plugins")],
        programs: Vec::new(),
        records: records.to_owned(),
        hostname: Some(hostname.to_owned()),
    }
}

#[test]
fn what_it_takes_is_looked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let check = |name: &str| cni(scratch.path(), name).check();
    let plugins = scratch.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for name in ["bridge", "host-local", "firewall"] {
        let error = check("box").unwrap_err().to_string();
        let place = plugins.display();
        let expected = format!("CNI plugin {name:?} of network \"b0\" is not in {place}");
        assert_eq!(error, expected);
        std::fs::write(plugins.join(name), "").unwrap();
    }
    check("build-1.example_2").unwrap();
    // A host name is one word.
    let long = "a".repeat(254);
    for name in ["a;IP=10.0.0.5", "a b", "a=b", "a\n", &long] {
        assert!(matches!(check(name), Err(CniError::HostName(_))), "{name}");
    }
}

#[test]
fn names_of_bridges() {
    for name in ["b", "kiln0", "br-1.x_2", "a23456789012345"] {
        assert!(is_bridge(name), "{name}");
    }
    for name in [
        "",
        "a234567890123456",
        "a/b",
        "a b",
        "a\t",
        "..",
        ".",
        "ä",
        "a:0",
    ] {
        assert!(!is_bridge(name), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_told_once() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("left");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("network.json"), "").unwrap();
    let left = Record::left(scratch.path(), &[]).unwrap();
    assert!(matches!(left.as_slice(), [Err(CniError::GivenUp(_))]));
    assert!(!directory.exists());
    assert!(Record::left(scratch.path(), &[]).unwrap().is_empty());
}
