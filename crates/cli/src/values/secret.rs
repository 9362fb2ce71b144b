//! `--secret id=name[,src=path|env=VARIABLE][,type=file|env][,cache=digest]`.

use super::{ValueError, csv};

/// A secret as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What steps call it.
    pub id: String,
    /// Where its value is.
    pub from: SecretFrom,
    /// Whether steps that see it run again when it changes.
    pub keyed: bool,
}

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// In a file.
    File(String),
    /// In an environment variable.
    Env(String),
    /// In the environment variable of the secret's name if there is one, else in such a file.
    Named,
}

/// The secret that `text` describes.
///
/// # Errors
/// A field is malformed or unknown, or there is no `id`.
pub fn parse(text: &str) -> Result<Secret, ValueError> {
    let (mut id, mut file, mut env, mut of_env) = (String::new(), None, None, false);
    let mut keyed = false;
    for (key, value) in csv::pairs(text)? {
        let Some(value) = value else {
            return Err(ValueError::SecretField(key));
        };
        match key.to_ascii_lowercase().as_str() {
            "type" if value == "file" || value == "env" => of_env = value == "env",
            "type" => return Err(ValueError::SecretType(value)),
            "cache" if value == "digest" => keyed = true,
            "cache" => return Err(ValueError::SecretCache(value)),
            "id" => id = value,
            "source" | "src" => file = Some(value),
            "env" => env = Some(value),
            _ => {
                let field = format!("{key}={value}");
                return Err(ValueError::SecretKey { key, field });
            }
        }
    }
    if id.is_empty() {
        return Err(ValueError::SecretId(text.to_owned()));
    }
    if of_env && env.is_none() {
        env = file.take();
    }
    let from = match (env, file) {
        (Some(variable), _) => SecretFrom::Env(variable),
        (None, Some(path)) => SecretFrom::File(path),
        (None, None) => SecretFrom::Named,
    };
    Ok(Secret { id, from, keyed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("id=a,src=/b", r#"a File("/b")"#),
            ("id=a,source=b", r#"a File("b")"#),
            (r#"id=a,"src=/b,c""#, r#"a File("/b,c")"#),
            ("id=a,env=B", r#"a Env("B")"#),
            ("type=env,id=a,src=B", r#"a Env("B")"#),
            ("type=file,id=a,src=B", r#"a File("B")"#),
            ("id=a,src=b,cache=digest", r#"a File("b") keyed"#),
            (
                "id=a,cache=value",
                "invalid secret cache \"value\": expected digest",
            ),
            ("id=a", "a Named"),
            ("ID=a", "a Named"),
            ("src=b", "secret \"src=b\" has no id"),
            ("id", "invalid field 'id' must be a key=value pair"),
            ("id=a,type=vault", "unsupported secret type \"vault\""),
            ("id=a,mode=1", "unexpected key 'mode' in 'mode=1'"),
        ] {
            let got = match parse(text) {
                Ok(secret) if secret.keyed => format!("{} {:?} keyed", secret.id, secret.from),
                Ok(secret) => format!("{} {:?}", secret.id, secret.from),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
