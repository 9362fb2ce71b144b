//! Lists as docker prints them: a table, a table of a template, JSON lines, or a template.

use serde_json::{Map, Value};

use super::table;
use super::template::{Template, TemplateError};

/// Rows with named fields.
#[derive(Debug)]
pub struct Listing {
    /// Name and heading of each field.
    pub fields: &'static [(&'static str, &'static str)],
    /// Names of the fields of the plain table, in order.
    pub shown: Vec<&'static str>,
    /// Values in the order of `fields`.
    pub rows: Vec<Vec<String>>,
}

impl Listing {
    /// The text of the list in `format`.
    ///
    /// # Errors
    /// The format is a template that is none, or that names a field that there is not.
    pub fn render(&self, format: Option<&str>) -> Result<String, TemplateError> {
        let plain = || {
            let fields = self.shown.iter().map(|field| format!("{{{{.{field}}}}}"));
            fields.collect::<Vec<_>>().join("\t")
        };
        match format {
            None | Some("" | "table") => self.table(&plain()),
            Some("json") => Ok(self.each(|row| Ok(Value::Object(row).to_string()))?),
            Some(format) => match format.strip_prefix("table ") {
                Some(template) => self.table(&unescape(template)),
                None => {
                    let template = Template::parse(&unescape(format))?;
                    self.each(|row| template.render(&Value::Object(row)))
                }
            },
        }
    }

    fn table(&self, template: &str) -> Result<String, TemplateError> {
        let template = Template::parse(template)?;
        let headings = self.fields.iter().map(|(name, heading)| {
            let name = (*name).to_owned();
            (name, Value::from(*heading))
        });
        let mut text = template.render(&Value::Object(headings.collect()))?;
        text.push('\n');
        text.push_str(&self.each(|row| template.render(&Value::Object(row)))?);
        Ok(table::align(&text))
    }

    fn each(
        &self,
        line: impl Fn(Map<String, Value>) -> Result<String, TemplateError>,
    ) -> Result<String, TemplateError> {
        let mut text = String::new();
        for row in &self.rows {
            let names = self.fields.iter().map(|(name, _)| (*name).to_owned());
            let values = row.iter().map(|value| Value::from(value.as_str()));
            text.push_str(&line(names.zip(values).collect())?);
            text.push('\n');
        }
        Ok(text)
    }
}

/// `\t` and `\n` as people type them in a shell's quotes.
fn unescape(template: &str) -> String {
    template.replace("\\t", "\t").replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let listing = Listing {
            fields: &[
                ("Repository", "REPOSITORY"),
                ("Tag", "TAG"),
                ("ID", "IMAGE ID"),
            ],
            shown: vec!["Repository", "Tag", "ID"],
            rows: vec![
                vec![
                    "alpine".to_owned(),
                    "latest".to_owned(),
                    "012345678901".to_owned(),
                ],
                vec![
                    "a/rather/long".to_owned(),
                    "<none>".to_owned(),
                    "1".to_owned(),
                ],
            ],
        };
        for (format, expected) in [
            (
                None,
                "REPOSITORY      TAG       IMAGE ID\n\
                 alpine          latest    012345678901\n\
                 a/rather/long   <none>    1\n",
            ),
            (
                Some("table {{.ID}}\\t{{.Tag}}"),
                "IMAGE ID       TAG\n012345678901   latest\n1              <none>\n",
            ),
            (
                Some("json"),
                "{\"ID\":\"012345678901\",\"Repository\":\"alpine\",\"Tag\":\"latest\"}\n\
                 {\"ID\":\"1\",\"Repository\":\"a/rather/long\",\"Tag\":\"<none>\"}\n",
            ),
            (
                Some("{{.Repository}}:{{.Tag}}"),
                "alpine:latest\na/rather/long:<none>\n",
            ),
        ] {
            assert_eq!(listing.render(format).unwrap(), expected);
        }
        assert_eq!(
            listing.render(Some("{{.Nope}}")).unwrap_err().to_string(),
            "template: can't evaluate field Nope"
        );
    }
}
