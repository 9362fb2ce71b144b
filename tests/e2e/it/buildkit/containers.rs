//! Containers in which a client runs something while its build goes on.

use std::collections::BTreeMap;

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::exec_message::Input;
use bollard_buildkit_proto::pb;
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

use super::client::{Client, Wanted, of};
use super::definitions::{Steps, solve};
use super::offers::Offers;
use super::run;
use crate::kiln::Kiln;
use crate::serving::Daemon;

/// The build that the calls are about.
const BUILD: &str = "one";

/// A client's call in which processes run.
struct Talk {
    sender: mpsc::UnboundedSender<gateway::ExecMessage>,
    heard: Streaming<gateway::ExecMessage>,
}

/// What became of a process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ended {
    /// What was written to each descriptor.
    said: BTreeMap<u32, String>,
    code: u32,
    error: String,
}

impl Talk {
    async fn begin(client: &Client) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let outgoing = stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        let heard = client.bridge().exec_process(of(BUILD, outgoing)).await;
        let heard = heard.unwrap().into_inner();
        Self { sender, heard }
    }

    fn send(&self, process: &str, input: Input) {
        let message = gateway::ExecMessage {
            process_id: process.to_owned(),
            input: Some(input),
        };
        self.sender.send(message).unwrap();
    }

    fn start(&self, process: &str, script: &str, tty: bool) {
        self.start_held(process, script, tty, pb::SecurityMode::Sandbox);
    }

    fn start_held(&self, process: &str, script: &str, tty: bool, security: pb::SecurityMode) {
        let meta = pb::Meta {
            args: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: vec!["A=b".to_owned()],
            ..pb::Meta::default()
        };
        let init = gateway::InitMessage {
            container_id: "box".to_owned(),
            meta: Some(meta),
            fds: vec![0, 1, 2],
            tty,
            security: security.into(),
            ..gateway::InitMessage::default()
        };
        self.send(process, Input::Init(init));
    }

    fn write(&self, process: &str, text: &str, eof: bool) {
        let data = text.as_bytes().to_vec();
        let file = gateway::FdMessage { fd: 0, eof, data };
        self.send(process, Input::File(file));
    }

    fn signal(&self, process: &str, name: &str) {
        let name = name.to_owned();
        self.send(process, Input::Signal(gateway::SignalMessage { name }));
    }

    async fn next(&mut self) -> Result<(String, Input), Status> {
        let message = self.heard.message().await?.unwrap();
        Ok((message.process_id, message.input.unwrap()))
    }

    /// Waits until a process has said `text`.
    async fn until(&mut self, process: &str, text: &str) {
        let mut said = String::new();
        while !said.contains(text) {
            let (id, input) = self.next().await.unwrap();
            if let Input::File(file) = input {
                assert_eq!(id, process);
                said.push_str(&String::from_utf8(file.data).unwrap());
            }
        }
    }

    /// Waits for the end of a process.
    async fn ended(&mut self, process: &str) -> Ended {
        let mut ended = Ended::default();
        loop {
            let (id, input) = self.next().await.unwrap();
            assert_eq!(id, process);
            match input {
                Input::File(file) => {
                    let text = String::from_utf8(file.data).unwrap();
                    ended.said.entry(file.fd).or_default().push_str(&text);
                }
                Input::Exit(exit) => {
                    ended.code = exit.code;
                    ended.error = exit.error.unwrap_or_default().message;
                }
                Input::Done(_) => return ended,
                Input::Started(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Has a container with a result as its root, and the same to be read at `/again/etc`.
async fn new_container(client: &Client, id: &str) {
    let mut steps = Steps::default();
    let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
    let done = steps.run(&base, "echo made >/made", &[]);
    let solved = client
        .bridge()
        .solve(of(BUILD, solve(steps.end(&done))))
        .await;
    let result = solved.unwrap().into_inner().result.unwrap().result.unwrap();
    let gateway::result::Result::Ref(result) = result else {
        panic!("{result:?}");
    };
    let bind = |dest: &str, selector: &str, readonly| pb::Mount {
        dest: dest.to_owned(),
        selector: selector.to_owned(),
        result_id: result.id.clone(),
        readonly,
        ..pb::Mount::default()
    };
    let request = gateway::NewContainerRequest {
        container_id: id.to_owned(),
        mounts: vec![bind("/again/etc", "/etc", true), bind("/", "", false)],
        hostname: "within".to_owned(),
        ..gateway::NewContainerRequest::default()
    };
    client
        .bridge()
        .new_container(of(BUILD, request))
        .await
        .unwrap();
}

async fn read(client: &Client, path: &str, mount_index: i32) -> Result<String, Status> {
    let request = gateway::ReadFileRequest {
        r#ref: "box".to_owned(),
        file_path: path.to_owned(),
        range: None,
        mount_index,
    };
    let read = client
        .bridge()
        .read_file_container(of(BUILD, request))
        .await?;
    Ok(String::from_utf8(read.into_inner().data).unwrap())
}

async fn release(client: &Client) -> Result<(), Status> {
    let request = gateway::ReleaseContainerRequest {
        container_id: "box".to_owned(),
    };
    client
        .bridge()
        .release_container(of(BUILD, request))
        .await?;
    Ok(())
}

/// Does `work` while a build goes on that makes nothing.
fn during(work: impl AsyncFnOnce(&Client)) {
    during_of(Daemon::new(), &Wanted::default(), work);
}

fn during_of(daemon: Daemon, wanted: &Wanted, work: impl AsyncFnOnce(&Client)) {
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let _session = client
            .session(BUILD, "", Offers::build(&[]).secret("s", "hush"))
            .await;
        let inside = async {
            work(&client).await;
            let nothing = gateway::ReturnRequest {
                result: Some(gateway::Result::default()),
                error: None,
            };
            client.bridge().r#return(of(BUILD, nothing)).await.unwrap();
        };
        let (built, ()) = client.during(BUILD, wanted, None, inside).await;
        built.ok();
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_process_is_spoken_to() {
    during(async |client| {
        new_container(client, "box").await;
        let mut talk = Talk::begin(client).await;
        talk.start("p", "echo $A; cat; cat /made; hostname >&2; exit 3", false);
        talk.write("p", "sent\n", false);
        talk.write("p", "", true);
        let ended = talk.ended("p").await;
        assert_eq!(ended.said[&1], "b\nsent\nmade\n");
        assert_eq!(ended.said[&2], "within\n");
        assert_eq!((ended.code, ended.error.as_str()), (3, "exit code: 3"));
        // Its first process has ended, and with it the container.
        talk.start("late", "echo", false);
        let late = talk.ended("late").await;
        assert_eq!(late.code, 255, "{late:?}");
        release(client).await.unwrap();
        assert_eq!(release(client).await.unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn further_processes_come_in_and_files_are_looked_at() {
    during(async |client| {
        new_container(client, "box").await;
        let mut talk = Talk::begin(client).await;
        let waits = "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 9 & wait; done";
        talk.start("first", waits, false);
        talk.until("first", "ready").await;
        let mut other = Talk::begin(client).await;
        other.start("second", "echo written >/written; ls /again", false);
        let second = other.ended("second").await;
        assert_eq!(
            (second.code, second.said[&1].as_str()),
            (0, "etc\n"),
            "{second:?}"
        );
        assert_eq!(read(client, "/written", 1).await.unwrap(), "written\n");
        assert_eq!(read(client, "made", 1).await.unwrap(), "made\n");
        let users = read(client, "passwd", 0).await.unwrap();
        assert!(users.contains("root:"), "{users}");
        assert_eq!(
            read(client, "none", 1).await.unwrap_err().code(),
            Code::NotFound
        );
        assert_eq!(
            read(client, "made", 2).await.unwrap_err().code(),
            Code::InvalidArgument
        );
        let list = gateway::ReadDirRequest {
            r#ref: "box".to_owned(),
            dir_path: "/".to_owned(),
            include_pattern: "w*".to_owned(),
            mount_index: 1,
        };
        let listed = client.bridge().read_dir_container(of(BUILD, list)).await;
        let entries = listed.unwrap().into_inner().entries;
        let names: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["written"]);
        let stat = gateway::StatFileRequest {
            r#ref: "box".to_owned(),
            path: "written".to_owned(),
            mount_index: 1,
        };
        let stat = client.bridge().stat_file_container(of(BUILD, stat)).await;
        assert_eq!(stat.unwrap().into_inner().stat.unwrap().size, 8);
        talk.signal("first", "TERM");
        let first = talk.ended("first").await;
        assert_eq!(
            (first.code, first.said[&1].as_str()),
            (7, "got\n"),
            "{first:?}"
        );
    });
}

#[test]
fn a_terminal_has_a_size() {
    during(async |client| {
        new_container(client, "box").await;
        let mut talk = Talk::begin(client).await;
        talk.start("p", "echo $TERM; read line; stty size; echo $line", true);
        talk.until("p", "xterm").await;
        let size = gateway::ResizeMessage { rows: 7, cols: 40 };
        talk.send("p", Input::Resize(size));
        talk.write("p", "typed\n", false);
        let ended = talk.ended("p").await;
        let said = &ended.said[&1];
        assert!(said.contains("7 40\r\ntyped\r\n"), "{said:?}");
        assert_eq!(ended.code, 0);
    });
}

#[test]
fn a_container_that_is_released_ends() {
    during(async |client| {
        new_container(client, "box").await;
        let mut talk = Talk::begin(client).await;
        talk.start("p", "echo begun; sleep 600", false);
        talk.until("p", "begun").await;
        release(client).await.unwrap();
        assert_eq!(talk.ended("p").await.error, "the container was released");
        talk.start("q", "echo", false);
        assert_eq!(talk.next().await.unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn what_is_left_running_ends_with_the_build() {
    during(async |client| {
        new_container(client, "box").await;
        let mut talk = Talk::begin(client).await;
        let mut init = gateway::InitMessage {
            container_id: "box".to_owned(),
            meta: Some(pb::Meta {
                args: ["/bin/sh", "-c", "echo $S; sleep 600"]
                    .map(str::to_owned)
                    .into(),
                ..pb::Meta::default()
            }),
            fds: vec![1],
            ..gateway::InitMessage::default()
        };
        init.secretenv.push(pb::SecretEnv {
            id: "s".to_owned(),
            name: "S".to_owned(),
            optional: false,
        });
        talk.send("p", Input::Init(init.clone()));
        talk.until("p", "hush").await;
        // What would not be honoured is refused.
        for (security, message) in [
            (1, "security.insecure is not allowed"),
            (2, "invalid security mode 2"),
        ] {
            init.security = security;
            let mut refused = Talk::begin(client).await;
            refused.send("q", Input::Init(init.clone()));
            assert_eq!(refused.ended("q").await.error, message);
        }
    });
}

#[test]
fn a_process_has_all_rights_if_the_first_one_has() {
    use pb::SecurityMode::{Insecure, Sandbox};
    const FILTER: &str =
        "grep ^Seccomp: /proc/self/status; mount -t tmpfs x /dev/shm && echo mounted";
    let daemon = Daemon::of_kiln(Kiln::configured(
        "[serve]\nentitlements = [\"security.insecure\"]\n",
    ));
    let wanted = Wanted {
        entitlements: vec!["security.insecure".to_owned()],
        ..Wanted::default()
    };
    during_of(daemon, &wanted, async |client| {
        for first in [Sandbox, Insecure] {
            new_container(client, "box").await;
            let mut talk = Talk::begin(client).await;
            talk.start_held("p", "echo there; cat", false, first);
            talk.until("p", "there").await;
            for later in [Sandbox, Insecure] {
                let mut beside = Talk::begin(client).await;
                beside.start_held("q", FILTER, false, later);
                let ended = beside.ended("q").await;
                let said = ended.said.get(&1).map(String::as_str);
                match (first, later) {
                    (Sandbox, Insecure) => {
                        let refused = "security.insecure beside a process without it is not";
                        assert!(ended.error.starts_with(refused), "{ended:?}");
                    }
                    (_, Sandbox) => assert_eq!(said, Some("Seccomp:\t2\n"), "{ended:?}"),
                    _ => assert_eq!(said, Some("Seccomp:\t0\nmounted\n"), "{ended:?}"),
                }
            }
            talk.write("p", "", true);
            assert_eq!(talk.ended("p").await.code, 0);
            release(client).await.unwrap();
        }
    });
}
