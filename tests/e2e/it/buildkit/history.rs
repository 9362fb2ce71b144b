//! Past builds, as BuildKit's clients ask for them.

use std::collections::HashMap;

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1 as api;
use futures_util::StreamExt as _;
use prost::Message;
use serde_json::{Value, json};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::client::{Client, Wanted};
use super::offers::Offers;
use super::stores::{Filters, Found, Info, Listed, Named, Piece};
use super::{build, image, run};
use crate::serving::Daemon;

const COMPLETE: i32 = api::BuildHistoryEventType::Complete as i32;

async fn listed(client: &Client, request: api::BuildHistoryRequest) -> Vec<api::BuildHistoryEvent> {
    let request = api::BuildHistoryRequest {
        early_exit: true,
        ..request
    };
    let answer = client.control().listen_build_history(request).await;
    let answer = answer.unwrap();
    assert!(answer.metadata().contains_key("buildkit-current-timestamp"));
    let events = answer.into_inner();
    events.map(Result::unwrap).collect().await
}

fn refs(events: &[api::BuildHistoryEvent]) -> Vec<&str> {
    let records = events.iter().map(|event| event.record.as_ref().unwrap());
    records.map(|record| record.r#ref.as_str()).collect()
}

async fn update(client: &Client, id: &str, change: [bool; 2]) -> Result<(), Status> {
    let request = api::UpdateBuildHistoryRequest {
        r#ref: id.to_owned(),
        pinned: change[0],
        delete: change[1],
        finalize: false,
    };
    client.control().update_build_history(request).await?;
    Ok(())
}

async fn told(client: &Client, id: &str) -> Vec<api::StatusResponse> {
    let request = api::StatusRequest {
        r#ref: id.to_owned(),
    };
    let answer = client.control().status(request).await.unwrap();
    answer.into_inner().map(Result::unwrap).collect().await
}

/// The bytes from `offset` of what has this digest, and how many there are in whole.
async fn content(client: &Client, digest: &str, offset: i64) -> Result<(Vec<u8>, i64), Status> {
    let named = Named {
        digest: digest.to_owned(),
        offset,
        size: 0,
    };
    let service = "/containerd.services.content.v1.Content";
    let path = |name: &str| PathAndQuery::try_from(format!("{service}/{name}")).unwrap();
    let mut grpc = Grpc::new(client.channel());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<Named, Info>::default();
    let info = Named {
        offset: 0,
        ..named.clone()
    };
    let info = grpc.unary(Request::new(info), path("Info"), codec).await?;
    let codec = ProstCodec::<Named, Piece>::default();
    grpc.ready().await.unwrap();
    let pieces = grpc.server_streaming(Request::new(named), path("Read"), codec);
    let mut pieces = pieces.await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await? {
        assert_eq!(piece.offset, offset + i64::try_from(bytes.len()).unwrap());
        bytes.extend(piece.data);
    }
    Ok((bytes, info.into_inner().info.unwrap().size))
}

/// All that there is to read, of which one of `filters` holds.
async fn everything(client: &Client, filters: &[&str]) -> Result<Vec<Found>, Status> {
    let filters = filters.iter().map(|text| (*text).to_owned()).collect();
    let path = PathAndQuery::from_static("/containerd.services.content.v1.Content/List");
    let mut grpc = Grpc::new(client.channel());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<Filters, Listed>::default();
    let pieces = grpc.server_streaming(Request::new(Filters { filters }), path, codec);
    let mut pieces = pieces.await?.into_inner();
    let mut all = Vec::new();
    while let Some(piece) = pieces.message().await? {
        all.extend(piece.info);
    }
    Ok(all)
}

/// What is listed can be read, and is what the image is made of and what is kept of the build.
#[test]
fn what_can_be_read_is_listed() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        assert!(everything(&client, &[]).await.unwrap().is_empty());
        let files = [("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")];
        let made = build(&client, "one", Offers::build(&files), &image("made")).await;
        let manifest = &made.ok()["containerimage.digest"];
        let config = &made.ok()["containerimage.config.digest"];
        let all = everything(&client, &[]).await.unwrap();
        for found in &all {
            let (bytes, size) = content(&client, &found.digest, 0).await.unwrap();
            assert_eq!((bytes.len() as u64, size), (size as u64, found.size));
        }
        for digest in [manifest, config] {
            assert!(all.iter().any(|found| found.digest == *digest), "{digest}");
        }
        let one = [
            format!("digest=={manifest}"),
            format!("digest=={config},labels.a"),
        ];
        let one = everything(&client, &one.each_ref().map(String::as_str))
            .await
            .unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].digest, *manifest);
        let odd = everything(&client, &["size==3"]).await;
        assert_eq!(odd.unwrap_err().code(), Code::InvalidArgument);
    });
    assert_eq!(daemon.stop().code, 0);
}

/// What was typed is there too.
#[test]
fn past_builds_are_listed_told_again_pinned_and_forgotten() {
    let daemon = Daemon::new();
    let typed = crate::kiln::Project::new(&[("Dockerfile", "FROM scratch\nCOPY . /\n")]);
    let output = format!("type=oci,dest={}/a", daemon.kiln.scratch("o").display());
    let path = typed.path().to_str().unwrap();
    daemon.kiln.run(["build", "-o", &output, path]).ok();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let files = [("Dockerfile", "FROM alpine\nARG A\nRUN echo told\n")];
        let wanted = Wanted {
            frontend: "dockerfile.v0",
            options: vec![("build-arg:A", "b"), ("build-arg:TOKEN", "hush")],
            ..image("made")
        };
        let _session = client.session("good", "", Offers::build(&files)).await;
        let made = client.during("good", &wanted, None, async {}).await.0;
        let files = [("Dockerfile", "FROM alpine\nRUN echo bad; exit 3\n")];
        build(&client, "bad", Offers::build(&files), &image("x"))
            .await
            .error();

        let all = listed(&client, api::BuildHistoryRequest::default()).await;
        let [bad, good, typed] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(refs(&all)[..2], ["bad", "good"]);
        assert!(all.iter().all(|event| event.r#type == COMPLETE));
        let record = typed.record.clone().unwrap();
        assert_eq!(record.frontend_attrs["filename"], "Dockerfile");
        assert_eq!(record.exporters[0].r#type, "oci");

        let record = good.record.clone().unwrap();
        assert_eq!(record.frontend, "dockerfile.v0");
        let attrs = [("build-arg:A", "b"), ("build-arg:TOKEN", "****")];
        let attrs = attrs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(record.frontend_attrs, HashMap::from(attrs));
        assert!(record.completed_at.is_some() && record.error.is_none());
        assert_eq!(record.num_completed_steps, record.num_total_steps);
        let result = &record.result.unwrap().results[&0];
        assert_eq!(result.digest, made.ok()["containerimage.digest"]);
        let (manifest, size) = content(&client, &result.digest, 0).await.unwrap();
        assert_eq!((manifest.len() as u64, size), (size as u64, result.size));
        let parsed: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(parsed["mediaType"], json!(result.media_type));
        let (rest, _) = content(&client, &result.digest, 10).await.unwrap();
        assert_eq!(rest, manifest[10..]);
        let beyond = content(&client, &result.digest, size + 1).await;
        assert_eq!(beyond.unwrap_err().code(), Code::OutOfRange);

        let record = bad.record.clone().unwrap();
        let error = record.error.unwrap();
        assert!(error.message.contains("exit code: 3"), "{error:?}");
        let whole = record.external_error.unwrap();
        let (whole, _) = content(&client, &whole.digest, 0).await.unwrap();
        let whole = rpc::Status::decode(whole.as_slice()).unwrap();
        assert_eq!(whole.message, error.message);
        let source = whole
            .details
            .iter()
            .find(|any| any.type_url.ends_with("errdefs.Source+json"));
        assert!(source.is_some(), "{whole:?}");

        // Eight more push it out of memory, and it is told from the log.
        for number in 0..8 {
            let id = format!("more{number}");
            let files = [("Dockerfile", "FROM scratch\nLABEL a=b\n")];
            build(&client, &id, Offers::build(&files), &image("y"))
                .await
                .ok();
        }
        let log = told(&client, "good").await;
        let logs = log.iter().flat_map(|told| &told.logs);
        let logs: Vec<u8> = logs.flat_map(|log| log.msg.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&logs), "told\n");

        let only = |filter: &str, limit| api::BuildHistoryRequest {
            filter: vec![filter.to_owned()],
            limit,
            ..api::BuildHistoryRequest::default()
        };
        let failed = listed(&client, only("status==error", 0)).await;
        assert_eq!(refs(&failed), ["bad"]);
        let latest = listed(&client, only("status==completed", 2)).await;
        assert_eq!(refs(&latest), ["more7", "more6"]);

        update(&client, "good", [true, false]).await.unwrap();
        let one = api::BuildHistoryRequest {
            r#ref: "good".to_owned(),
            ..api::BuildHistoryRequest::default()
        };
        let pinned = listed(&client, one.clone()).await;
        assert!(pinned[0].record.as_ref().unwrap().pinned);
        update(&client, "good", [false, true]).await.unwrap();
        assert!(listed(&client, one).await.is_empty());
        let again = update(&client, "good", [false, true]).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn who_listens_hears_of_builds_as_they_come_and_go() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let request = api::BuildHistoryRequest::default();
        let heard = client.control().listen_build_history(request).await;
        let mut heard = heard.unwrap().into_inner();
        let files = [("Dockerfile", "FROM scratch\nLABEL a=b\n")];
        build(&client, "one", Offers::build(&files), &image("x"))
            .await
            .ok();
        let event = heard.message().await.unwrap().unwrap();
        assert_eq!(event.r#type, COMPLETE);
        assert_eq!(refs(&[event]), ["one"]);
        update(&client, "one", [false, true]).await.unwrap();
        let event = heard.message().await.unwrap().unwrap();
        assert_eq!(event.r#type, api::BuildHistoryEventType::Deleted as i32);
        assert_eq!(refs(&[event]), ["one"]);
    });
    assert_eq!(daemon.stop().code, 0);
}
