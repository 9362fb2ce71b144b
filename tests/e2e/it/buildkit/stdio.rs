//! `kiln builder dial-stdio`: calls over the standard input and output of another process.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use bollard_buildkit_proto::moby::buildkit::v1 as api;

use super::client::Client;
use super::offers::Offers;
use super::{build, image, run};
use crate::kiln::{Kiln, finish};
use crate::serving::Daemon;

#[test]
fn a_builder_answers_over_standard_input_and_output() {
    let (daemon, kiln) = (Daemon::new(), Kiln::new());
    let host = format!("unix://{}", daemon.socket.display());
    let socket = kiln.scratch("dialled").join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut command = kiln.command();
    command.args(["buildx", "dial-stdio", "--builder", &host]);
    let dialling = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let output = stream.try_clone().unwrap();
        command.stdin(Stdio::from(OwnedFd::from(stream)));
        command.stdout(Stdio::from(OwnedFd::from(output)));
        command.spawn().unwrap()
    });
    run(async {
        let client = Client::connect(&socket).await;
        let info = client.control().info(api::InfoRequest {}).await;
        let version = info.unwrap().into_inner().buildkit_version;
        assert_eq!(version.unwrap().package, "kiln");
        let files = [("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "x")];
        let built = build(&client, "one", Offers::build(&files), &image("dialled")).await;
        built.ok();
    });
    let image = daemon.ask("GET /images/dialled/json", b"");
    assert_eq!(image.status, 200);
    // Who hangs up ends it.
    let ended = dialling.join().unwrap().wait().unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn where_no_builder_is_named_there_is_none_to_dial() {
    let kiln = Kiln::new();
    let dial = |arguments: &[&str]| {
        let mut command = kiln.command();
        let ran = finish(command.args(["buildx", "dial-stdio"]).args(arguments));
        ran.error()
    };
    let error = dial(&[]);
    assert!(
        error.contains("no connection leads to this process"),
        "{error}"
    );
    let error = dial(&["--progress", "plain"]);
    assert!(error.contains("expected none"), "{error}");
    let error = dial(&["--builder", "unix:///nowhere"]);
    assert!(error.contains("/nowhere"), "{error}");
}
