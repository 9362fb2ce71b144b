//! Content stores of a client: caches and images in its directories, and what is exported there.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::pb;
use serde_json::Value;

use super::client::{Client, Wanted, of};
use super::definitions::Steps;
use super::offers::Offers;
use super::stores::{Blobs, read};
use super::{build, run};
use crate::kiln::Project;
use crate::serving::Daemon;

const DOCKERFILE: &str = "FROM alpine\nRUN echo made >/made\n";

fn parsed(blobs: &Blobs, digest: &str) -> Value {
    serde_json::from_slice(&blobs.lock().unwrap()[digest]).unwrap()
}

/// All that a manifest names is there.
fn check(blobs: &Blobs, digest: &str) -> Value {
    let manifest = parsed(blobs, digest);
    let blobs = blobs.lock().unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    for blob in layers.chain([&manifest["config"]]) {
        assert!(
            blobs.contains_key(blob["digest"].as_str().unwrap()),
            "{blob}"
        );
    }
    drop(blobs);
    manifest
}

/// An image that was built into a store of the client's, and its digest.
async fn exported(client: &Client) -> (Blobs, String) {
    let (offers, blobs) = Offers::build(&[("Dockerfile", DOCKERFILE)]).store("export");
    let wanted = Wanted {
        exporters: vec![("oci", vec![("tar", "false".to_owned())])],
        ..Wanted::default()
    };
    let built = build(client, "one", offers, &wanted).await;
    let digest = built.ok()["containerimage.digest"].clone();
    (blobs, digest)
}

#[test]
fn a_cache_goes_to_a_directory_of_the_client_and_comes_from_there() {
    let files = [("Dockerfile", DOCKERFILE)];
    let (offers, blobs) = Offers::build(&files).store("local:/c");
    let daemon = Daemon::new();
    let manifest = run(async {
        let client = Client::connect(&daemon.socket).await;
        let wanted = Wanted {
            cache_to: vec![(
                "local",
                vec![("dest", "/c"), ("mode", "max"), ("tag", "odd")],
            )],
            ..Wanted::default()
        };
        let built = build(&client, "one", offers.clone(), &wanted).await;
        let manifest = &built.ok()["cache.manifest"];
        let manifest: Value = serde_json::from_str(manifest).unwrap();
        manifest["digest"].as_str().unwrap().to_owned()
    });
    check(&blobs, &manifest);
    assert_eq!(daemon.stop().code, 0);
    // A machine that knows nothing.
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let imports = format!(
            "[{{\"Type\":\"local\",\"Attrs\":{{\"src\":\"/c\",\"digest\":\"{manifest}\"}}}}]"
        );
        let wanted = Wanted {
            options: vec![("cache-imports", imports.leak())],
            ..super::image("again")
        };
        let built = build(&client, "one", offers, &wanted).await;
        built.ok();
        let steps = built.steps();
        assert_eq!(
            steps.get("[2/2] RUN echo made >/made"),
            Some(&true),
            "{steps:?}"
        );
        // A client that offers no store is told so.
        let built = build(&client, "two", Offers::build(&files), &wanted).await;
        let message = "the client does not offer the content store \"local:/c\"";
        assert_eq!(built.error().message(), message);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_layout_goes_to_the_client_and_is_a_context() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let (blobs, digest) = exported(&client).await;
        check(&blobs, &digest);

        let text = "FROM other\nRUN cat /made\n";
        let offers = Offers::build(&[("Dockerfile", text)]).with_store("oci:mine", blobs);
        let context = format!("oci-layout://mine@{digest}");
        let wanted = Wanted {
            options: vec![("context:other", context.leak())],
            ..super::image("based")
        };
        let built = build(&client, "two", offers, &wanted).await;
        built.ok();
        assert_eq!(built.logs(), "made\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

/// As the front ends of other languages name them.
#[test]
fn a_layout_is_a_source_of_a_definition() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let (blobs, digest) = exported(&client).await;
        let identifier = format!("oci-layout://mine@{digest}");
        let define = |store: &str, session: &str| {
            let attrs = [("oci.store", store), ("oci.session", session)];
            let mut steps = Steps::default();
            let base = steps.source(&identifier, &attrs);
            let done = steps.run(&base, "cat /made", &[]);
            steps.end(&done)
        };
        let offers = Offers::build(&[]).with_store("oci:mine", Arc::clone(&blobs));
        let _session = client.session("two", "shared", offers).await;
        let built = client
            .define("two", &Wanted::default(), define("mine", "two"))
            .await;
        built.ok();
        assert_eq!(built.logs(), "made\n");
        for (id, store, session, said) in [
            ("four", "", "four", "without oci.store"),
            ("five", "mine", "two", "a store of session \"two\""),
        ] {
            let offers = Offers::build(&[]).with_store("oci:mine", Arc::clone(&blobs));
            let _session = client.session(id, "shared", offers).await;
            let refused = client
                .define(id, &Wanted::default(), define(store, session))
                .await;
            let message = refused.error().message().to_owned();
            assert!(message.contains(said), "{message}");
        }
        let _session = client.session("six", "shared", Offers::build(&[])).await;
        let definition = define("mine", "six");
        let wanted = Wanted::default();
        let refused = client.define("six", &wanted, definition);
        let message = "the client does not offer the content store \"oci:mine\"";
        assert_eq!(refused.await.error().message(), message);

        // Front ends ask for its config first.
        let offers = Offers::build(&[]).with_store("oci:mine", blobs);
        let read = offers.read();
        let _session = client.session("seven", "shared", offers).await;
        let work = async {
            let mut bridge = client.bridge();
            let ask = gateway::ResolveImageConfigRequest {
                r#ref: format!("mine@{digest}"),
                resolver_type: 1,
                store_id: "mine".to_owned(),
                ..gateway::ResolveImageConfigRequest::default()
            };
            let found = bridge.resolve_image_config(of("seven", ask)).await.unwrap();
            let found = found.into_inner();
            assert_eq!(found.digest, digest);
            let config: Value = serde_json::from_slice(&found.config).unwrap();
            assert_eq!(config["os"], "linux");
            let source = |session: &str| pb::SourceOp {
                identifier: identifier.clone(),
                attrs: [("oci.store", "mine"), ("oci.session", session)]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            };
            let ask = |session| gateway::ResolveSourceMetaRequest {
                source: Some(source(session)),
                ..gateway::ResolveSourceMetaRequest::default()
            };
            let again = bridge.resolve_source_meta(of("seven", ask("seven"))).await;
            assert_eq!(again.unwrap().into_inner().image.unwrap().digest, digest);
            let refused = bridge.resolve_source_meta(of("seven", ask("two"))).await;
            let message = refused.unwrap_err().message().to_owned();
            assert!(message.contains("a store of session \"two\""), "{message}");
            // The daemon's store has its blobs, so that there is nothing else to read, and no copy
            // stays beside them.
            assert_eq!(*read.lock().unwrap(), std::slice::from_ref(&digest));
            let contexts = std::fs::read_dir(daemon.kiln.root().join("contexts")).unwrap();
            let names: Vec<_> = contexts.map(|entry| entry.unwrap().file_name()).collect();
            assert!(
                names
                    .iter()
                    .all(|name| !name.to_string_lossy().starts_with("tmp-")),
                "{names:?}"
            );
            let nothing = gateway::ReturnRequest {
                result: Some(gateway::Result::default()),
                error: None,
            };
            bridge.r#return(of("seven", nothing)).await.unwrap();
        };
        let (built, ()) = client.during("seven", &Wanted::default(), None, work).await;
        built.ok();
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_layout_that_lies_brings_nothing_in() {
    let daemon = Daemon::new();
    let project = Project::new(&[("Dockerfile", "FROM scratch\nLABEL a=b\n")]);
    let layout = project.join("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    let path = project.path().to_str().unwrap();
    daemon.kiln.run(["build", "-o", &output, path]).ok();
    let blobs = read(&layout);
    let digest = {
        let mut blobs = blobs.lock().unwrap();
        let index = std::fs::read(layout.join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        blobs.get_mut(&digest).unwrap().push(b'\n');
        digest
    };
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(&[("Dockerfile", "FROM other\n")]);
        let offers = offers.with_store("oci:mine", blobs);
        let context = format!("oci-layout://mine@{digest}");
        let wanted = Wanted {
            options: vec![("context:other", context.leak())],
            ..Wanted::default()
        };
        let built = build(&client, "one", offers, &wanted).await;
        assert_eq!(built.error().message(), format!("{digest} has other bytes"));
    });
    assert_eq!(daemon.stop().code, 0);
}
