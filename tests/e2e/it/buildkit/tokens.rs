//! Tokens of registries, which a client gets by itself and keeps its password.

use std::sync::{Arc, Mutex};

use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use testkit::registry::Login;
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status};

use super::client::{Client, Wanted};
use super::offers::Offers;
use super::{build, run};
use crate::serving::Daemon;
use crate::standin::new_registry;

/// What a client that has tokens was asked for.
#[derive(Clone, Default)]
pub(super) struct Tokens {
    token: &'static str,
    /// The client does not want to get tokens by itself now.
    unwilling: bool,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tokens {
    pub(super) const METHODS: [&'static str; 4] = [
        "/moby.filesync.v1.Auth/Credentials",
        "/moby.filesync.v1.Auth/FetchToken",
        "/moby.filesync.v1.Auth/GetTokenAuthority",
        "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    ];

    pub(super) fn server(self) -> AuthServer<Self> {
        AuthServer::new(self)
    }

    fn note(&self, text: String) {
        self.asked.lock().unwrap().push(text);
    }
}

#[async_trait]
impl Auth for Tokens {
    async fn credentials(
        &self,
        _: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        self.note("credentials".to_owned());
        Ok(Response::new(CredentialsResponse {
            username: "me".to_owned(),
            secret: "password".to_owned(),
        }))
    }

    async fn fetch_token(
        &self,
        request: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        let FetchTokenRequest {
            host,
            realm,
            service,
            scopes,
            ..
        } = request.into_inner();
        let realm = realm.replace(&host, "HOST");
        self.note(format!("token {realm} {service} {}", scopes.join(" ")));
        Ok(Response::new(FetchTokenResponse {
            token: self.token.to_owned(),
            expires_in: 60,
            issued_at: 0,
        }))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        if self.unwilling {
            return Err(Status::unavailable("client side tokens disabled"));
        }
        let public_key = vec![0; 32];
        Ok(Response::new(GetTokenAuthorityResponse { public_key }))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("no token is shared"))
    }
}

#[test]
fn a_client_that_gets_tokens_keeps_its_password() {
    let daemon = Daemon::new();
    let registry = new_registry();
    registry.rules(|rules| rules.login = Login::Given("given"));
    let dockerfile = format!("FROM {}/library/alpine\nRUN true\n", registry.host());
    let offers = || Offers::build(&[("Dockerfile", &dockerfile)]);
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let tokens = Tokens {
            token: "given",
            ..Tokens::default()
        };
        let asked = Arc::clone(&tokens.asked);
        let offered = offers().tokens(tokens);
        build(&client, "one", offered, &Wanted::default())
            .await
            .ok();
        let token = "token http://HOST/token fake repository:library/alpine:pull";
        assert_eq!(*asked.lock().unwrap(), [token]);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_client_may_leave_tokens_to_the_daemon() {
    let daemon = Daemon::new();
    let registry = new_registry();
    registry.rules(|rules| rules.login = Login::Bearer("me", "password"));
    let dockerfile = format!("FROM {}/library/alpine\nRUN true\n", registry.host());
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let tokens = Tokens {
            unwilling: true,
            ..Tokens::default()
        };
        let asked = Arc::clone(&tokens.asked);
        let offers = Offers::build(&[("Dockerfile", &dockerfile)]).tokens(tokens);
        build(&client, "one", offers, &Wanted::default()).await.ok();
        assert_eq!(*asked.lock().unwrap(), ["credentials"]);
    });
    assert_eq!(daemon.stop().code, 0);
}
