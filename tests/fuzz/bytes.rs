//! Small harm done to bytes.

use fastrand::Rng;

/// What parsers stumble over.
const SHARP: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\r\n",
    b"\n\n",
    b" ",
    b"%",
    b"%00",
    b"%2f",
    b"%ff",
    b"/../",
    b"..",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[",
    b":",
    b",",
    b"-1",
    b"0",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"4294967296",
    b"null",
    b"true",
    b"\\ud800",
    b"*",
    b"**",
    b"=",
    b"&",
    b"?",
    b"#",
    b"@",
    b";",
    b"+",
    b"'",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
];

/// One to eight changes, one after the other.
pub fn mutate(random: &mut Rng, mut bytes: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    for _ in 0..random.usize(1..=8) {
        change(random, &mut bytes, others);
    }
    bytes
}

fn change(random: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = random.usize(0..=bytes.len());
    let end = (at + 1 + random.usize(0..16)).min(bytes.len());
    match random.u8(0..8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
        2 if at < bytes.len() => bytes[at] = random.u8(..),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].repeat(random.usize(1..40));
            bytes.splice(at..at, again);
        }
        5 if random.u8(0..4) == 0 => bytes.truncate(at),
        6 if !others.is_empty() => {
            let other = &others[random.usize(0..others.len())];
            let from = random.usize(0..=other.len());
            let to = (from + random.usize(0..64)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let sharp = SHARP[random.usize(0..SHARP.len())];
            let end = if random.bool() { at } else { end };
            bytes.splice(at..end, sharp.iter().copied());
        }
    }
}

/// One of these, changed.
pub fn mutated(random: &mut Rng, of: &[Vec<u8>]) -> Vec<u8> {
    let one = one_of(random, of);
    mutate(random, one, of)
}

/// A copy of one of these; nothing where there are none.
pub fn one_of(random: &mut Rng, of: &[Vec<u8>]) -> Vec<u8> {
    random.choice(of).cloned().unwrap_or_default()
}

/// One of several words.
pub fn any<'a, T: ?Sized>(random: &mut Rng, of: &[&'a T]) -> &'a T {
    of[random.usize(0..of.len())]
}
