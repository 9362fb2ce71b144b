//! Who may use the registry, and its token service at `/token`.

use super::http::{Request, Response, pairs};
use super::state::{State, Token};

/// What the registry asks of its clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    #[default]
    Open,
    /// Name and password with each request.
    Basic(&'static str, &'static str),
    /// A token of its own service, for which name and password are needed.
    Bearer(&'static str, &'static str),
    /// The same; anybody gets a token to pull.
    PublicBearer(&'static str, &'static str),
    /// A token of its own service, for which this identity token is needed.
    Identity(&'static str),
    /// This token, which its own service gives nobody.
    Given(&'static str),
}

impl State {
    /// The answer to a request that may not be made as it is.
    pub(super) fn refuse(&mut self, request: &Request) -> Option<Response> {
        let authorization = request.header("authorization").unwrap_or_default();
        match self.rules.login {
            Login::Open => None,
            Login::Basic(name, password) => {
                let is_right = authorization == basic(name, password);
                (!is_right).then(|| self.challenge("Basic realm=\"fake\"".to_owned()))
            }
            _ => {
                let scope = needed(request);
                let token = authorization.strip_prefix("Bearer ");
                let is_right = match self.rules.login {
                    Login::Given(right) => token == Some(right),
                    _ => token.is_some_and(|token| self.use_token(token, &scope)),
                };
                let realm = self
                    .rules
                    .realm
                    .clone()
                    .unwrap_or_else(|| format!("http://{}/token", self.address));
                (!is_right).then(|| {
                    self.challenge(format!(
                        "Bearer realm=\"{realm}\",service=\"fake\",scope=\"{scope}\""
                    ))
                })
            }
        }
    }

    /// The token service.
    pub(super) fn token(&mut self, request: &Request, body: &[u8]) -> Response {
        let form = String::from_utf8_lossy(body).into_owned();
        let (_, query) = request.target.split_once('?').unwrap_or_default();
        let all: Vec<_> = pairs(query).chain(pairs(&form)).collect();
        let value = |name: &str| {
            all.iter()
                .find(|(key, _)| key == name)
                .map(|(_, v)| v.as_str())
        };
        let scopes: Vec<String> = all
            .iter()
            .filter(|(key, _)| key == "scope")
            .flat_map(|(_, scope)| scope.split(' ').map(str::to_owned))
            .collect();
        let authorization = request.header("authorization").unwrap_or_default();
        let is_known = match self.rules.login {
            Login::Bearer(name, password) | Login::PublicBearer(name, password) => {
                authorization == basic(name, password)
            }
            Login::Identity(identity) => {
                request.method == "POST"
                    && value("grant_type") == Some("refresh_token")
                    && value("refresh_token") == Some(identity)
                    && value("client_id").is_some()
            }
            _ => false,
        };
        let is_public = matches!(self.rules.login, Login::PublicBearer(..));
        if value("service") != Some("fake") || !is_known && !is_public {
            return Response::error(401, "UNAUTHORIZED", "incorrect username or password");
        }
        let text = format!("token-{}", self.noted.len());
        self.tokens.push(Token {
            text: text.clone(),
            scopes: scopes
                .into_iter()
                .map(|scope| {
                    if is_known {
                        scope
                    } else {
                        scope.replace("pull,push", "pull")
                    }
                })
                .collect(),
            uses: self.rules.token_uses,
        });
        let expiry = self
            .rules
            .token_life
            .map_or_else(String::new, |life| format!(r#","expires_in":{life}"#));
        Response::new(200)
            .with("Content-Type", "application/json")
            .body(format!(r#"{{"token":"{text}"{expiry}}}"#).into_bytes())
    }

    fn challenge(&self, challenge: String) -> Response {
        Response::error(401, "UNAUTHORIZED", "authentication required")
            .with("WWW-Authenticate", challenge)
    }

    fn use_token(&mut self, text: &str, needed: &str) -> bool {
        let Some(token) = self.tokens.iter_mut().find(|token| token.text == text) else {
            return false;
        };
        let is_left = token.uses > 0;
        token.uses = token.uses.saturating_sub(1);
        is_left && needed.split(' ').all(|scope| token.allows(scope))
    }
}

impl Token {
    /// Whether all actions on the repository of `scope` were granted.
    fn allows(&self, scope: &str) -> bool {
        let Some((name, actions)) = scope.rsplit_once(':') else {
            return true;
        };
        let granted = self
            .scopes
            .iter()
            .filter_map(|scope| scope.rsplit_once(':'))
            .filter(|(granted, _)| *granted == name);
        let granted: Vec<_> = granted
            .flat_map(|(_, actions)| actions.split(','))
            .collect();
        actions.split(',').all(|action| granted.contains(&action))
    }
}

/// The scopes that a request needs; none for the API itself.
fn needed(request: &Request) -> String {
    let repository = ["/manifests/", "/blobs/", "/tags/"]
        .iter()
        .find_map(|part| request.path().split_once(part))
        .and_then(|(before, _)| before.strip_prefix("/v2/"));
    let Some(repository) = repository else {
        return String::new();
    };
    let actions = match request.method.as_str() {
        "GET" | "HEAD" => "pull",
        _ => "pull,push",
    };
    let mount = request.query("from");
    let from = mount.map_or_else(String::new, |from| format!(" repository:{from}:pull"));
    format!("repository:{repository}:{actions}{from}")
}

/// `Basic` with base64, which is short enough to be written out.
fn basic(name: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for part in format!("{name}:{password}").as_bytes().chunks(3) {
        let bits = part
            .iter()
            .fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        let bits = bits << (8 * (3 - part.len()));
        for digit in 0..4 {
            text.push(if digit <= part.len() {
                char::from(DIGITS[bits >> (18 - 6 * digit) & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64() {
        assert_eq!(super::basic("me", "p"), "Basic bWU6cA==");
        assert_eq!(super::basic("me", "pa"), "Basic bWU6cGE=");
        assert_eq!(super::basic("me", "pas"), "Basic bWU6cGFz");
    }
}
