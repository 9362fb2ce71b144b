//! Answers that are not a success, turned into errors
//! (distribution-spec, "Error Codes"; token services use other words for the same).

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{self, HeaderMap};

use super::{At, Error, What};

/// How much of an error's body is read.
const MAX_BODY: u64 = 64 << 10;
/// How much of one message is kept.
const MAX_MESSAGE: usize = 512;

/// What a registry says is wrong; nothing when it did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One entry of a registry's `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `MANIFEST_UNKNOWN`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What a request was about, for the error that its answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) at: &'a At,
    pub(crate) what: What,
    pub(crate) shown: Shown,
    pub(crate) stall: Duration,
}

/// What the answering host was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// No credentials: there are none, or it has not asked.
    Nothing,
    /// Credentials, or a token that they gave.
    Credentials,
    /// Nothing, since the registry has sent us there with a URL that has to do.
    Url,
}

/// Passes a success on and turns everything else into an error.
pub(crate) async fn check_status(asked: Asked<'_>, response: Response) -> Result<Response, Error> {
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(response);
    }
    let retry_after = retry_after(response.headers());
    let is_html = content_type(response.headers()).is_some_and(|t| t == "text/html");
    // Without its body the status still says what is wrong.
    let body = read_bounded(asked.at, MAX_BODY, asked.stall, response)
        .await
        .unwrap_or_default();
    let problems = if is_html {
        Problems::default()
    } else {
        Problems::parse(&body)
    };
    let at = Box::new(asked.at.clone());
    Err(match status {
        401 | 403 if asked.shown != Shown::Url => Error::Unauthorized {
            at,
            status,
            with_credentials: asked.shown == Shown::Credentials,
            problems,
        },
        404 => Error::NotFound {
            at,
            what: asked.what,
            problems,
        },
        429 => Error::RateLimited {
            at,
            retry_after,
            problems,
        },
        _ => Error::Status {
            at,
            status,
            retry_after,
            problems,
        },
    })
}

/// The whole body, or an error when it is longer than `limit` or stalls.
pub(crate) async fn read_bounded(
    at: &At,
    limit: u64,
    stall: Duration,
    mut response: Response,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = next_chunk(at, stall, &mut response).await? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > limit {
            return Err(Error::TooLarge {
                at: Box::new(at.clone()),
                limit,
            });
        }
    }
    Ok(body.freeze())
}

/// The next part of a body; none at its end.
pub(crate) async fn next_chunk(
    at: &At,
    stall: Duration,
    response: &mut Response,
) -> Result<Option<Bytes>, Error> {
    match tokio::time::timeout(stall, response.chunk()).await {
        Ok(read) => read.map_err(|error| Error::transport(at.clone(), error)),
        Err(_) => Err(Error::Stalled {
            at: Box::new(at.clone()),
            after: stall,
        }),
    }
}

/// The media type without its parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or(text).trim())
}

/// Seconds, or a date that is compared with the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(header::DATE)?).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

impl Problems {
    /// Reads `{"errors": [{"code", "message"}]}`, a token service's `{"details"}`,
    /// `{"message"}` or `{"error", "error_description"}`, or short plain text.
    fn parse(body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default)]
            errors: Vec<Entry>,
            #[serde(alias = "error_description", alias = "details")]
            message: Option<serde_json::Value>,
        }
        #[derive(serde::Deserialize)]
        struct Entry {
            code: Option<serde_json::Value>,
            message: Option<serde_json::Value>,
        }
        let text = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => shorten(&text),
            Some(serde_json::Value::Null) | None => String::new(),
            Some(other) => shorten(&other.to_string()),
        };
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Self::of_text(body);
        };
        let of_message = body.message.map(|message| Entry {
            code: None,
            message: Some(message),
        });
        Self(
            body.errors
                .into_iter()
                .chain(of_message)
                .map(|entry| Problem {
                    code: text(entry.code),
                    message: text(entry.message),
                })
                .collect(),
        )
    }

    fn of_text(body: &[u8]) -> Self {
        let text = shorten(String::from_utf8_lossy(body).trim());
        if text.is_empty() || text.starts_with('<') {
            return Self::default();
        }
        Self(vec![Problem {
            code: String::new(),
            message: text,
        }])
    }

    /// Whether the registry gave this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.0.iter().any(|problem| problem.code == code)
    }
}

/// One line of bounded length, without control characters: it ends on a terminal.
fn shorten(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE)
        .collect()
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { code, message }) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            match (code.as_str(), message.as_str()) {
                ("", text) | (text, "") => f.write_str(text)?,
                (code, message) => write!(f, "{message} ({code})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        for (body, text) in [
            ("", ""),
            ("<html>", ""),
            ("upstream down\n", ": upstream down"),
            ("{}", ""),
            (
                r#"{"errors":[{"code":"DENIED","message":"no"}]}"#,
                ": no (DENIED)",
            ),
            (
                r#"{"errors":[{"code":"A"},{"message":"b\u001b[1m"}]}"#,
                ": A; b [1m",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                ": incorrect username or password",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"x"}"#,
                ": x",
            ),
        ] {
            assert_eq!(Problems::parse(body.as_bytes()).to_string(), text, "{body}");
        }
    }

    #[test]
    fn waits() {
        let now = "Tue, 15 Nov 1994 08:12:31 GMT";
        for (value, seconds) in [
            ("7", Some(7)),
            ("Tue, 15 Nov 1994 08:13:01 GMT", Some(30)),
            ("Tue, 15 Nov 1994 08:12:01 GMT", Some(0)),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
            headers.insert(header::DATE, now.parse().unwrap());
            assert_eq!(
                retry_after(&headers),
                seconds.map(Duration::from_secs),
                "{value}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_body(body: Vec<u8>, text in "\\PC*") {
            let json = serde_json::json!({"errors": [{"code": text, "message": text}], "message": text});
            for body in [body, text.clone().into_bytes(), json.to_string().into_bytes()] {
                let text = Problems::parse(&body).to_string();
                assert!(!text.contains(char::is_control));
                assert!(text.chars().count() <= 4 * (MAX_MESSAGE + 4));
            }
        }
    }
}
