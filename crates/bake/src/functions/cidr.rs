//! Ranges of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Arguments, Done, Function};
use crate::value::Value;

/// A range is made so much smaller at once.
const MAX_BITS: i64 = 32;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("cidrhost", host),
    ("cidrnetmask", |a| {
        a.count(1..=1)?;
        let range = Range::read(&a.text(0)?)?;
        Ok(Value::String(range.address(range.mask()).to_string()))
    }),
    ("cidrsubnet", subnet),
    ("cidrsubnets", subnets),
];

/// The addresses that begin alike.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// The first of them.
    first: u128,
    /// How many bits are alike.
    length: u32,
    /// Bits of an address.
    bits: u32,
}

impl Range {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no range of addresses, such as \"10.0.0.0/8\"");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let (number, bits) = match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length
            .parse()
            .ok()
            .filter(|length| is_number && *length <= bits);
        let length = length.ok_or_else(wrong)?;
        let mut range = Self {
            first: number,
            length,
            bits,
        };
        range.first &= range.mask();
        Ok(range)
    }

    /// The bits that are alike.
    fn mask(self) -> u128 {
        self.all() & !self.rest()
    }

    /// The others.
    fn rest(self) -> u128 {
        let count = self.bits - self.length;
        u128::MAX.checked_shr(128 - count).unwrap_or_default()
    }

    fn all(self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    fn address(self, number: u128) -> IpAddr {
        match u32::try_from(number) {
            Ok(number) if self.bits == 32 => IpAddr::V4(Ipv4Addr::from_bits(number)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }

    /// The range that begins there and is smaller by `more` bits.
    fn part(self, more: i64) -> Result<Self, String> {
        if !(0..=MAX_BITS).contains(&more) {
            return Err(format!("a range is extended by 0 to {MAX_BITS} bits"));
        }
        let length = i64::from(self.length) + more;
        let length = u32::try_from(length)
            .ok()
            .filter(|length| *length <= self.bits);
        let short = || format!("there are no {more} bits more in {}", self.shown());
        let length = length.ok_or_else(short)?;
        Ok(Self { length, ..self })
    }

    fn shown(self) -> String {
        format!("{}/{}", self.address(self.first), self.length)
    }
}

/// A negative number counts from the end.
fn host(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (range, number) = (Range::read(&arguments.text(0)?)?, arguments.whole(1)?);
    let last = range.rest();
    let place = match u128::try_from(number) {
        Ok(place) => Some(place).filter(|place| *place <= last),
        Err(_) => last.checked_sub(u128::from(number.unsigned_abs()) - 1),
    };
    let missing = || format!("there is no address {number} in {}", range.shown());
    let place = place.ok_or_else(missing)?;
    Ok(Value::String(
        range.address(range.first | place).to_string(),
    ))
}

fn subnet(arguments: &Arguments<'_>) -> Done {
    arguments.count(3..=3)?;
    let range = Range::read(&arguments.text(0)?)?;
    let (more, number) = (arguments.whole(1)?, arguments.whole(2)?);
    let part = range.part(more)?;
    let count = 1_i64 << more;
    if !(0..count).contains(&number) {
        return Err(format!("there is no subnet {number} of {count}"));
    }
    let place = u128::try_from(number).unwrap_or_default();
    let place = place
        .checked_shl(part.bits - part.length)
        .unwrap_or_default();
    let first = range.first | place;
    Ok(Value::String(Range { first, ..part }.shown()))
}

/// One after the other, each as soon as there is room.
fn subnets(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=usize::MAX)?;
    let range = Range::read(&arguments.text(0)?)?;
    let mut next = Some(range.first);
    let mut made = Vec::new();
    for place in 1..arguments.values.len() {
        let part = match arguments.whole(place)? {
            0 => return Err("a range is extended by at least one bit".to_owned()),
            more => range.part(more)?,
        };
        let start = next.and_then(|next| next.checked_add(part.rest()));
        let start = start.map(|start| start & !part.rest());
        let is_within = |start: &u128| start & range.mask() == range.first && *start <= range.all();
        let full = || format!("there is no room left in {}", range.shown());
        let first = start.filter(is_within).ok_or_else(full)?;
        next = (first | part.rest()).checked_add(1);
        made.push(Value::String(Range { first, ..part }.shown()));
    }
    Ok(Value::List(made))
}
