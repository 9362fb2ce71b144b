//! What clients say of a container, and what of it is refused.

use super::*;

fn check(text: &str) -> Result<(), Refused> {
    serde_json::from_str::<CreateContainer>(text)
        .unwrap()
        .check()
}

#[test]
fn what_asks_for_nothing_is_taken() {
    assert_eq!(
        check(
            r#"{"Image":"alpine","Cmd":null,"AttachStdout":true,"Tty":false,"Volumes":{},
            "HostConfig":{"NetworkMode":"default","RestartPolicy":{"Name":"no"},"BlkioWeight":0,
            "LogConfig":{"Type":"","Config":{}},"ConsoleSize":[24,80],"Binds":null},
            "NetworkingConfig":{"EndpointsConfig":{"default":{"MacAddress":""}}}}"#
        ),
        Ok(())
    );
    assert_eq!(
        check(
            r#"{"HostConfig":{"NetworkMode":"mine"},
                "NetworkingConfig":{"EndpointsConfig":{"mine":{}}}}"#
        ),
        Ok(())
    );
}

#[test]
fn what_kiln_does_not_have_is_named() {
    for (field, text) in [
        ("Healthcheck", r#"{"Healthcheck":{"Test":["CMD","a"]}}"#),
        ("Privileged", r#"{"HostConfig":{"Privileged":true}}"#),
        (
            "MemoryReservation",
            r#"{"HostConfig":{"MemoryReservation":1}}"#,
        ),
        ("MaskedPaths", r#"{"HostConfig":{"MaskedPaths":[]}}"#),
        ("OomScoreAdj", r#"{"HostConfig":{"OomScoreAdj":5}}"#),
        (
            "RestartPolicy",
            r#"{"HostConfig":{"RestartPolicy":{"Name":"always"}}}"#,
        ),
        (
            "NetworkingConfig",
            r#"{"HostConfig":{"NetworkMode":"a"},
                "NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}"#,
        ),
    ] {
        assert_eq!(check(text), Err(Refused(field.to_owned())), "{text}");
    }
}

#[test]
fn modes_are_gos() {
    assert_eq!(file_mode(0o040_755), 1 << 31 | 0o755);
    assert_eq!(file_mode(0o104_755), 1 << 23 | 0o755);
    assert_eq!(file_mode(0o120_777), 1 << 27 | 0o777);
    assert_eq!(file_mode(0o041_777), 1 << 31 | 1 << 20 | 0o777);
    assert_eq!(file_mode(0o020_666), 1 << 26 | 1 << 21 | 0o666);
}
