//! As much of HTTP/1.1 as clients of registries speak.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::Effect;

/// The head of a request; its body is still on the wire.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

/// An answer to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The next request on a connection; none when the client is done.
    pub(super) fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        let mut words = lines.first().map_or("", String::as_str).split(' ');
        let (method, target) = (words.next(), words.next());
        Ok(Some(Self {
            method: method.unwrap_or_default().to_owned(),
            target: target.unwrap_or_default().to_owned(),
            headers: lines
                .iter()
                .skip(1)
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
        }))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The path alone, also of the whole URL that a proxy is asked for.
    pub(super) fn path(&self) -> &str {
        let target = match self.target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
            None => self.target.as_str(),
        };
        target.split('?').next().unwrap_or_default()
    }

    /// A value of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        pairs(query)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    pub(super) fn length(&self) -> usize {
        let length = self.header("content-length");
        length.and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    /// The body, or no more than `limit` bytes of it.
    pub(super) fn body(
        &self,
        reader: &mut BufReader<&TcpStream>,
        limit: usize,
    ) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding") == Some("chunked") {
            while body.len() < limit {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let length = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                reader.take(length as u64).read_to_end(&mut body)?;
                reader.read_line(&mut line)?;
                if length == 0 {
                    break;
                }
            }
        } else {
            let length = self.length().min(limit);
            reader.take(length as u64).read_to_end(&mut body)?;
        }
        Ok(body)
    }
}

/// The pairs of a query or a form.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<_> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Response {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::new(status)
            .with("Content-Type", "application/json")
            .body(body.into_bytes())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Writes the answer as `effect` wants it. `false` when the connection is of no more use.
    pub(super) fn write(
        mut self,
        mut stream: &TcpStream,
        is_head: bool,
        effect: Option<&Effect>,
    ) -> io::Result<bool> {
        let mut sent = self.body.len();
        let mut is_chunked = false;
        match effect {
            Some(Effect::Corrupt) => {
                if let Some(byte) = self.body.last_mut() {
                    *byte ^= 1;
                }
            }
            Some(Effect::Truncate(length)) => {
                self.body.truncate(*length);
                sent = self.body.len();
            }
            Some(Effect::Extend(more)) => {
                self.body.extend(vec![b'+'; *more]);
                sent = self.body.len();
            }
            Some(Effect::DropAfter(length) | Effect::StallAfter(length)) => sent = *length,
            Some(Effect::Chunked) => is_chunked = true,
            Some(Effect::ChunkedAfter(length)) => {
                is_chunked = true;
                sent = *length;
            }
            Some(Effect::Header(name, value)) => {
                self.headers.retain(|(key, _)| key != name);
                if !value.is_empty() {
                    self.headers.push((name, value.clone()));
                }
            }
            _ => {}
        }
        let sent = sent.min(self.body.len());
        stream.write_all(self.head(is_chunked).as_bytes())?;
        if is_head {
            return Ok(true);
        }
        if is_chunked {
            for chunk in self.body[..sent].chunks(1000) {
                write!(stream, "{:x}\r\n", chunk.len())?;
                stream.write_all(chunk)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            return Ok(true);
        }
        stream.write_all(&self.body[..sent])?;
        match effect {
            Some(Effect::DropAfter(_)) => Ok(false),
            Some(Effect::StallAfter(_)) => wait_for_client(stream),
            _ => Ok(true),
        }
    }

    fn head(&self, is_chunked: bool) -> String {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let has_length = self
            .headers
            .iter()
            .any(|(name, _)| *name == "Content-Length");
        if is_chunked {
            head += "Transfer-Encoding: chunked\r\n";
        } else if !has_length && self.status != 204 {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }
}

/// Returns when the client has gone away.
pub(super) fn wait_for_client(mut stream: &TcpStream) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(false)
}
