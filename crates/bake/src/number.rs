//! Numbers of expressions: whole ones are exact, others are rounded as people write them.

use std::cmp::Ordering;
use std::fmt;

/// Digits of a result that is not whole.
const DIGITS: usize = 15;
/// From here on not every whole number has a float of its own.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    /// A whole one.
    Int(i128),
    /// Another one; finite.
    Float(f64),
}

impl Number {
    /// Of a float; none when it is no number.
    pub(crate) fn of(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        Some(match float.fract() == 0.0 && float.abs() < WHOLE {
            true => Self::Int(float as i128),
            false => Self::Float(float),
        })
    }

    /// Of a float that was computed, without what computing adds.
    pub(crate) fn rounded(float: f64) -> Option<Self> {
        let text = format!("{float:.*e}", DIGITS - 1);
        text.parse().ok().and_then(Self::of)
    }

    /// What `text` says.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(whole) => Some(Self::Int(whole)),
            Err(_) if text.bytes().all(|byte| b"0123456789.eE+-".contains(&byte)) => {
                text.parse().ok().and_then(Self::of)
            }
            Err(_) => None,
        }
    }

    /// As a float, which may be the nearest one only.
    pub(crate) const fn float(self) -> f64 {
        match self {
            Self::Int(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }

    /// As a whole number, if it is one.
    pub(crate) const fn whole(self) -> Option<i128> {
        match self {
            Self::Int(whole) => Some(whole),
            Self::Float(_) => None,
        }
    }

    /// As a length or place, if it is one.
    pub(crate) fn index(self) -> Option<usize> {
        self.whole().and_then(|whole| usize::try_from(whole).ok())
    }

    /// Both whole and exact, or else rounded.
    pub(crate) fn combine(
        self,
        other: Self,
        exact: impl Fn(i128, i128) -> Option<i128>,
        rounded: impl Fn(f64, f64) -> f64,
    ) -> Option<Self> {
        if let (Self::Int(left), Self::Int(right)) = (self, other)
            && let Some(whole) = exact(left, right)
        {
            return Some(Self::Int(whole));
        }
        Self::rounded(rounded(self.float(), other.float()))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            _ => self.float().total_cmp(&other.float()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(whole) => write!(f, "{whole}"),
            Self::Float(float) => write!(f, "{float}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let sum = Number::rounded(0.1 + 0.2).unwrap();
        assert_eq!(sum.to_string(), "0.3");
        assert_eq!(Number::of(3.0).unwrap().to_string(), "3");
        assert_eq!(
            Number::parse("12345678901234567890").unwrap().to_string(),
            "12345678901234567890"
        );
        assert_eq!(Number::parse("1e3").unwrap(), Number::Int(1000));
        assert!(Number::parse("inf").is_none() && Number::parse("x").is_none());
    }
}
