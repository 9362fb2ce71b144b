//! A name for a builder that was given none.

use super::{BuildersError, Store};

const HOW: [&str; 32] = [
    "amber", "ashen", "baked", "bisque", "brisk", "burnt", "calm", "celadon", "clear", "cobalt",
    "coiled", "cool", "dry", "earthen", "even", "fired", "glazed", "golden", "hollow", "ivory",
    "light", "mellow", "molten", "ochre", "pale", "plain", "quick", "raku", "sandy", "slow",
    "smooth", "warm",
];
const WHAT: [&str; 32] = [
    "amphora", "basin", "beaker", "bowl", "brick", "bucket", "crock", "crucible", "cup", "dish",
    "ember", "ewer", "flask", "flue", "goblet", "hearth", "jar", "jug", "kiln", "ladle", "mould",
    "mug", "oven", "pitcher", "plate", "platter", "pot", "shard", "teapot", "tile", "urn", "vase",
];
/// How many names are tried; those after the first few have a number.
const TRIES: usize = 64;

impl Store {
    /// A name that no builder has, made of bytes that nobody knows before.
    ///
    /// # Errors
    /// The files cannot be read, or all names that were tried are taken.
    pub(crate) fn unused_name(&self, random: &[u8; 16]) -> Result<String, BuildersError> {
        let byte = |at: usize| usize::from(random[at % random.len()]);
        for at in 0..TRIES {
            let number = (at >= TRIES / 2).then(|| at.to_string());
            let (how, what) = (HOW[byte(2 * at) % 32], WHAT[byte(2 * at + 1) % 32]);
            let name = format!("{how}_{what}{}", number.unwrap_or_default());
            if self.group(&name)?.is_none() {
                return Ok(name);
            }
        }
        Err(BuildersError::NoName)
    }
}
