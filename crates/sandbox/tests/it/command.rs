//! Programs that cannot be run, and how those that can end.

use std::os::unix::fs::PermissionsExt;

use sandbox::{Exit, User};

use crate::fixture::Fixture;

#[test]
fn privileged_programs_that_cannot_be_run() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let file = |name: &str, text: &str, mode: u32| {
        let path = fixture.lower().join("bin").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    file("plain", "echo", 0o644);
    file("garbage", "\x01\x02", 0o755);
    file("orphan", "#!/bin/nowhere\n", 0o755);
    for (program, code, message) in [
        (
            "nothing",
            127,
            r#"exec: "nothing": executable file not found in $PATH"#,
        ),
        ("", 127, r#"exec: "": executable file not found in $PATH"#),
        (
            "plain",
            127,
            r#"exec: "plain": executable file not found in $PATH"#,
        ),
        (
            "/bin/nothing",
            127,
            r#"exec: "/bin/nothing": stat /bin/nothing: no such file or directory"#,
        ),
        (
            "./nothing",
            127,
            r#"exec: "./nothing": stat ./nothing: no such file or directory"#,
        ),
        (
            "/bin/plain",
            126,
            r#"exec: "/bin/plain": permission denied"#,
        ),
        ("/bin", 126, r#"exec: "/bin": is a directory"#),
        (
            "/etc/passwd/x",
            126,
            r#"exec: "/etc/passwd/x": not a directory"#,
        ),
        ("garbage", 126, "exec /bin/garbage: exec format error"),
        (
            "/bin/orphan",
            127,
            "exec /bin/orphan: no such file or directory",
        ),
    ] {
        let error = fixture.run(&fixture.spec(&[program])).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (message, Some(code))
        );
    }
    let error = fixture.run(&fixture.spec(&[])).unwrap_err();
    assert_eq!(error.to_string(), "no command specified");
}

#[test]
fn privileged_setup_that_fails_says_what() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut spec = fixture.spec(&["true"]);
    spec.process.cwd = "/missing".into();
    let error = fixture.run(&spec).unwrap_err();
    assert_eq!(error.to_string(), "chdir to \"/missing\"");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "No such file or directory (os error 2)");
    assert_eq!(error.exit_code(), None);
}

#[test]
fn privileged_ends() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 42", Exit::Code(42)),
        ("sh -c 'kill -9 $$'; exit $?", Exit::Code(137)),
    ] {
        assert_eq!(
            fixture.run(&fixture.shell(script)).unwrap().exit,
            exit,
            "{script}"
        );
    }
    let mut running = fixture.start(&fixture.spec(&["sleep", "1000"])).unwrap();
    running.signal(9).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Signal(9));
    assert_eq!(running.wait().unwrap(), Exit::Signal(9));
    assert!(running.signal(9).is_err());
    // One that handles a signal gets it, as PID 1 too.
    let script = "trap 'exit 7' TERM; echo ready > /tmp/ready; while :; do sleep 0.01; done";
    let mut running = fixture.start(&fixture.shell(script)).unwrap();
    while !fixture.upper().join("tmp/ready").exists() {
        std::thread::yield_now();
    }
    running.signal(15).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Code(7));
}

#[test]
fn privileged_users() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut spec = fixture.shell(
        "id -u; id -g; id -G; grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | tr -d '\\t'; \
         echo x > /dev/stdout; echo y > /dev/stderr",
    );
    spec.process.user = User {
        uid: 1000,
        gid: 1001,
        groups: vec![50, 60],
        home: "/".into(),
    };
    let outcome = fixture.run(&spec).unwrap();
    let none = "0000000000000000";
    assert_eq!(
        outcome.stdout,
        format!(
            "1000\n1001\n1001 50 60\nCapInh:{none}\nCapPrm:{none}\nCapEff:{none}\nCapAmb:{none}\nx\n"
        )
    );
    assert_eq!(outcome.stderr, "y\n");
}
