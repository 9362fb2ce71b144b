//! Source policies: rules that clients send, and clients that want to be asked.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::sourcepolicy as rules;
use bollard_buildkit_proto::pb;
use rules::{MatchType, PolicyAction};
use serde_json::json;
use testkit::Scratch;

use super::client::{Built, Client, Wanted, details, of};
use super::definitions::Steps;
use super::offers::Offers;
use super::verifier::{Said, Verifier};
use super::{image, run};
use crate::kiln::variable;
use crate::repository::{GitServer, Repository};
use crate::server::serve;
use crate::serving::Daemon;

const ALPINE: &str = "docker-image://docker.io/library/alpine:latest";
const BUSYBOX: &str = "docker-image://docker.io/library/busybox:latest";
const FILES: &[(&str, &str)] = &[
    (
        "Dockerfile",
        "FROM alpine\nCOPY a /a\nRUN cat /etc/os-release 2>/dev/null || echo it is no alpine\n",
    ),
    ("a", "a\n"),
];

/// With both images.
fn daemon() -> Daemon {
    Daemon::with_config(&variable("KILN_TEST_CONFIG").unwrap())
}

fn rule(action: PolicyAction, identifier: &str, to: &str) -> rules::Rule {
    rules::Rule {
        action: action.into(),
        selector: Some(rules::Selector {
            identifier: identifier.to_owned(),
            match_type: MatchType::Wildcard.into(),
            constraints: Vec::new(),
        }),
        updates: (!to.is_empty()).then(|| rules::Update {
            identifier: to.to_owned(),
            attrs: HashMap::new(),
        }),
    }
}

fn with_rules(rules: &[rules::Rule]) -> Wanted {
    let rules = rules.to_vec();
    Wanted {
        policy: Some(rules::Policy { version: 1, rules }),
        ..Wanted::default()
    }
}

/// What a client defines itself: `alpine`, with a file of `context` and a step.
fn steps() -> pb::Definition {
    let mut steps = Steps::default();
    let base = steps.source(ALPINE, &[]);
    let context = steps.source("local://context", &[]);
    let copied = steps.copy(&base, &context, "/a");
    // Not the step of the Dockerfile, which is known.
    let script = "true; cat /etc/os-release 2>/dev/null || echo it is no alpine";
    let done = steps.run(&copied, script, &[]);
    steps.end(&done)
}

/// Builds the same by a Dockerfile and by steps.
async fn build_both(client: &Client, id: &str, offers: &Offers, wanted: &Wanted) -> [Built; 2] {
    let (first, second) = (format!("{id}-1"), format!("{id}-2"));
    let _session = client.session(&first, "", offers.clone()).await;
    let of_dockerfile = client.build(&first, wanted).await;
    let _session = client.session(&second, "", offers.clone()).await;
    [of_dockerfile, client.define(&second, wanted, steps()).await]
}

#[test]
fn rules_of_a_request_are_kept_to() {
    let daemon = daemon();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(FILES);
        let images = "docker-image://*";
        for (id, rules, refused) in [
            ("denied", vec![rule(PolicyAction::Deny, images, "")], ALPINE),
            (
                "directory",
                vec![rule(PolicyAction::Deny, "local://context", "")],
                "local://context",
            ),
        ] {
            for built in build_both(&client, id, &offers, &with_rules(&rules)).await {
                let expected =
                    format!("source {refused:?} denied by policy: source denied by policy");
                let message = built.error().message();
                assert!(message.contains(&expected), "{message}");
            }
        }
        let rules = [
            rule(PolicyAction::Deny, "*alpine*", ""),
            rule(PolicyAction::Convert, ALPINE, BUSYBOX),
        ];
        for built in build_both(&client, "converted", &offers, &with_rules(&rules)).await {
            built.ok();
            assert_eq!(built.logs(), "it is no alpine\n");
        }
        let nonsense = [rule(PolicyAction::Convert, "a", "")];
        let built = build_both(&client, "nonsense", &offers, &with_rules(&nonsense)).await;
        let message = "invalid source policy: rule 1: missing destination for convert rule";
        assert_eq!(built[0].error().message(), message);
        // What was known of another source is not taken for it.
        for built in build_both(&client, "without", &offers, &Wanted::default()).await {
            built.ok();
            assert!(built.logs().contains("Alpine"), "{}", built.logs());
        }
        let rules = [rule(PolicyAction::Deny, "docker-image://*@sha256:*", "")];
        let built = build_both(&client, "digest", &offers, &with_rules(&rules)).await;
        let message = built[0].error().message();
        assert!(message.contains(" denied by policy"), "{message}");
        // Nobody has asked for the digest of an image that steps name.
        built[1].ok();
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_client_is_asked_about_each_source() {
    let daemon = daemon();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let wanted = Wanted {
            asks_client: true,
            ..Wanted::default()
        };
        let asked = |verifier: &Verifier| {
            let asked = std::mem::take(&mut *verifier.asked.lock().unwrap());
            let without_digest = |text: &String| match text.split_once("@sha256:") {
                Some((name, rest)) => format!("{name}@…{}", &rest[64..]),
                None => text.clone(),
            };
            let mut asked: Vec<String> = asked.iter().map(without_digest).collect();
            asked.sort();
            asked
        };
        // One that looks at the image first.
        let verifier = Verifier::new(|identifier, known| match (identifier, &known.image) {
            (ALPINE, None) => Said::Look,
            (ALPINE, Some(image)) if image.config.is_empty() => Said::Deny("without a config"),
            (ALPINE, Some(image)) if !image.digest.starts_with("sha256:") => {
                Said::Deny("without a digest")
            }
            _ => Said::Allow,
        });
        let offers = Offers::build(FILES).verifier(verifier.clone());
        let [of_dockerfile, of_steps] = build_both(&client, "allowed", &offers, &wanted).await;
        of_dockerfile.ok();
        of_steps.ok();
        let image = format!("{ALPINE} linux");
        // The front end of a Dockerfile asks for the image by its digest in the end.
        let pinned = format!("{ALPINE}@… linux");
        let mut expected = vec![image.clone(), image, pinned];
        // The steps name no platform.
        expected.extend(vec![ALPINE.to_owned(); 2]);
        expected.extend(
            ["local://context", "local://context", "local://dockerfile"].map(str::to_owned),
        );
        expected.sort();
        assert_eq!(asked(&verifier), expected);

        let verifier = Verifier::new(|identifier, _| match identifier {
            ALPINE => Said::Deny("take busybox instead"),
            _ => Said::Allow,
        });
        let offers = Offers::build(FILES).verifier(verifier);
        for built in build_both(&client, "denied", &offers, &wanted).await {
            let status = built.error();
            let expected = format!("source {ALPINE:?} not allowed by policy: action DENY");
            assert!(status.message().contains(&expected), "{status:?}");
            let said =
                details(status)["github.com/moby/buildkit/policysession.DecisionResponse+json"]
                    .clone();
            let expected = json!({
                "action": "DENY", "denyMessages": [{ "message": "take busybox instead" }]
            });
            assert_eq!(said, expected);
        }

        let verifier = Verifier::new(|identifier, _| match identifier {
            ALPINE => Said::Convert(BUSYBOX),
            _ => Said::Allow,
        });
        let offers = Offers::build(FILES).verifier(verifier);
        for built in build_both(&client, "converted", &offers, &wanted).await {
            built.ok();
            assert_eq!(built.logs(), "it is no alpine\n");
        }
        for (id, verifier, expected) in [
            (
                "endless",
                Verifier::new(|identifier, _| match identifier {
                    ALPINE => Said::Convert(BUSYBOX),
                    _ => Said::Convert(ALPINE),
                }),
                "too many policy requests",
            ),
            (
                "unknown",
                Verifier::new(|_, _| Said::Unknown),
                "unknown policy action 7",
            ),
        ] {
            let offers = Offers::build(FILES).verifier(verifier);
            for built in build_both(&client, id, &offers, &wanted).await {
                let message = built.error().message();
                assert!(message.contains(expected), "{message}");
            }
        }
        let offers = Offers::build(FILES);
        let [built, _] = build_both(&client, "nobody", &offers, &wanted).await;
        let message = "the session \"nobody-1\" has no source policy";
        assert_eq!(built.error().message(), message);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn contexts_and_files_that_are_elsewhere_are_asked_about_by_their_names() {
    let scratch = Scratch::new();
    let repository = Repository::new(scratch.join("repo.git"));
    repository.commit(&[("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "a\n")]);
    let server = GitServer::new(scratch.path());
    let url = format!("{}/repo.git", server.url);
    let daemon = daemon();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let verifier = Verifier::new(|_, _| Said::Allow);
        let context: &'static str = format!("{url}#main").leak();
        let mut wanted = Wanted {
            asks_client: true,
            options: vec![("context", context)],
            ..Wanted::default()
        };
        let offers = Offers::default().verifier(verifier.clone());
        let _session = client.session("git", "", offers).await;
        client.build("git", &wanted).await.ok();
        assert_eq!(*verifier.asked.lock().unwrap(), [context]);

        let verifier = Verifier::new(|_, _| Said::Deny("not from there"));
        let offers = Offers::default().verifier(verifier.clone());
        let _session = client.session("denied", "", offers).await;
        let denied = client.build("denied", &wanted).await;
        let expected = format!("source {context:?} not allowed by policy: action DENY");
        let message = denied.error().message();
        assert!(message.contains(&expected), "{message}");

        let dockerfile: &'static str = format!("FROM scratch\nADD {url}#main /a\n").leak();
        let verifier = Verifier::new(|identifier, _| match identifier.starts_with("git://") {
            true => Said::Deny("not from there"),
            false => Said::Allow,
        });
        wanted.options.clear();
        let offers = Offers::build(&[("Dockerfile", dockerfile)]).verifier(verifier);
        let _session = client.session("add", "", offers).await;
        let denied = client.build("add", &wanted).await;
        let message = denied.error().message();
        assert!(message.contains(&expected), "{message}");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_rule_may_say_that_a_registry_is_asked() {
    let daemon = daemon();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let own = "docker-image://docker.io/library/only-here:latest";
        let offers = Offers::build(&[("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "a\n")]);
        let _session = client.session("make", "", offers).await;
        client.build("make", &image("only-here")).await.ok();
        let mut pulls = rule(PolicyAction::Convert, own, own);
        let attrs = &mut pulls.updates.as_mut().unwrap().attrs;
        attrs.insert("image.resolvemode".to_owned(), "pull".to_owned());
        let files = [("Dockerfile", "FROM only-here\nCOPY a /b\n"), ("a", "a\n")];
        for (id, rules, is_found) in [("known", vec![], true), ("asked", vec![pulls], false)] {
            let _session = client.session(id, "", Offers::build(&files)).await;
            let built = client.build(id, &with_rules(&rules)).await;
            assert_eq!(built.response.is_ok(), is_found, "{:?}", built.response);
        }
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn front_ends_are_told_what_is_at_a_url() {
    let scratch = Scratch::new();
    std::fs::write(scratch.join("file"), "content\n").unwrap();
    let url = format!("{}/file", serve(scratch.path()));
    let daemon = daemon();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let _session = client.session("url", "", Offers::build(FILES)).await;
        let work = async {
            let mut bridge = client.bridge();
            let request = gateway::ResolveSourceMetaRequest {
                source: Some(pb::SourceOp {
                    identifier: url.clone(),
                    ..pb::SourceOp::default()
                }),
                ..gateway::ResolveSourceMetaRequest::default()
            };
            let asked = bridge.resolve_source_meta(of("url", request.clone()));
            let http = asked.await.unwrap().into_inner().http.unwrap();
            let digest = oci::Digest::of(b"content\n").to_string();
            assert_eq!((http.checksum, http.filename.as_str()), (digest, "file"));
            let request = gateway::ResolveSourceMetaRequest {
                http: Some(gateway::ResolveSourceHttpRequest {
                    checksum_request: Some(gateway::ChecksumRequest::default()),
                }),
                ..request
            };
            let refused = bridge.resolve_source_meta(of("url", request)).await;
            assert_eq!(
                refused.unwrap_err().message(),
                "a checksum of a file with something behind it is not provided by kiln"
            );
            let end = gateway::ReturnRequest::default();
            bridge.r#return(of("url", end)).await.unwrap();
        };
        let (built, ()) = client.during("url", &Wanted::default(), None, work).await;
        built.ok();
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_client_may_look_at_a_commit_first() {
    let scratch = Scratch::new();
    let repository = Repository::new(scratch.join("repo.git"));
    let files = [("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "a\n")];
    let commit = repository.commit(&files);
    repository.git(&["tag", "-a", "-m", "first", "v1"]);
    let tag = repository.git(&["rev-parse", "v1"]).trim().to_owned();
    let server = GitServer::new(scratch.path());
    let daemon = daemon();
    for (fragment, reference) in [
        ("", "refs/heads/main"),
        ("#main", "refs/heads/main"),
        ("#v1", "refs/tags/v1"),
    ] {
        let is_tag = fragment == "#v1";
        let url: &'static str = format!("{}/repo.git{fragment}", server.url).leak();
        let (commit, tag) = (commit.clone(), tag.clone());
        let verifier = Verifier::new(move |_, known| {
            let Some(git) = &known.git else {
                return Said::Look;
            };
            let found = (
                git.r#ref.as_str(),
                git.checksum.as_str(),
                git.commit_checksum.as_str(),
                git.commit_object.starts_with(b"tree "),
                git.tag_object.starts_with(b"object "),
            );
            let expected = match is_tag {
                true => (reference, tag.as_str(), commit.as_str(), true, true),
                false => (reference, commit.as_str(), "", true, false),
            };
            match found == expected {
                true => Said::Allow,
                false => Said::Deny(format!("{found:?}").leak()),
            }
        });
        run(async {
            let client = Client::connect(&daemon.socket).await;
            let wanted = Wanted {
                asks_client: true,
                options: vec![("context", url)],
                ..Wanted::default()
            };
            let offers = Offers::default().verifier(verifier.clone());
            let id = format!("look{fragment}").replace('#', "-");
            let _session = client.session(&id, "", offers).await;
            let built = client.build(&id, &wanted).await;
            if let Err(status) = &built.response {
                panic!("{status:?} {:?}", details(status));
            }
        });
        assert_eq!(*verifier.asked.lock().unwrap(), [url, url]);
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn front_ends_are_told_what_an_image_is_replaced_by() {
    let daemon = daemon();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let wanted = with_rules(&[rule(PolicyAction::Convert, ALPINE, BUSYBOX)]);
        let _session = client.session("meta", "", Offers::build(FILES)).await;
        let work = async {
            let mut bridge = client.bridge();
            let meta = gateway::ResolveSourceMetaRequest {
                source: Some(pb::SourceOp {
                    identifier: ALPINE.to_owned(),
                    ..pb::SourceOp::default()
                }),
                ..gateway::ResolveSourceMetaRequest::default()
            };
            let meta = bridge.resolve_source_meta(of("meta", meta)).await.unwrap();
            assert_eq!(meta.into_inner().source.unwrap().identifier, BUSYBOX);
            let config = gateway::ResolveImageConfigRequest {
                r#ref: "docker.io/library/alpine:latest".to_owned(),
                ..gateway::ResolveImageConfigRequest::default()
            };
            let config = bridge
                .resolve_image_config(of("meta", config))
                .await
                .unwrap();
            assert_eq!(
                config.into_inner().r#ref,
                "docker.io/library/busybox:latest"
            );
            let end = gateway::ReturnRequest::default();
            bridge.r#return(of("meta", end)).await.unwrap();
        };
        client.during("meta", &wanted, None, work).await.0.ok();
    });
    assert_eq!(daemon.stop().code, 0);
}
