//! SSH agents that steps use.

use crate::kiln::{Kiln, Project, Ran, finish};

fn build(kiln: &Kiln, project: &Project, arguments: &[&str], agent: Option<&str>) -> Ran {
    let mut command = kiln.command();
    command
        .args(["build", "--progress", "plain"])
        .args(arguments);
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    finish(command.arg(project.path()))
}

#[test]
fn agents() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nRUN --mount=type=ssh,required,uid=7,gid=8,mode=0640 \
         test -S $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK && stat -c '%a %u:%g' $SSH_AUTH_SOCK\n\
         RUN test ! -e /run/buildkit/ssh_agent.0\n",
    );
    let socket = project.join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let socket = socket.to_str().unwrap();
    for (arguments, agent) in [
        (vec!["--ssh", "default"], Some(socket)),
        (
            vec!["--no-cache", "--ssh", &format!("default={socket}")],
            None,
        ),
    ] {
        let ran = build(&kiln, &project, &arguments, agent);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(
            ran.stderr.contains(" /run/buildkit/ssh_agent.0\n"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(" 640 7:8\n"), "{}", ran.stderr);
    }
    for (arguments, expected) in [
        (
            vec!["--no-cache"],
            "no SSH key \"default\" forwarded from the client",
        ),
        (
            vec!["--ssh", "default"],
            "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
        ),
        (
            vec!["--ssh", "default=/etc/passwd"],
            "kiln forwards agents, not key files",
        ),
    ] {
        let error = build(&kiln, &project, &arguments, None).error();
        assert!(error.contains(expected), "{error}");
    }
    kiln.assert_clean();
}
