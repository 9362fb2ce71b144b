//! `WWW-Authenticate` (RFC 9110, section 11.6.1; the registry's token scheme).
//!
//! The header is hostile: what does not parse is left out, and where credentials may be sent
//! is decided here.

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be shown credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from a token service.
    Bearer(TokenService),
}

/// Who hands out tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenService {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
    pub(crate) scope: Option<String>,
}

/// Why a challenge is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedRealm {
    pub(crate) realm: String,
    pub(crate) reason: &'static str,
}

impl Challenge {
    /// The best challenge of an answer that came over `scheme`: Bearer before Basic.
    pub(crate) fn of(headers: &HeaderMap, scheme: &str) -> Result<Option<Self>, RefusedRealm> {
        let mut is_basic = false;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            for (name, parameters) in value.to_str().map(split).unwrap_or_default() {
                if name.eq_ignore_ascii_case("bearer")
                    && let Some(service) = TokenService::of(&parameters, scheme)?
                {
                    return Ok(Some(Self::Bearer(service)));
                }
                is_basic |= name.eq_ignore_ascii_case("basic");
            }
        }
        Ok(is_basic.then_some(Self::Basic))
    }
}

impl TokenService {
    fn of(parameters: &[(String, String)], scheme: &str) -> Result<Option<Self>, RefusedRealm> {
        let value = |name: &str| {
            parameters
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        let Some(realm) = value("realm") else {
            return Ok(None);
        };
        let refuse = |reason| RefusedRealm {
            realm: realm
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            reason,
        };
        let url = Url::parse(&realm).map_err(|_| refuse("the realm is not a URL"))?;
        match url.scheme() {
            "https" => {}
            // A registry that was reached safely must not have credentials sent in the clear.
            "http" if scheme == "http" => {}
            "http" => return Err(refuse("the realm is plain HTTP, the registry is not")),
            _ => return Err(refuse("the realm is neither HTTP nor HTTPS")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("the realm carries credentials"));
        }
        Ok(Some(Self {
            realm: url,
            service: value("service"),
            scope: value("scope"),
        }))
    }
}

type Parameters = Vec<(String, String)>;

/// Splits a header into schemes and their parameters. A word that no `=` follows begins a
/// new scheme.
fn split(header: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match (
            after.trim_start_matches([' ', '\t']).strip_prefix('='),
            challenges.last_mut(),
        ) {
            (Some(after), Some((_, parameters))) => {
                let (value, after) = value(after.trim_start_matches([' ', '\t']));
                parameters.push((word.to_owned(), value));
                rest = after;
            }
            // A parameter without a scheme: nothing to do with it.
            (Some(after), None) => rest = value(after).1,
            (None, _) => {
                challenges.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

/// A token or a quoted string at the start of `text`, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[&str], scheme: &str, expected: &str) {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, header.parse().unwrap());
        }
        let found = match Challenge::of(&map, scheme) {
            Err(refused) => format!("refused {}: {}", refused.realm, refused.reason),
            Ok(None) => "none".to_owned(),
            Ok(Some(Challenge::Basic)) => "basic".to_owned(),
            Ok(Some(Challenge::Bearer(TokenService {
                realm,
                service,
                scope,
            }))) => {
                format!(
                    "bearer {realm} {} {}",
                    service.unwrap_or_default(),
                    scope.unwrap_or_default()
                )
            }
        };
        assert_eq!(found, expected, "{headers:?}");
    }

    #[test]
    fn headers() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        check(
            &[hub],
            "https",
            "bearer https://auth.docker.io/token registry.docker.io repository:a/b:pull,push",
        );
        check(&["Basic realm=\"x, y\""], "https", "basic");
        check(
            &["Basic realm=\"x\"", hub],
            "https",
            "bearer https://auth.docker.io/token registry.docker.io repository:a/b:pull,push",
        );
        check(
            &[r#"Basic realm="x", bearer REALM = "https://t/?a=b" , service=s"#],
            "https",
            "bearer https://t/?a=b s ",
        );
        check(&["Negotiate", "NTLM abc=="], "https", "none");
        check(&[], "https", "none");
        check(&["Bearer"], "https", "none");
        check(
            &[r#"Bearer realm="https://a\" b"#],
            "https",
            "refused https://a\" b: the realm is not a URL",
        );
        check(
            &[r#"Bearer realm="/token?x=secret""#],
            "https",
            "refused /token: the realm is not a URL",
        );
        check(
            &[r#"Bearer realm="http://t/""#],
            "http",
            "bearer http://t/  ",
        );
        check(
            &[r#"Bearer realm="http://t/""#],
            "https",
            "refused http://t/: the realm is plain HTTP, the registry is not",
        );
        check(
            &[r#"Bearer realm="file:///etc""#],
            "http",
            "refused file:///etc: the realm is neither HTTP nor HTTPS",
        );
        check(
            &[r#"Bearer realm="https://u:p@t/""#],
            "https",
            "refused https://u:p@t/: the realm carries credentials",
        );
        check(&["realm=x, ,,=,\"", "Bearer realm=\"\""], "https", "none");
    }

    proptest::proptest! {
        #[test]
        fn any_header(text in "[ -~]{0,80}", more in r#"(Bearer|Basic)?([ ,]|[a-z]+=?|"|\\\\){0,20}"#) {
            for header in [text, more] {
                let mut map = HeaderMap::new();
                map.append(WWW_AUTHENTICATE, header.parse().unwrap());
                for scheme in ["http", "https"] {
                    if let Ok(Some(Challenge::Bearer(service))) = Challenge::of(&map, scheme) {
                        assert!(scheme == "http" || service.realm.scheme() == "https");
                    }
                }
            }
        }
    }
}
