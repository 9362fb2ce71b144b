//! What the build cache takes, and its removal.

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use futures_util::StreamExt as _;
use serde_json::Value;

use super::client::{Client, Wanted};
use super::offers::Offers;
use super::{build, image, run};
use crate::serving::Daemon;

const TEXT: &str = "FROM alpine\nRUN --mount=type=cache,target=/c echo made | tee /made\n";

async fn usage(client: &Client) -> Vec<api::UsageRecord> {
    let mut control = client.control();
    let usage = control.disk_usage(api::DiskUsageRequest::default());
    usage.await.unwrap().into_inner().record
}

/// Deletes the history, and prunes all; the kinds of what is gone.
async fn prune(client: &Client, builds: &[&str]) -> Vec<String> {
    let mut control = client.control();
    for build in builds {
        let request = api::UpdateBuildHistoryRequest {
            r#ref: (*build).to_owned(),
            delete: true,
            ..api::UpdateBuildHistoryRequest::default()
        };
        control.update_build_history(request).await.unwrap();
    }
    let request = api::PruneRequest {
        all: true,
        ..api::PruneRequest::default()
    };
    let gone = control.prune(request).await.unwrap().into_inner();
    gone.map(|gone| gone.unwrap().record_type).collect().await
}

/// Names of images.
fn names(daemon: &Daemon) -> Vec<String> {
    let images = daemon.ask("GET /images/json", b"").json();
    let tags = images.as_array().unwrap().iter();
    let tags = tags.flat_map(|image| image["RepoTags"].as_array().unwrap());
    let mut tags: Vec<String> = tags.map(Value::to_string).collect();
    tags.sort();
    tags
}

#[test]
fn a_prune_of_all_leaves_nothing_that_is_the_caches() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = || Offers::build(&[("Dockerfile", TEXT)]);
        build(&client, "one", offers(), &Wanted::default())
            .await
            .ok();
        let found = usage(&client).await;
        assert!(
            found
                .iter()
                .any(|record| record.record_type == "exec.cachemount")
        );
        assert!(found.iter().all(|record| !record.in_use), "{found:?}");
        let gone = prune(&client, &["one"]).await;
        assert!(gone.iter().any(|kind| kind == "regular"), "{gone:?}");
        assert_eq!(usage(&client).await, []);
        assert_eq!(names(&daemon), Vec::<String>::new());
    });
    daemon.kiln.assert_clean();
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn images_that_somebody_named_are_not_the_caches() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = || Offers::build(&[("Dockerfile", TEXT)]);
        // The base comes by a build, and is named by a pull.
        build(&client, "one", offers(), &image("made")).await.ok();
        daemon.kiln.ok(["pull", "alpine"]);
        let named = ["\"alpine:latest\"", "\"made:latest\""];
        assert_eq!(names(&daemon), named);
        prune(&client, &["one"]).await;
        assert_eq!(usage(&client).await, []);
        assert_eq!(names(&daemon), named);
        let base = Offers::build(&[("Dockerfile", "FROM made\nRUN cat /made\n")]);
        let built = build(&client, "two", base, &Wanted::default()).await;
        built.ok();
        assert_eq!(built.logs(), "made\n");
        prune(&client, &["two"]).await;
        assert_eq!(usage(&client).await, []);
        assert_eq!(names(&daemon), named);
    });
    daemon.kiln.assert_clean();
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_base_that_a_container_uses_stays() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(&[("Dockerfile", TEXT)]);
        build(&client, "one", offers, &Wanted::default()).await.ok();
        daemon
            .kiln
            .ok(["create", "--name", "user", "alpine", "true"]);
        prune(&client, &["one"]).await;
        assert_eq!(usage(&client).await, []);
        assert_eq!(names(&daemon), ["\"alpine:latest\""]);
        daemon.kiln.ok(["rm", "user"]);
        prune(&client, &[]).await;
        assert_eq!(names(&daemon), Vec::<String>::new());
    });
    assert_eq!(daemon.stop().code, 0);
}
