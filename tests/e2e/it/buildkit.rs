//! BuildKit's API of `kiln serve`, by a client that is written against the protocol. Times of files
//! follow from their contents here, so that what is the same looks the same.

mod buildx;
mod by_name;
mod client;
mod containers;
mod definitions;
mod gateway;
mod history;
mod inputs;
mod insecure;
mod layouts;
mod merges;
mod offers;
mod platforms;
mod policies;
mod sboms;
mod stdio;
mod stores;
mod tokens;
mod traces;
mod usage;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1 as api;
use serde_json::json;
use testkit::Scratch;

use crate::repository::{GitServer, Repository};
use crate::serving::Daemon;
use client::{Built, Client, Wanted, details};
use offers::Offers;

const MULTI_STAGE: &str = "FROM alpine AS one\nCOPY a /a\nRUN cat /a | tee /x\n\
                           FROM alpine\nCOPY --from=one /x /y\nLABEL who=kiln\n";

/// Runs one test, which must end by itself.
fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let limit = Duration::from_secs(120);
    runtime.block_on(async { tokio::time::timeout(limit, work).await.unwrap() })
}

/// One build in a session of its own.
async fn build(client: &Client, id: &str, offers: Offers, wanted: &Wanted) -> Built {
    let _session = client.session(id, "shared", offers).await;
    client.build(id, wanted).await
}

fn image(name: &str) -> Wanted {
    Wanted {
        exporters: vec![("image", vec![("name", name.to_owned())])],
        ..Wanted::default()
    }
}

#[test]
fn what_it_says_of_itself() {
    let daemon = Daemon::new();
    run(async {
        let mut control = Client::connect(&daemon.socket).await.control();
        let info = control
            .info(api::InfoRequest {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(info.buildkit_version.unwrap().package, "kiln");
        let workers = control.list_workers(api::ListWorkersRequest::default());
        let workers = workers.await.unwrap().into_inner().record;
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].platforms[0].os, "linux");
    });
    // The same socket still answers Docker's clients.
    assert_eq!(daemon.ask("GET /_ping", b"").text(), "OK");
}

#[test]
fn builds_stages_and_sends_only_what_changed() {
    let daemon = Daemon::new();
    let files = [
        ("Dockerfile", MULTI_STAGE),
        ("a", "first\n"),
        ("d/b", "other\n"),
    ];
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(&files);
        let asked = Arc::clone(&offers.asked);
        let built = build(&client, "one", offers, &image("made")).await;
        assert!(built.ok()["containerimage.digest"].starts_with("sha256:"));
        assert_eq!(built.ok()["image.name"], "docker.io/library/made:latest");
        assert_eq!(built.logs(), "first\n");
        let steps = built.steps();
        for name in [
            "[internal] load build definition from Dockerfile",
            "[internal] load .dockerignore",
            "[internal] load build context",
            "[one 2/3] COPY a /a",
            "[stage-1 2/2] COPY --from=one /x /y",
            "exporting to image",
        ] {
            assert_eq!(steps.get(name), Some(&false), "{name} in {steps:?}");
        }
        // Nothing reads the others.
        assert_eq!(*asked.lock().unwrap(), ["a"]);
        let sent = files[1].1.len();
        assert_eq!(built.transferred(), i64::try_from(sent).unwrap());

        let changed = [
            ("Dockerfile", MULTI_STAGE),
            ("a", "first\n"),
            ("d/b", "changed\n"),
        ];
        let offers = Offers::build(&changed);
        let asked = Arc::clone(&offers.asked);
        let again = build(&client, "two", offers, &image("made")).await;
        assert_eq!(*asked.lock().unwrap(), Vec::<String>::new());
        assert!(again.steps()["[one 3/3] RUN cat /a | tee /x"]);
        assert_eq!(
            again.ok()["containerimage.digest"],
            built.ok()["containerimage.digest"]
        );

        let whole = [
            ("Dockerfile", "FROM scratch\nCOPY . /\n"),
            changed[1],
            changed[2],
        ];
        let offers = Offers::build(&whole);
        let asked = Arc::clone(&offers.asked);
        build(&client, "three", offers, &image("whole")).await.ok();
        assert_eq!(*asked.lock().unwrap(), ["Dockerfile", "d/b"]);
    });
    let image = daemon.ask("GET /images/made/json", b"").json();
    assert_eq!(image["Config"]["Labels"], json!({"who": "kiln"}));
    assert_eq!(daemon.stop().code, 0);
}

/// What buildx asks for by itself when it is told that it may.
#[test]
fn an_image_has_its_provenance_and_an_archive_only_when_it_must() {
    let daemon = Daemon::new();
    let usual = "mode=min,inline-only=true";
    let wanted = |exporter: &'static str, provenance: &'static str| Wanted {
        options: vec![("attest:provenance", provenance), ("build-arg:A", "b")],
        exporters: vec![(exporter, vec![("name", "made".to_owned())])],
        ..Wanted::default()
    };
    let descriptor = |built: &Built| {
        let bytes = STANDARD.decode(&built.ok()["containerimage.descriptor"]);
        serde_json::from_slice::<serde_json::Value>(&bytes.unwrap()).unwrap()
    };
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = || {
            let files = [("Dockerfile", "FROM alpine\nARG A\n")];
            Offers::build(&files).take_archive().0
        };
        let built = build(&client, "one", offers(), &wanted("image", usual)).await;
        let kind = &descriptor(&built)["mediaType"];
        assert_eq!(kind, "application/vnd.oci.image.index.v1+json");
        assert!(!built.ok().contains_key("containerimage.config.digest"));
        let plain = build(&client, "two", offers(), &wanted("oci", usual)).await;
        let kind = &descriptor(&plain)["mediaType"];
        assert_eq!(kind, "application/vnd.oci.image.manifest.v1+json");
        let asked = build(&client, "three", offers(), &wanted("oci", "mode=max")).await;
        let kind = &descriptor(&asked)["mediaType"];
        assert_eq!(kind, "application/vnd.oci.image.index.v1+json");
    });
    let image = daemon.ask("GET /images/made/json", b"").json();
    assert_eq!(image["Os"], "linux");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_a_build_does_not_read_need_not_be_offered() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        for (id, text, failure) in [
            ("none", "FROM alpine\nRUN hostname\n", None),
            ("read", "FROM alpine\nCOPY a /\n", Some("no directory")),
        ] {
            let offers = Offers::default().directory("dockerfile", &[("Dockerfile", text)]);
            let wanted = Wanted {
                options: vec![("hostname", "named")],
                ..Wanted::default()
            };
            let built = build(&client, id, offers, &wanted).await;
            match failure {
                None => {
                    built.ok();
                    assert_eq!(built.logs(), "named\n");
                }
                Some(failure) => {
                    let message = built.error().message();
                    assert!(message.contains(failure), "{message}");
                }
            }
        }
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_directory_of_a_repository_is_the_context() {
    let daemon = Daemon::new();
    let scratch = Scratch::new();
    let repository = Repository::new(scratch.join("r"));
    repository.commit(&[
        (
            "Dockerfile",
            "FROM alpine\nCOPY . /x\nRUN cat /x/a && ls /x\n",
        ),
        ("sub/dir/a", "A\n"),
        ("other", ""),
    ]);
    let server = GitServer::new(scratch.path());
    let context = format!("{}/r#main", server.url);
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let wanted = Wanted {
            options: vec![("context", context.leak()), ("contextsubdir", "sub/dir")],
            ..Wanted::default()
        };
        let built = build(&client, "one", Offers::default(), &wanted).await;
        built.ok();
        assert_eq!(built.logs().split_once("A\n").unwrap().1, "a\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn failures_say_where_and_how() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let text = "FROM alpine\n\nRUN exit 3\n";
        let offers = Offers::build(&[("Dockerfile", text)]);
        let failed = build(&client, "one", offers, &image("x")).await;
        let status = failed.error();
        assert_eq!(
            status.message(),
            "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3"
        );
        let details = details(status);
        let source = &details["github.com/moby/buildkit/errdefs.Source+json"];
        assert_eq!(source["info"]["filename"], "Dockerfile");
        assert_eq!(source["ranges"][0]["start"]["line"], 3);
        let exit = &details["github.com/moby/buildkit/gatewayapi.ExitMessage+json"];
        assert_eq!(exit["Code"], 3);
        let vertex = &details["github.com/moby/buildkit/errdefs.Vertex+json"];
        let told = failed.vertex("[2/2] RUN exit 3");
        assert_eq!(vertex["digest"], told.as_str());

        // What the front end refuses is its own.
        let wanted = Wanted {
            options: vec![("frontend.caps", "moby.x+forward")],
            ..Wanted::default()
        };
        let failed = build(
            &client,
            "cap",
            Offers::build(&[("Dockerfile", text)]),
            &wanted,
        )
        .await;
        let message = "unsupported frontend capability moby.x";
        assert_eq!(failed.error().message(), message);
        let details = client::details(failed.error());
        let name = |kind: &str| &details[&format!("github.com/moby/buildkit/{kind}")]["name"];
        assert_eq!(name("errdefs.FrontendCap+json"), "moby.x");
        assert_eq!(name("errdefs.Frontend+json"), "dockerfile.v0");

        for (number, (text, wanted, message)) in [
            (
                "FROM alpine\nBAD\n",
                Wanted::default(),
                "dockerfile parse error on line 2: unknown instruction: BAD (did you mean ADD?)",
            ),
            (
                "FROM alpine\n",
                Wanted {
                    options: vec![("cgroup-parent", "x")],
                    ..Wanted::default()
                },
                "cgroup-parent of dockerfile.v0 is not provided by kiln: build without it",
            ),
            (
                "FROM alpine\n",
                Wanted {
                    exporters: vec![("image", vec![("annotations.x", "y".to_owned())])],
                    ..Wanted::default()
                },
                "annotations.x of the exporter \"image\" is not provided by kiln: build without it",
            ),
            (
                "FROM alpine\n",
                Wanted {
                    entitlements: vec!["device".to_owned()],
                    ..Wanted::default()
                },
                "the entitlement \"device\" is not provided by kiln",
            ),
            (
                "FROM alpine\n",
                Wanted {
                    options: vec![("filename", "Other")],
                    ..Wanted::default()
                },
                "failed to read dockerfile: open Other: no such file or directory",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let offers = Offers::build(&[("Dockerfile", text)]);
            let failed = build(&client, &format!("more{number}"), offers, &wanted).await;
            assert_eq!(failed.error().message(), message);
        }
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn exports_to_the_client() {
    let daemon = Daemon::new();
    let text = "FROM scratch\nCOPY a /d/a\nCOPY b /b\n";
    let files = [("Dockerfile", text), ("a", "one"), ("b", "two")];
    let only = |kind| Wanted {
        exporters: vec![(kind, Vec::new())],
        ..Wanted::default()
    };
    run(async {
        let client = Client::connect(&daemon.socket).await;
        for (kind, member) in [
            ("tar", "d/a"),
            ("oci", "oci-layout"),
            ("docker", "manifest.json"),
        ] {
            let (offers, archive) = Offers::build(&files).take_archive();
            let digest = Arc::clone(&offers.digest);
            let built = build(&client, kind, offers.clone(), &only(kind)).await;
            let made = built.ok().get("containerimage.digest").cloned();
            assert_eq!(*digest.lock().unwrap(), made.unwrap_or_default());
            let has_it = format!("{kind} there");
            let built = build(&client, &has_it, offers.has_archive(), &only(kind)).await;
            built.ok();
            let archive = archive.lock().unwrap();
            let names = String::from_utf8_lossy(&archive);
            assert!(names.contains(member), "{kind} without {member}");
            assert!(archive.ends_with(&[0; 1024]), "{kind} is not whole");
        }
        let (offers, received) = Offers::build(&files).take_files();
        let built = build(&client, "local", offers, &only("local")).await;
        built.ok();
        let received = std::mem::take(&mut *received.lock().unwrap());
        let contents: Vec<(&str, &[u8])> = received
            .iter()
            .map(|(path, (_, content))| (path.as_str(), content.as_slice()))
            .collect();
        assert_eq!(contents, [("b", &b"two"[..]), ("d", b""), ("d/a", b"one")]);
        // A client that takes nothing is told so.
        let built = build(&client, "none", Offers::build(&files), &only("tar")).await;
        assert!(built.error().message().contains("FileSend"), "{built:?}");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn checks_in_place_of_a_build() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let files = [("Dockerfile", "FROM alpine as one\nRUN exit 1\n")];
        let wanted = Wanted {
            options: vec![
                ("requestid", "frontend.lint"),
                (
                    "frontend.caps",
                    "moby.buildkit.frontend.subrequests+forward",
                ),
            ],
            ..Wanted::default()
        };
        let built = build(&client, "one", Offers::build(&files), &wanted).await;
        built.ok();
        let found = &built.metadata["result.json"];
        let found: serde_json::Value = serde_json::from_slice(found).unwrap();
        // kiln's own rules are for its own check.
        assert_eq!(found["warnings"].as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found["warnings"][0]["ruleName"], "FromAsCasing");
        let range = &found["warnings"][0]["location"]["ranges"][0];
        assert_eq!(range["start"]["line"], 1);
        assert_eq!(built.metadata["result.statuscode"], b"1");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn builds_warn_even_if_they_fail_and_of_their_first_platform() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let both = ("platform", "linux/amd64,linux/arm64");
        let ignored = [
            ("Dockerfile", "FROM scratch\nCOPY a /\n"),
            (".dockerignore", "a"),
        ];
        let not_there = "failed to compute cache key: failed to calculate checksum of ref context: \
                         \"/a\": not found";
        for (id, files, error, rules) in [
            (
                "one",
                &[("Dockerfile", "FROM scratch AS Bad\nMAINTAINER me\nBADCMD\n")][..],
                "dockerfile parse error on line 3: unknown instruction: BADCMD",
                &["StageNameCasing", "MaintainerDeprecated"][..],
            ),
            (
                "two",
                &[("Dockerfile", "# check=error=true\nFROM scratch as a\n")],
                "lint violation found for rules: FromAsCasing",
                &["FromAsCasing"],
            ),
            ("three", &ignored, not_there, &["CopyIgnoredFile"]),
            // The image is for this machine alone.
            ("four", &[("Dockerfile", "FROM alpine\nENV A=1\n")], "", &[]),
        ] {
            let wanted = Wanted {
                options: vec![both],
                ..Wanted::default()
            };
            let built = build(&client, id, Offers::build(files), &wanted).await;
            match error {
                "" => drop(built.ok()),
                error => assert_eq!(built.error().message(), error),
            }
            let warnings = built.told.iter().flat_map(|told| &told.warnings);
            let told: Vec<String> = warnings
                .map(|warning| String::from_utf8_lossy(&warning.short).into_owned())
                .collect();
            let named: Vec<&str> = told
                .iter()
                .filter_map(|one| one.split(':').next())
                .collect();
            assert_eq!(named, rules, "{told:?}");
        }
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn asks_about_a_dockerfile_in_place_of_a_build() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let text = "ARG V=1\nFROM alpine AS base\n# MODE is how it is made\nARG MODE=fast\n\
                    RUN --mount=type=secret,id=s,required echo $MODE $V\n\
                    FROM base\nRUN --mount=type=ssh echo\n";
        let files = [("Dockerfile", text)];
        let ask = async |id: &'static str, name: &'static str| {
            let wanted = Wanted {
                options: vec![("requestid", name), ("target", "base")],
                ..Wanted::default()
            };
            build(&client, id, Offers::build(&files), &wanted).await
        };
        let json = |built: &Built| -> serde_json::Value {
            built.ok();
            assert_eq!(built.metadata["version"], b"1.0.0");
            serde_json::from_slice(&built.metadata["result.json"]).unwrap()
        };
        let text = |built: &Built| String::from_utf8(built.metadata["result.txt"].clone()).unwrap();

        let outline = ask("one", "frontend.outline").await;
        let told = json(&outline);
        assert_eq!(told["name"], "base");
        assert_eq!(told["args"][0]["name"], "MODE");
        assert_eq!(told["args"][0]["description"], "is how it is made");
        assert_eq!(told["args"][0]["location"]["ranges"][0]["start"]["line"], 4);
        assert_eq!(told["secrets"][0]["name"], "s");
        assert_eq!(told["secrets"][0]["required"], true);
        assert!(
            text(&outline).starts_with("TARGET: base\n"),
            "{}",
            text(&outline)
        );

        let targets = ask("two", "frontend.targets").await;
        let told = json(&targets);
        assert_eq!(told["targets"][0]["name"], "base");
        assert_eq!(told["targets"][1]["default"], true);
        assert_eq!(
            text(&targets),
            "TARGET    DESCRIPTION\nbase      \n(default) \n"
        );

        let described = ask("three", "frontend.subrequests.describe").await;
        let names = json(&described);
        let names = names
            .as_array()
            .unwrap()
            .iter()
            .map(|request| request["name"].clone());
        let names: Vec<_> = names.collect();
        for name in ["outline", "targets", "lint", "subrequests.describe"] {
            assert!(
                names.contains(&json!(format!("frontend.{name}"))),
                "{names:?}"
            );
        }

        let odd = ask("four", "frontend.odd").await;
        assert_eq!(odd.error().message(), "unsupported request frontend.odd");
        let detail = &details(odd.error())["github.com/moby/buildkit/errdefs.Subrequest+json"];
        assert_eq!(detail["name"], "frontend.odd");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn asks_for_secrets() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let text = "FROM alpine\nRUN --mount=type=secret,id=s,required wc -c </run/secrets/s\n";
        let offers = Offers::build(&[("Dockerfile", text)]);
        let built = build(
            &client,
            "one",
            offers.clone().secret("s", "hush"),
            &image("x"),
        )
        .await;
        built.ok();
        assert_eq!(built.logs(), "4\n");
        let other = offers.secret("t", "");
        let text = ("no-cache", "");
        let wanted = Wanted {
            options: vec![text],
            ..Wanted::default()
        };
        let failed = build(&client, "two", other, &wanted).await;
        assert!(failed.error().message().contains("secret s"), "{failed:?}");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_client_that_goes_away_ends_its_build() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let text = "FROM alpine\nRUN echo begun && sleep 600\n";
        let session = client
            .session("one", "", Offers::build(&[("Dockerfile", text)]))
            .await;
        let wanted = image("x");
        let building = client.build("one", &wanted);
        let leaving = async {
            let mut status = client.again().await.control();
            let request = api::StatusRequest {
                r#ref: "one".to_owned(),
            };
            let mut told = status.status(request).await.unwrap().into_inner();
            while let Some(told) = told.message().await.unwrap() {
                if told.logs.iter().any(|log| log.msg.starts_with(b"begun")) {
                    break;
                }
            }
            drop(session);
        };
        let (built, ()) = tokio::join!(building, leaving);
        assert_eq!(built.error().message(), "the client is gone");
    });
    // Which waits for all that runs, and finds nothing that is left.
    assert_eq!(daemon.stop().code, 0);
}
