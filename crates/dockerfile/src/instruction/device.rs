//! `RUN --device`: a CDI device by its qualified name, such as `vendor.com/gpu=all`, and whether
//! the step needs it.

use std::borrow::Cow;

use super::mount::{MountError, fields, parse_bool};
use crate::suggest;

/// A device that a step is to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// `vendor/class=name`, `vendor/class`, or the name of a class of devices.
    pub name: String,
    /// The step fails without it.
    pub required: bool,
}

/// Why a device cannot be used; the words are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error("failed to parse csv devices: {0}")]
    Fields(&'static str),
    #[error("invalid field '{0}' must be a key=value pair")]
    NotPair(String),
    #[error("device name already set to {0}")]
    Named(String),
    #[error("invalid value for required: {0}")]
    Required(String),
    #[error("unexpected key '{key}' in '{field}'{hint}")]
    UnknownKey {
        key: String,
        field: String,
        hint: String,
    },
}

impl Device {
    /// Reads comma-separated fields; the first that is no option is the name.
    pub(crate) fn parse(text: &str) -> Result<Self, DeviceError> {
        let mut device = Self::default();
        let fields = fields(text).map(|field| field.map(Cow::into_owned));
        let fields: Result<Vec<String>, _> = fields.collect();
        for field in fields.map_err(why_no_fields)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value)),
                None => (field.to_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("required", None) => device.required = true,
                ("required", Some(value)) => {
                    device.required = parse_bool(&key, value)
                        .map_err(|_| DeviceError::Required(value.to_owned()))?;
                }
                ("name", Some(_)) if !device.name.is_empty() => {
                    return Err(DeviceError::Named(device.name));
                }
                ("name", Some(value)) => value.clone_into(&mut device.name),
                _ if device.name.is_empty() => device.name = field,
                (_, None) => return Err(DeviceError::NotPair(field)),
                (_, Some(_)) => {
                    let hint = suggest::hint(&key, ["name", "required"]);
                    return Err(DeviceError::UnknownKey { key, field, hint });
                }
            }
        }
        Ok(device)
    }
}

fn why_no_fields(error: MountError) -> DeviceError {
    DeviceError::Fields(match error {
        MountError::Empty => "EOF",
        MountError::BareQuote(_) => "bare \" in non-quoted-field",
        _ => "extraneous or missing \" in quoted-field",
    })
}
