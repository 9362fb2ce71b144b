//! `--ssh default|id[=socket|key[,key…]]`.

use super::ValueError;

/// An agent as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// What steps call it.
    pub id: String,
    /// Its socket, or files with keys; the socket of the environment when none.
    pub paths: Vec<String>,
}

/// The agent that `text` describes.
///
/// # Errors
/// It has no name.
pub fn parse(text: &str) -> Result<Ssh, ValueError> {
    let (id, paths) = text.split_once('=').unwrap_or((text, ""));
    if id.is_empty() {
        return Err(ValueError::SshId(text.to_owned()));
    }
    let paths = paths.split(',').filter(|path| !path.is_empty());
    Ok(Ssh {
        id: id.to_owned(),
        paths: paths.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("default", "default []"),
            ("a=/run/x", "a [\"/run/x\"]"),
            ("a=", "a []"),
            ("a=k1,k2", "a [\"k1\", \"k2\"]"),
            ("=x", "invalid ssh agent \"=x\": it has no id"),
        ] {
            let got = match parse(text) {
                Ok(ssh) => format!("{} {:?}", ssh.id, ssh.paths),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
