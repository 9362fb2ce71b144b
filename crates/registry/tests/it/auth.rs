//! Challenges, tokens, their expiry, and whom credentials are shown to.

use std::sync::Arc;

use registry::{Anonymous, Client, Credential, Credentials, GivenToken, Secret, WantedToken};
use testkit::FakeRegistry;
use testkit::registry::{Effect, Fault, Login, Rules};

use crate::case::{
    Fixed, basic, config, describe, image, log_of, name_hosts, pull, reference, registry_with,
};

struct Case {
    title: &'static str,
    rules: fn(&mut Rules),
    faults: Vec<Fault>,
    credentials: Arc<dyn Credentials>,
    outcome: &'static str,
    log: &'static str,
}

/// Resolves the image, then pulls its config.
async fn check(case: Case) {
    let registry = registry_with(&case.faults);
    registry.rules(case.rules);
    let client = Client::new(config(), case.credentials).unwrap();
    let outcome = match fetch(&client, &registry).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => describe(&error),
    };
    let names = [(&registry, "HOST")];
    assert_eq!(name_hosts(&outcome, &names), case.outcome, "{}", case.title);
    let log: Vec<_> = log_of(&registry)
        .lines()
        .skip(1)
        .map(|line| {
            line.replace("app/manifests/1", "M")
                .replace(
                    &format!("app/blobs/{}", &image().blobs[0].0.digest.to_string()[..14]),
                    "B",
                )
                .replace("GET /token", "T")
                .replace("POST /token", "PT")
                .replace("GET ", "")
        })
        .collect();
    assert_eq!(log.join(", "), case.log, "{}", case.title);
}

async fn fetch(client: &Client, registry: &FakeRegistry) -> Result<(), registry::Error> {
    let reference = reference(registry, "app:1");
    client.resolve(&reference).await?;
    let config = pull(client, &reference, &image().blobs[0].0, 0).await?;
    assert_eq!(config, image().blobs[0].1);
    Ok(())
}

fn anonymous() -> Arc<dyn Credentials> {
    Arc::new(Anonymous)
}

fn fixed(credential: Credential) -> Arc<dyn Credentials> {
    Arc::new(Fixed(credential))
}

#[tokio::test]
async fn logins() {
    for case in [
        Case {
            title: "basic",
            rules: |rules| rules.login = Login::Basic("me", "p:w"),
            faults: vec![],
            credentials: basic("me", "p:w"),
            outcome: "ok",
            log: "M 401, M 200, B 200",
        },
        Case {
            title: "basic, wrong",
            rules: |rules| rules.login = Login::Basic("me", "p"),
            faults: vec![],
            credentials: basic("me", "x"),
            outcome: "HOST/app:1: not authorized: authentication required (UNAUTHORIZED) [CheckCredentials]",
            log: "M 401, M 401",
        },
        Case {
            title: "basic, without",
            rules: |rules| rules.login = Login::Basic("me", "p"),
            faults: vec![],
            credentials: anonymous(),
            outcome: "HOST/app:1: not authorized: authentication required (UNAUTHORIZED) [LogIn]",
            log: "M 401",
        },
        Case {
            title: "one token for all that needs the same",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![],
            credentials: basic("me", "p"),
            outcome: "ok",
            log: "M 401, T 200, M 200, B 200",
        },
        Case {
            title: "a token for nobody",
            rules: |rules| rules.login = Login::PublicBearer("me", "p"),
            faults: vec![],
            credentials: anonymous(),
            outcome: "ok",
            log: "M 401, T 200, M 200, B 200",
        },
        Case {
            title: "no token for nobody",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![],
            credentials: anonymous(),
            outcome: "HOST/app:1: not authorized: incorrect username or password (UNAUTHORIZED) [LogIn]",
            log: "M 401, T 401",
        },
        Case {
            title: "an identity token",
            rules: |rules| rules.login = Login::Identity("refresh me"),
            faults: vec![],
            credentials: fixed(Credential::IdentityToken(Secret::new("refresh me"))),
            outcome: "ok",
            log: "M 401, PT 200, M 200, B 200",
        },
        Case {
            title: "a registry token that is worth nothing",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![],
            credentials: fixed(Credential::RegistryToken(Secret::new("old"))),
            outcome: "HOST/app:1: not authorized: authentication required (UNAUTHORIZED) [CheckCredentials]",
            log: "M 401, M 401",
        },
    ] {
        check(case).await;
    }
}

#[tokio::test]
async fn tokens_end() {
    for case in [
        Case {
            title: "refused by the registry",
            rules: |rules| {
                rules.login = Login::Bearer("me", "p");
                rules.token_uses = 1;
            },
            faults: vec![],
            credentials: basic("me", "p"),
            outcome: "ok",
            log: "M 401, T 200, M 200, B 401, T 200, B 200",
        },
        Case {
            title: "about to expire",
            rules: |rules| {
                rules.login = Login::Bearer("me", "p");
                rules.token_life = Some(0);
            },
            faults: vec![],
            credentials: basic("me", "p"),
            outcome: "ok",
            log: "M 401, T 200, M 200, T 200, B 200",
        },
        Case {
            title: "worth nothing from the start",
            rules: |rules| {
                rules.login = Login::Bearer("me", "p");
                rules.token_uses = 0;
            },
            faults: vec![],
            credentials: basic("me", "p"),
            outcome: "HOST/app:1: not authorized: authentication required (UNAUTHORIZED) [CheckCredentials]",
            log: "M 401, T 200, M 401",
        },
        Case {
            title: "the service fails once",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![Fault::once("", "/token", Effect::status(503))],
            credentials: basic("me", "p"),
            outcome: "ok",
            log: "M 401, T 503, T 200, M 200, B 200",
        },
        Case {
            title: "the service refuses",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![Fault::once("", "/token", Effect::status(400))],
            credentials: basic("me", "p"),
            outcome: "HOST/app:1: cannot get a token from HOST: status 400 [CheckCredentials]",
            log: "M 401, T 400",
        },
        Case {
            title: "the service answers nonsense",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![Fault::once("", "/token", Effect::html())],
            credentials: basic("me", "p"),
            outcome: "HOST/app:1: cannot get a token from HOST: the answer is not a token [CheckCredentials]",
            log: "M 401, T 200",
        },
        Case {
            title: "the service sends us elsewhere",
            rules: |rules| rules.login = Login::Bearer("me", "p"),
            faults: vec![Fault::once(
                "",
                "/token",
                Effect::redirect("http://elsewhere.invalid/"),
            )],
            credentials: basic("me", "p"),
            outcome: "HOST/app:1: cannot get a token from HOST: status 307 [CheckCredentials]",
            log: "M 401, T 307",
        },
        Case {
            title: "the service is no host",
            rules: |rules| {
                rules.login = Login::Bearer("me", "p");
                rules.realm = Some("ftp://x/".to_owned());
            },
            faults: vec![],
            credentials: basic("me", "p"),
            outcome: "HOST/app:1: cannot get a token from ftp://x/: the realm is neither HTTP nor HTTPS [CheckCredentials]",
            log: "M 401",
        },
    ] {
        check(case).await;
    }
}

#[tokio::test]
async fn log_in() {
    let right = || basic("me", "p");
    type LogIn = (
        fn(&mut Rules),
        Arc<dyn Credentials>,
        &'static str,
        &'static str,
    );
    let cases: [LogIn; 6] = [
        (|_| {}, anonymous(), "ok", "200, 200"),
        (
            |rules| rules.login = Login::Basic("me", "p"),
            right(),
            "ok",
            "401, 401, 200",
        ),
        (
            |rules| rules.login = Login::Basic("me", "p"),
            basic("me", "x"),
            "HOST: not authorized: authentication required (UNAUTHORIZED) [CheckCredentials]",
            "401, 401, 401",
        ),
        (
            |rules| rules.login = Login::Bearer("me", "p"),
            right(),
            "ok",
            "401, 401, T 200, 200",
        ),
        (
            |rules| rules.login = Login::Bearer("me", "p"),
            basic("me", "x"),
            "HOST: not authorized: incorrect username or password (UNAUTHORIZED) [CheckCredentials]",
            "401, 401, T 401",
        ),
        (
            |rules| rules.login = Login::Basic("me", "p"),
            anonymous(),
            "HOST: not authorized: authentication required (UNAUTHORIZED) [LogIn]",
            "401, 401",
        ),
    ];
    for (rules, credentials, outcome, log) in cases {
        let registry = registry_with(&[]);
        registry.rules(rules);
        let client = Client::new(config(), credentials).unwrap();
        let found = match client.log_in(&registry.host()).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => name_hosts(&describe(&error), &[(&registry, "HOST")]),
        };
        assert_eq!(found, outcome);
        let seen = log_of(&registry)
            .replace("GET /token", "T")
            .replace("GET  ", "");
        assert_eq!(seen.replace('\n', ", "), log, "{outcome}");
    }
}

#[tokio::test]
async fn many_wait_for_one_token() {
    let registry = registry_with(&[]);
    registry.rules(|rules| rules.login = Login::Bearer("me", "p"));
    let client = Client::new(config(), basic("me", "p")).unwrap();
    let reference = reference(&registry, "app:1");
    let all = (0..20).map(|_| client.resolve(&reference));
    for resolved in futures_util::future::join_all(all).await {
        resolved.unwrap();
    }
    let tokens = registry
        .log()
        .iter()
        .filter(|line| line.contains("/token"))
        .count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn each_repository_and_each_user_has_its_own_token() {
    let registry = registry_with(&[]);
    registry.put_image("other", "1", &image());
    registry.rules(|rules| rules.login = Login::PublicBearer("me", "p"));
    let client = Client::new(config(), basic("me", "p")).unwrap();
    for name in ["app:1", "other:1", "app:1"] {
        client.resolve(&reference(&registry, name)).await.unwrap();
    }
    let stranger = client.with_credentials(Arc::new(Anonymous));
    stranger
        .resolve(&reference(&registry, "app:1"))
        .await
        .unwrap();
    let tokens: Vec<_> = registry
        .noted()
        .iter()
        .filter(|request| request.target.starts_with("/token"))
        .map(|request| {
            format!(
                "{} {}",
                request.target.replace("%3A", ":"),
                request.header("authorization").is_some()
            )
        })
        .collect();
    assert_eq!(
        tokens,
        [
            "/token?service=fake&scope=repository:app:pull&account=me true",
            "/token?service=fake&scope=repository:other:pull&account=me true",
            "/token?service=fake&scope=repository:app:pull false",
        ]
    );
}

/// Why there are no credentials for `domain`.
fn kept<'a>(
    domain: &str,
    why: &str,
) -> registry::BoxFuture<'a, Result<Credential, registry::CredentialsError>> {
    let error = registry::CredentialsError {
        domain: domain.to_owned(),
        source: why.into(),
    };
    Box::pin(std::future::ready(Err(error)))
}

#[tokio::test]
async fn credentials_that_cannot_be_had() {
    #[derive(Debug)]
    struct Failing;
    impl Credentials for Failing {
        fn lookup<'a>(
            &'a self,
            domain: &'a str,
        ) -> registry::BoxFuture<'a, Result<Credential, registry::CredentialsError>> {
            kept(domain, "the keyring is locked")
        }
    }
    check(Case {
        title: "locked",
        rules: |rules| rules.login = Login::Basic("me", "p"),
        faults: vec![],
        credentials: Arc::new(Failing),
        outcome: "HOST/app:1: no credentials <- cannot get credentials for HOST <- the keyring is locked [CheckCredentials]",
        log: "M 401",
    })
    .await;
    check(Case {
        title: "not needed",
        rules: |_| {},
        faults: vec![],
        credentials: Arc::new(Failing),
        outcome: "ok",
        log: "M 200, B 200",
    })
    .await;
}

/// Gives tokens that it gets from elsewhere, and never its credentials.
#[derive(Debug)]
struct Giving {
    token: Option<&'static str>,
    asked: std::sync::Mutex<Vec<WantedToken>>,
}

impl Credentials for Giving {
    fn lookup<'a>(
        &'a self,
        domain: &'a str,
    ) -> registry::BoxFuture<'a, Result<Credential, registry::CredentialsError>> {
        kept(domain, "they are kept")
    }

    fn token<'a>(
        &'a self,
        domain: &'a str,
        wanted: WantedToken,
    ) -> registry::BoxFuture<'a, Result<Option<GivenToken>, registry::CredentialsError>> {
        self.asked.lock().unwrap().push(wanted);
        let given = self.token.map(|text| GivenToken {
            token: Secret::new(text),
            life: None,
        });
        let refused = || registry::CredentialsError {
            domain: domain.to_owned(),
            source: "the service does not know you".into(),
        };
        Box::pin(std::future::ready(given.map(Some).ok_or_else(refused)))
    }
}

fn giving(token: Option<&'static str>) -> Arc<Giving> {
    Arc::new(Giving {
        token,
        asked: std::sync::Mutex::default(),
    })
}

#[tokio::test]
async fn tokens_that_others_get() {
    let giver = giving(Some("given"));
    check(Case {
        title: "taken",
        rules: |rules| rules.login = Login::Given("given"),
        faults: vec![],
        credentials: Arc::clone(&giver) as Arc<dyn Credentials>,
        outcome: "ok",
        log: "M 401, M 200, B 200",
    })
    .await;
    let asked = giver.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    let wanted = &asked[0];
    assert!(wanted.realm.ends_with("/token"), "{wanted:?}");
    assert_eq!(wanted.service.as_deref(), Some("fake"));
    assert_eq!(wanted.scopes, ["repository:app:pull"]);
    check(Case {
        title: "worth nothing",
        rules: |rules| rules.login = Login::Given("given"),
        faults: vec![],
        credentials: giving(Some("other")),
        outcome: "HOST/app:1: not authorized: authentication required (UNAUTHORIZED) [CheckCredentials]",
        log: "M 401, M 401",
    })
    .await;
    check(Case {
        title: "not to be had",
        rules: |rules| rules.login = Login::Given("given"),
        faults: vec![],
        credentials: giving(None),
        outcome: "HOST/app:1: no credentials <- cannot get credentials for HOST <- the service does not know you [CheckCredentials]",
        log: "M 401",
    })
    .await;
}
