//! What settings of `dockerd` do that are more than one of kiln's under another name.

use serde_json::Value;

use crate::standin::effects::text;
use crate::standin::lowering::Lowering;
use crate::standin::registry;

pub(super) fn root(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    // Packages name the usual directory, which is not kiln's.
    if text(value) != "/var/lib/docker" {
        lowering.root = Some(text(value).into());
    }
    Ok(())
}

pub(super) fn pid_file(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if !text(value).is_empty() {
        lowering.pid_file = Some(text(value).into());
    }
    Ok(())
}

pub(super) fn metrics(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if !text(value).is_empty() {
        lowering.set(&["serve", "metrics"], value.clone());
    }
    Ok(())
}

/// TLS without knowing who the client is.
pub(super) fn tls_alone(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    if value == true && lowering.get(&["serve", "tls", "ca"]).is_none() {
        lowering
            .warn("has no effect without tlscacert: clients without certificates are not served");
    }
    Ok(())
}

pub(super) fn http_proxy(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    registry::proxy(lowering, "http-proxy", text(value));
    Ok(())
}

pub(super) fn https_proxy(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    registry::proxy(lowering, "https-proxy", text(value));
    Ok(())
}

pub(super) fn no_proxy(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    registry::proxy(lowering, "no-proxy", text(value));
    Ok(())
}

/// As a table in the file, and as `NAME=SWITCH` in a flag.
pub(super) fn features(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let of_flag = value.as_str().map(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        (name.to_owned(), value != "false")
    });
    let of_file = value.as_object().into_iter().flatten();
    let of_file = of_file.map(|(name, value)| (name.clone(), value == true));
    for (name, switch) in of_file.chain(of_flag) {
        match (name.as_str(), switch) {
            // What kiln has in any case, and does not.
            ("buildkit" | "cdi", true) | ("windows-dns-proxy", false) => {}
            ("buildkit", false) => {
                return Err("kiln always answers BuildKit's clients: leave it out".to_owned());
            }
            ("cdi", false) => lowering.set(&["cdi", "spec-dirs"], Vec::<Value>::new().into()),
            (name, _) => {
                lowering.warn(format!("has no effect for {name}: kiln has no such switch"))
            }
        }
    }
    Ok(())
}

pub(super) fn network_host(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    entitle(lowering, "network.host", value == true);
    Ok(())
}

pub(super) fn security_insecure(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    entitle(lowering, "security.insecure", value == true);
    Ok(())
}

/// Lets builds have this, or not.
fn entitle(lowering: &mut Lowering, name: &str, grants: bool) {
    const AT: &[&str] = &["serve", "entitlements"];
    let before = lowering.get(AT).and_then(Value::as_array);
    let mut granted: Vec<Value> = before.cloned().unwrap_or_default();
    granted.retain(|other| other != name);
    if grants {
        granted.push(name.into());
    }
    lowering.set(AT, granted.into());
}

/// Certificates are for both sides, and files that are named count only all together.
pub(super) fn tls(lowering: &mut Lowering) -> Result<(), String> {
    let has = |name| lowering.get(&["serve", "tls", name]).is_some();
    match (has("ca"), has("certificate"), has("key")) {
        (true, true, true) | (false, false, false) => Ok(()),
        _ => Err(
            "clients without certificates are not served over TCP by kiln: give tlscacert, \
             tlscert and tlskey together"
                .to_owned(),
        ),
    }
}
