//! Steps with all rights: only where the daemon's configuration and the client both say so, and no
//! step of a build that was not given them has them, whichever way it comes to the step.

use std::collections::HashMap;

use bollard_buildkit_proto::pb;

use super::client::{Built, Client, Wanted};
use super::definitions::Steps;
use super::inputs::{definition, end, solve};
use super::offers::Offers;
use super::run;
use crate::kiln::Kiln;
use crate::serving::Daemon;

const NAME: &str = "security.insecure";
/// What only a step with all rights can do, and what one beside it cannot.
const DOCKERFILE: &str = "FROM alpine\n\
    RUN --security=insecure mount -t tmpfs x /dev/shm && grep ^Seccomp: /proc/self/status && \
    mkdir /sys/fs/cgroup/by-kilns-test && rmdir /sys/fs/cgroup/by-kilns-test\n\
    RUN ! mount -t tmpfs x /dev/shm 2>/dev/null && grep ^Seccomp: /proc/self/status\n";

fn daemon(entitlements: &str) -> Daemon {
    Daemon::of_kiln(Kiln::configured(&format!(
        "[serve]\nentitlements = [{entitlements}]\n"
    )))
}

fn wanted(asks: bool) -> Wanted {
    Wanted {
        entitlements: asks.then(|| NAME.to_owned()).into_iter().collect(),
        ..Wanted::default()
    }
}

/// What a client defines itself.
fn steps(script: &str) -> pb::Definition {
    let mut steps = Steps::default();
    let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
    let done = steps.run_insecure(&base, script);
    steps.end(&done)
}

/// Builds in both ways.
async fn build_all(client: &Client, id: &str, asks: bool) -> [Built; 2] {
    let files = [("Dockerfile", DOCKERFILE)];
    let (first, second) = (format!("{id}-1"), format!("{id}-2"));
    let _session = client.session(&first, "", Offers::build(&files)).await;
    let of_dockerfile = client.build(&first, &wanted(asks)).await;
    let _session = client.session(&second, "", Offers::build(&[])).await;
    let steps = steps("mount -t tmpfs x /dev/shm && grep ^Seccomp: /proc/self/status");
    let of_definition = client.define(&second, &wanted(asks), steps).await;
    [of_dockerfile, of_definition]
}

fn refused(built: &Built, message: &str) {
    let status = built.error();
    assert!(status.message().contains(message), "{status:?}");
}

#[test]
fn the_configuration_and_the_client_have_to_say_so() {
    let granting = daemon("\"security.insecure\"");
    run(async {
        let client = Client::connect(&granting.socket).await;
        for built in build_all(&client, "unasked", false).await {
            refused(&built, "security.insecure is not allowed");
        }
        let [of_dockerfile, of_definition] = build_all(&client, "asked", true).await;
        of_dockerfile.ok();
        of_definition.ok();
        assert_eq!(of_dockerfile.logs(), "Seccomp:\t0\nSeccomp:\t2\n");
        assert_eq!(of_definition.logs(), "Seccomp:\t0\n");
        // What is known opens no door.
        for built in build_all(&client, "again", false).await {
            refused(&built, "security.insecure is not allowed");
        }
    });
    assert_eq!(granting.stop().code, 0);
    for other in ["", "\"network.host\""] {
        let daemon = daemon(other);
        run(async {
            let client = Client::connect(&daemon.socket).await;
            for built in build_all(&client, "unasked", false).await {
                refused(&built, "security.insecure is not allowed");
            }
            for built in build_all(&client, "asked", true).await {
                refused(
                    &built,
                    "granting entitlement security.insecure is not allowed by build daemon \
                     configuration",
                );
            }
        });
        assert_eq!(daemon.stop().code, 0);
    }
}

/// A step that was planned for a build with all rights would run in one without, on what that offers.
#[test]
fn a_result_of_a_build_with_all_rights_gives_them_to_no_other() {
    const BASE: &str = "FROM alpine\n\
        RUN --security=insecure --mount=type=secret,id=s sh /run/secrets/s | tee /made\n";
    let daemon = daemon("\"security.insecure\"");
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = |secret: &str| {
            let files = [("base", BASE), ("child", "FROM base\nRUN cat /made\n")];
            Offers::build(&files).secret("s", secret)
        };
        let _base = client.session("base", "", offers("echo base")).await;
        let work = async {
            let planned = solve(&client, "base", &[("filename", "base")], HashMap::new());
            let planned = planned.await.unwrap();
            let options = [("filename", "child"), ("context:base", "input:base")];
            for (id, asks) in [("without", false), ("with", true)] {
                let _child = client.session(id, "", offers("echo child")).await;
                let inputs = HashMap::from([("base".to_owned(), definition(&planned))]);
                let work = async {
                    let result = solve(&client, id, &options, inputs).await.unwrap();
                    end(&client, id, result).await;
                };
                let exporters = vec![("image", vec![("name", id.to_owned())])];
                let wanted = Wanted {
                    exporters,
                    ..wanted(asks)
                };
                let built = client.during(id, &wanted, None, work).await.0;
                if asks {
                    built.ok();
                    assert_eq!(built.logs(), "child\nchild\n");
                } else {
                    let message = built.error().message();
                    assert!(
                        message.ends_with("security.insecure is not allowed"),
                        "{message}"
                    );
                    assert_eq!(built.logs(), "");
                }
            }
            end(&client, "base", planned).await;
        };
        client
            .during("base", &wanted(true), None, work)
            .await
            .0
            .ok();
    });
    assert_eq!(daemon.stop().code, 0);
}
