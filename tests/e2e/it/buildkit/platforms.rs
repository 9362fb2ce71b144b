//! Builds for several platforms: what a client is given, returns, and gets.

use serde_json::{Value, json};

use super::client::{Client, Wanted};
use super::offers::Offers;
use super::{build, run};
use crate::serving::Daemon;

const DOCKERFILE: &str = "FROM --platform=$BUILDPLATFORM alpine AS build\n\
     RUN echo shared >/shared\n\
     FROM scratch\n\
     ARG TARGETARCH\n\
     COPY --from=build /shared /\n\
     COPY $TARGETARCH /arch\n";
const FILES: &[(&str, &str)] = &[
    ("Dockerfile", DOCKERFILE),
    ("amd64", "is amd64"),
    ("arm64", "is arm64"),
];

fn wanted(frontend: &'static str, kind: &'static str) -> Wanted {
    let name = match kind {
        "image" => vec![("name", "both".to_owned())],
        _ => Vec::new(),
    };
    Wanted {
        frontend,
        options: vec![("platform", "linux/amd64,linux/arm64")],
        exporters: vec![(kind, name)],
        ..Wanted::default()
    }
}

#[test]
fn a_client_returns_a_result_for_each() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let built = build(&client, "one", Offers::build(FILES), &wanted("", "image")).await;
        let response = built.ok();
        assert_eq!(response.get("containerimage.config.digest"), None);
        let said = |name: &str| -> Value { serde_json::from_slice(&built.metadata[name]).unwrap() };
        let platforms = ["amd64", "arm64"].map(|arch| {
            let id = format!("linux/{arch}");
            let config = said(&format!("containerimage.config/{id}"));
            assert_eq!(config["architecture"], arch);
            json!({"ID": id, "Platform": {"architecture": arch, "os": "linux"}})
        });
        assert_eq!(said("refs.platforms"), json!({"Platforms": platforms}));
        let steps = built.steps();
        let shared = steps.keys().filter(|name| name.contains("RUN echo shared"));
        assert_eq!(shared.count(), 1, "{steps:?}");
        // A front end that the daemon runs comes to the same.
        let by_daemon = wanted("dockerfile.v0", "image");
        let again = build(&client, "two", Offers::build(FILES), &by_daemon).await;
        let digest = |response: &std::collections::HashMap<String, String>| {
            response["containerimage.digest"].clone()
        };
        assert_eq!(digest(again.ok()), digest(response));
    });
    let here = oci::Platform::host().architecture;
    let image = daemon.ask("GET /images/both/json", b"").json();
    assert_eq!(image["Architecture"], here);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn files_come_in_a_directory_for_each() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let (offers, received) = Offers::build(FILES).take_files();
        let built = build(&client, "one", offers, &wanted("", "local")).await;
        built.ok();
        let received = std::mem::take(&mut *received.lock().unwrap());
        let content = |path: &str| String::from_utf8(received[path].1.clone()).unwrap();
        for arch in ["amd64", "arm64"] {
            assert_eq!(content(&format!("linux_{arch}/arch")), format!("is {arch}"));
            assert_eq!(content(&format!("linux_{arch}/shared")), "shared\n");
        }
        let refused = [
            ("platform", "linux/amd64,linux/arm64"),
            ("multi-platform", "false"),
        ];
        let wanted = Wanted {
            options: refused.to_vec(),
            ..wanted("", "image")
        };
        let built = build(&client, "two", Offers::build(FILES), &wanted).await;
        let message = "conflicting config: returning multiple target platforms is not allowed";
        assert_eq!(built.error().message(), message);
        // One alone has an index when that is wanted.
        let alone = [("platform", "linux/arm64"), ("multi-platform", "true")];
        let wanted = Wanted {
            options: alone.to_vec(),
            ..wanted
        };
        let built = build(&client, "three", Offers::build(FILES), &wanted).await;
        assert_eq!(built.ok().get("containerimage.config.digest"), None);
        assert!(
            built
                .metadata
                .contains_key("containerimage.config/linux/arm64")
        );
    });
    assert_eq!(daemon.stop().code, 0);
}
