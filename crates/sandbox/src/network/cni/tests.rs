//! Network configurations, and what is none.

use serde_json::{Value, json};

use super::error::ListError;
use super::list::*;

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
        ("9.0.0", &[], "9.0.0"),
        ("0.4.0", &["1.0.0", "0.3.1"], "1.0.0"),
        ("1.0.0", &["0.10.0", "0.9.0"], "1.0.0"),
        ("", &["0.4.0", "1.1.0", "2.0.0"], "1.1.0"),
    ] {
        let several: Vec<String> = several.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(version(only.to_owned(), &several).unwrap(), expected);
    }
    for wrong in ["1", "1.0", "1.0.x", "1.0.0.0", "v1.0.0"] {
        let error = version(wrong.to_owned(), &[]).unwrap_err().to_string();
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

#[test]
fn the_bridge_of_our_own() {
    let list = NetworkList::bridge("b0", "10.1.0.0/16");
    assert_eq!(list.plugins().collect::<Vec<_>>(), ["bridge", "firewall"]);
    let told = list.request(0, None);
    assert_eq!(told["bridge"], "b0");
    assert_eq!(told["ipam"]["ranges"][0][0]["subnet"], "10.1.0.0/16");
}
