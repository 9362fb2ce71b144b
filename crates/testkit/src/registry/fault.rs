//! What can go wrong with an answer.

/// Changes the answers to some requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// `GET`, `PUT`, …; any when empty.
    pub method: &'static str,
    /// A part of the path with its query; any when empty.
    pub path: &'static str,
    /// How many fitting requests are let through before.
    pub skip: u32,
    /// How many are hit then.
    pub times: u32,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a request or its answer.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Another answer, without looking at the request.
    Answer {
        /// Its status.
        status: u16,
        /// Its headers.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        body: String,
    },
    /// The connection ends before an answer.
    Drop,
    /// The connection ends after so many bytes of the answer's body.
    DropAfter(usize),
    /// No answer, until the client goes away.
    Stall,
    /// So many bytes of the answer's body, and nothing more until the client goes away.
    StallAfter(usize),
    /// The last byte of the body is another.
    Corrupt,
    /// The body ends early, and its length says so too.
    Truncate(usize),
    /// The body has more bytes, and its length says so too.
    Extend(usize),
    /// The body comes in chunks, without a length.
    Chunked,
    /// Chunked, and ended properly after so many bytes.
    ChunkedAfter(usize),
    /// A header of the answer is another, or missing when empty.
    Header(&'static str, String),
    /// The range that was asked for is not looked at.
    IgnoreRange,
    /// The connection ends after so many bytes of the request's body, which are kept.
    DropUpload(usize),
    /// As [`Effect::DropUpload`], and the upload is forgotten.
    LoseUpload(usize),
}

impl Fault {
    /// A fault that hits the first fitting request.
    #[must_use]
    pub const fn once(method: &'static str, path: &'static str, effect: Effect) -> Self {
        Self {
            method,
            path,
            skip: 0,
            times: 1,
            effect,
        }
    }

    /// The same, that hits `times` requests.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same, that hits every fitting request.
    #[must_use]
    pub const fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// The same, after `skip` fitting requests.
    #[must_use]
    pub const fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Whether it hits this request; counts it.
    pub(super) fn hits(&mut self, method: &str, target: &str) -> bool {
        let fits = (self.method.is_empty() || self.method == method) && target.contains(self.path);
        if !fits {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let is_left = self.times > 0;
        self.times = self
            .times
            .saturating_sub(u32::from(is_left && self.times < u32::MAX));
        is_left
    }
}

impl Effect {
    /// An answer with a status and nothing else.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// An answer with one of the registry's own errors.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer {
            status,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#),
        }
    }

    /// An answer that asks to come again later.
    #[must_use]
    pub fn retry_after(status: u16, seconds: u64) -> Self {
        Self::Answer {
            status,
            headers: vec![("Retry-After", seconds.to_string())],
            body: String::new(),
        }
    }

    /// The page of a captive network.
    #[must_use]
    pub fn html() -> Self {
        Self::Answer {
            status: 200,
            headers: vec![("Content-Type", "text/html; charset=utf-8".to_owned())],
            body: "<html>Please accept our terms</html>".to_owned(),
        }
    }

    /// A redirect to the same path, as the client asked for it, elsewhere.
    #[must_use]
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Answer {
            status: 307,
            headers: vec![("Location", to.into())],
            body: String::new(),
        }
    }
}
