//! RSA keys between OpenSSH's form, which has the numbers that a key needs, and the form of PKCS#1,
//! which has those that are computed from them too.

use zeroize::Zeroizing;

use super::wire::{Fields, integer};

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// The PKCS#1 document of a private key whose fields are `n`, `e`, `d`, `1/q mod p`, `p` and `q`.
pub(super) fn from_openssh(fields: &mut Fields<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let mut next = || fields.string();
    let (n, e, d, inverse, p, q) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let numbers = [
        integer(&[]),
        integer(n),
        integer(e),
        integer(d),
        integer(p),
        integer(q),
        integer(&remainder(d, &less_one(p))),
        integer(&remainder(d, &less_one(q))),
        integer(inverse),
    ];
    let mut content = Zeroizing::new(Vec::with_capacity(16 * n.len() + 64));
    for number in &numbers {
        // DER writes a zero as one byte.
        let number: &[u8] = if number.is_empty() { &[0] } else { number };
        put(&mut content, INTEGER, number);
    }
    let mut document = Zeroizing::new(Vec::with_capacity(content.len() + 8));
    put(&mut document, SEQUENCE, &content);
    Some(document)
}

/// Modulus and exponent of a PKCS#1 public key, as SSH writes numbers too.
pub(super) fn public_numbers(document: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut document = Fields(document);
    let mut numbers = Fields(take(&mut document, SEQUENCE)?);
    Some((take(&mut numbers, INTEGER)?, take(&mut numbers, INTEGER)?))
}

fn put(to: &mut Vec<u8>, tag: u8, content: &[u8]) {
    let length = content.len();
    to.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => to.push(short),
        _ => {
            let length = length.to_be_bytes();
            let zeros = length.iter().take_while(|byte| **byte == 0).count();
            // At most eight bytes.
            to.push(0x80 | (length.len() - zeros) as u8);
            to.extend(length.iter().skip(zeros));
        }
    }
    to.extend_from_slice(content);
}

fn take<'a>(fields: &mut Fields<'a>, tag: u8) -> Option<&'a [u8]> {
    let [found, length] = *fields.bytes(2)? else {
        return None;
    };
    if found != tag {
        return None;
    }
    let length = match length {
        0..0x80 => usize::from(length),
        _ => {
            let bytes = fields.bytes(usize::from(length & 0x7f))?;
            bytes.iter().try_fold(0_usize, |sum, byte| {
                Some(sum.checked_mul(256)? | usize::from(*byte))
            })?
        }
    };
    fields.bytes(length)
}

/// An odd number less one.
fn less_one(prime: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut less = Zeroizing::new(prime.to_vec());
    if let Some(last) = less.last_mut() {
        *last &= !1;
    }
    less
}

/// `number` modulo `modulus`, bit by bit.
fn remainder(number: &[u8], modulus: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut wide = Zeroizing::new(Vec::with_capacity(modulus.len() + 1));
    wide.push(0);
    wide.extend_from_slice(modulus);
    let mut rest = Zeroizing::new(vec![0_u8; wide.len()]);
    for byte in number {
        for bit in (0..8).rev() {
            let mut carry = (byte >> bit) & 1;
            for digit in rest.iter_mut().rev() {
                (*digit, carry) = ((*digit << 1) | carry, *digit >> 7);
            }
            if *rest >= *wide {
                subtract(&mut rest, &wide);
            }
        }
    }
    rest
}

/// `from` less `what`, which is no more and as long.
fn subtract(from: &mut [u8], what: &[u8]) {
    let mut borrowed = false;
    for (digit, less) in from.iter_mut().zip(what).rev() {
        let (some, first) = digit.overflowing_sub(*less);
        let (all, second) = some.overflowing_sub(u8::from(borrowed));
        (*digit, borrowed) = (all, first || second);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn remainders(number: u128, modulus in 1..u64::MAX) {
            let got = remainder(&number.to_be_bytes(), &modulus.to_be_bytes());
            let expected = number % u128::from(modulus);
            prop_assert_eq!(&got[got.len() - 8..], &(expected as u64).to_be_bytes()[..]);
        }

        #[test]
        fn documents(content in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let mut document = Vec::new();
            put(&mut document, SEQUENCE, &content);
            prop_assert_eq!(take(&mut Fields(&document), SEQUENCE), Some(&content[..]));
            prop_assert_eq!(take(&mut Fields(&document), INTEGER), None);
        }
    }
}
