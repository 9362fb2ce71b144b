//! `--ssh default|id[=socket]`.

use super::ValueError;

/// An agent as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// What steps call it.
    pub id: String,
    /// Its socket; that of the environment when none.
    pub path: Option<String>,
}

/// The agent that `text` describes.
///
/// # Errors
/// It has no name, or stands for several files.
pub fn parse(text: &str) -> Result<Ssh, ValueError> {
    let (id, path) = match text.split_once('=') {
        Some((id, path)) => (id, Some(path)),
        None => (text, None),
    };
    if id.is_empty() {
        return Err(ValueError::SshId(text.to_owned()));
    }
    if path.is_some_and(|path| path.contains(',')) {
        return Err(ValueError::SshKeys(text.to_owned()));
    }
    Ok(Ssh {
        id: id.to_owned(),
        path: path.filter(|path| !path.is_empty()).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("default", "default None"),
            ("a=/run/x", "a Some(\"/run/x\")"),
            ("a=", "a None"),
            ("=x", "invalid ssh agent \"=x\": it has no id"),
            (
                "a=k1,k2",
                "ssh agent \"a=k1,k2\": kiln forwards agents, not key files: add the keys to an \
                 ssh-agent and name its socket",
            ),
        ] {
            let got = match parse(text) {
                Ok(ssh) => format!("{} {:?}", ssh.id, ssh.path),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
