//! Patterns for names of orchestrators: `Order*`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name, in which `*` stands for any characters. Upper and lower case differ, as they do in names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamePattern(String);

impl NamePattern {
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut name) = name.strip_prefix(head) else { return false };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The first place that fits is as good as any: what is left is longest then.
        for part in middle.split('*') {
            match name.find(part) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(tail)
    }
}

impl FromStr for NamePattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<NamePattern, Infallible> {
        Ok(NamePattern(text.to_owned()))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::NamePattern;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, names, others) in [
            ("Order", &["Order"][..], &["order", "Orders", "Orde", ""][..]),
            ("Order*", &["Order", "Orders", "Order*"], &["Orde", "xOrder"]),
            ("*Order", &["Order", "MyOrder"], &["Orders"]),
            ("*", &["", "any"], &[]),
            ("a*b*c", &["abc", "aXbYc", "abbc", "abcbc"], &["ab", "ac", "acb", "abca"]),
            ("a*ab", &["aab", "axab"], &["ab"]),
            ("*é*", &["é", "été"], &["e"]),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            names.iter().for_each(|name| assert!(pattern.matches(name), "{pattern} {name}"));
            others.iter().for_each(|name| assert!(!pattern.matches(name), "{pattern} {name}"));
        }
    }
}
