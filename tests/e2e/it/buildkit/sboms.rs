//! SBOMs that clients ask for, of what a Dockerfile makes and of what they define themselves.

use std::path::Path;

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use serde_json::{Value, json};
use testkit::Scratch;

use super::client::{Client, Received, Wanted, of};
use super::definitions::{Steps, solve};
use super::offers::Offers;
use super::{build, run};
use crate::kiln::{Kiln, tool};
use crate::sboms::scanner;
use crate::serving::Daemon;

/// A daemon on a store with the scanner in it.
fn daemon() -> Daemon {
    let kiln = Kiln::new();
    kiln.build(&scanner(), &["-t", "scanner:1"]);
    Daemon::of_kiln(kiln)
}

fn wanted() -> Wanted {
    Wanted {
        options: vec![("attest:sbom", "generator=scanner:1,MORE=more")],
        exporters: vec![("tar", vec![("attestation-prefix", "my-".to_owned())])],
        ..Wanted::default()
    }
}

/// Which files were found, as the statement in the archive has them.
fn found(archive: &Received<Vec<u8>>, scratch: &Path) -> Value {
    let tar = scratch.join("tar");
    std::fs::write(&tar, &*archive.lock().unwrap()).unwrap();
    let text = tool("tar", &["xOf", tar.to_str().unwrap(), "my-sbom.spdx.json"]);
    let statement: Value = serde_json::from_str(&text).unwrap();
    statement["predicate"]["files"].clone()
}

#[test]
fn of_a_dockerfile_of_a_definition_and_of_a_front_end_of_the_client() {
    let (daemon, scratch) = (daemon(), Scratch::new());
    let files = json!([{"fileName": "a"}]);
    let steps = || {
        let mut steps = Steps::default();
        let made = steps.files(&[("/a", "a")]);
        steps.end(&made)
    };
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let dockerfile = [("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")];
        for frontend in ["", "dockerfile.v0"] {
            let (offers, archive) = Offers::build(&dockerfile).take_archive();
            let wanted = Wanted {
                frontend,
                ..wanted()
            };
            let built = build(&client, &format!("by {frontend}"), offers, &wanted).await;
            built.ok();
            let told = built.steps();
            let is_scan = |name: &&String| name.contains("] generating sbom using docker.io/");
            assert_eq!(told.keys().filter(is_scan).count(), 1, "{told:?}");
            assert_eq!(found(&archive, scratch.path()), files, "{frontend}");
        }

        let (offers, archive) = Offers::default().take_archive();
        let _session = client.session("defined", "shared", offers).await;
        client.define("defined", &wanted(), steps()).await.ok();
        assert_eq!(found(&archive, scratch.path()), files);

        let (offers, archive) = Offers::default().take_archive();
        let _session = client.session("returned", "shared", offers).await;
        let work = async {
            let mut bridge = client.bridge();
            let solved = bridge.solve(of("returned", solve(steps()))).await;
            let returned = gateway::ReturnRequest {
                result: solved.unwrap().into_inner().result,
                error: None,
            };
            bridge.r#return(of("returned", returned)).await.unwrap();
        };
        let (built, ()) = client.during("returned", &wanted(), None, work).await;
        built.ok();
        assert_eq!(found(&archive, scratch.path()), files);
    });
    assert_eq!(daemon.stop().code, 0);
}
