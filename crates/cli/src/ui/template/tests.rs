//! Templates and what they become.

use serde_json::json;

use super::Template;

#[test]
fn templates() {
    let value = json!({
        "Id": "sha256:12", "Size": 7, "RepoTags": ["a:1", "b:2"], "Empty": [],
        "Config": {"Labels": {"x": "y"}, "Env": ["A=1", "B=2"], "Cmd": null},
        "rootFs": {"diff_ids": ["d"], "os.version": "1"},
    });
    for (template, expected) in [
        ("plain", "plain"),
        ("{{.Id}}", "sha256:12"),
        ("{{ .Id }} {{.Size}}", "sha256:12 7"),
        ("{{json .Config.Labels}}", r#"{"x":"y"}"#),
        ("{{.Config.Labels | json}}", r#"{"x":"y"}"#),
        ("{{.RepoTags}}", "[a:1 b:2]"),
        ("{{.Config.Labels}}", "map[x:y]"),
        ("{{index .RepoTags 1}}", "b:2"),
        (r#"{{index .Config.Labels "x"}}"#, "y"),
        (
            "{{.Config.Labels.x}} {{.Config.Labels.nope}}",
            "y <no value>",
        ),
        (r#"{{join .RepoTags ", "}}"#, "a:1, b:2"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .RepoTags}}{{$.Size}}{{.}} {{end}}", "7a:1 7b:2 "),
        (
            "{{if .Config.Cmd}}cmd{{else if .Size}}size{{else}}no{{end}}",
            "size",
        ),
        ("{{with .Config}}{{len .Env}}{{end}}", "2"),
        ("a {{- .Size -}} b", "a7b"),
        ("{{/* nothing */}}x", "x"),
        (r#"{{"}}"}}"#, "}}"),
        (
            r#"{{printf "%s=%d %q" .Id .Size "x"}}"#,
            r#"sha256:12=7 "x""#,
        ),
        (r#"{{if eq .Size 7}}seven{{end}}"#, "seven"),
        (r#"{{(index .RepoTags 0) | upper}}"#, "A:1"),
        ("{{(.Config).Labels.x}}", "y"),
        (r#"{{index (split .Id ":") 1}}"#, "12"),
        ("{{.RootFS.DiffIDs}} {{.RootFS.OSVersion}}", "[d] 1"),
        ("{{.Config.labels}}", "<no value>"),
        ("{{.Nope}}", "template: can't evaluate field Nope"),
        ("{{.Id", "template: unclosed action"),
        ("{{nope .Id}}", "template: function \"nope\" not defined"),
        (
            "{{if .Id}}",
            "template: unexpected EOF: {{if}} has no {{end}}",
        ),
        ("{{end}}", "template: unexpected \"end\" in action"),
        (
            "{{template \"x\"}}",
            "template: unexpected \"template\" in action",
        ),
        (
            "{{index .RepoTags 9}}",
            "template: error calling index: index out of range",
        ),
    ] {
        let got = match Template::parse(template).and_then(|parsed| parsed.render(&value)) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{template}");
    }
}
