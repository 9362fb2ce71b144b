//! Requests: what is asked of what, and with which credentials.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::DockerError;

/// What of a name stands in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Credentials that a request goes with, for the registry that it is about.
#[derive(Default)]
pub enum RegistryLogin {
    /// None.
    #[default]
    Anonymous,
    /// A user.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token that stands for a user.
    IdentityToken(Zeroizing<String>),
    /// A token that the registry itself takes.
    RegistryToken(Zeroizing<String>),
}

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request on its way.
pub(super) struct Asked {
    method: Method,
    path: String,
    parameters: Vec<(String, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
}

impl Asked {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            parameters: Vec::new(),
            headers: Vec::new(),
            body: body(Bytes::new()),
        }
    }

    /// About the image called `name`, of which `what` is asked.
    ///
    /// # Errors
    /// No image can be called so.
    pub(super) fn image(method: Method, name: &str, what: &str) -> Result<Self, DockerError> {
        Self::about(method, "images", name, what)
    }

    /// About the container called `name`, of which `what` is asked. Documents have a slash before
    /// its name.
    ///
    /// # Errors
    /// No container can be called so.
    pub(super) fn container(method: Method, name: &str, what: &str) -> Result<Self, DockerError> {
        let bare = name.strip_prefix('/').unwrap_or(name);
        match bare.contains('/') {
            true => Err(DockerError::Name(name.to_owned())),
            false => Self::about(method, "containers", bare, what),
        }
    }

    /// A name goes into the path, where `..` and nothing would lead elsewhere.
    fn about(method: Method, kind: &str, name: &str, what: &str) -> Result<Self, DockerError> {
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(DockerError::Name(name.to_owned()));
        }
        let name = utf8_percent_encode(name, PATH);
        let slash = if what.is_empty() { "" } else { "/" };
        Ok(Self::new(method, format!("/{kind}/{name}{slash}{what}")))
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a parameter that is left out when there is nothing to say.
    pub(super) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn when(self, name: &str, is_on: bool) -> Self {
        self.maybe(name, is_on.then_some("1"))
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn json(mut self, document: &impl Serialize) -> Self {
        // Texts, numbers and maps with text keys are always written.
        self.body = body(serde_json::to_vec(document).unwrap_or_default());
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// With credentials. Docker expects a document also where there are none.
    pub(super) fn login(self, login: &RegistryLogin) -> Self {
        let document = match login {
            RegistryLogin::Anonymous => json!({}),
            RegistryLogin::Basic { username, password } => {
                json!({"username": username, "password": password.as_str()})
            }
            RegistryLogin::IdentityToken(token) => json!({"identitytoken": token.as_str()}),
            RegistryLogin::RegistryToken(token) => json!({"registrytoken": token.as_str()}),
        };
        let text = Zeroizing::new(document.to_string());
        let text = Zeroizing::new(URL_SAFE.encode(text.as_bytes()));
        match HeaderValue::from_str(&text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.header(HeaderName::from_static("x-registry-auth"), value)
            }
            // There is nothing else in base64.
            Err(_) => self,
        }
    }

    pub(super) fn request(self) -> Result<Request<Body>, hyper::http::Error> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(&self.parameters).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}{mark}{query}", self.path))
            .header(HOST, "docker");
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body)
    }
}

impl std::fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistryLogin(…)")
    }
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(asked: Result<Asked, DockerError>) -> Option<String> {
        asked.ok().map(|asked| asked.path)
    }

    #[test]
    fn names_stay_where_they_are() {
        let container = |name| path(Asked::container(Method::GET, name, "json"));
        let image = |name| path(Asked::image(Method::DELETE, name, ""));
        assert_eq!(container("one").unwrap(), "/containers/one/json");
        assert_eq!(container("/one").unwrap(), "/containers/one/json");
        assert_eq!(
            container("a?b#%2e").unwrap(),
            "/containers/a%3Fb%23%252e/json"
        );
        assert_eq!(
            image("example.com:5000/a/b@sha256:c").unwrap(),
            "/images/example.com:5000/a/b@sha256:c"
        );
        for name in ["", "/", ".", "..", "../images/x", "a/b", "//a", "a/"] {
            assert_eq!(container(name), None, "{name}");
        }
        for name in ["", "/a", "a/", "a//b", "../containers/x", "a/../b", "a/."] {
            assert_eq!(image(name), None, "{name}");
        }
    }
}
