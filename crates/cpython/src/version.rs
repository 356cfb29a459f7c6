//! CPython version numbers, as the target states them.

use std::fmt;

/// A release of CPython.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 2 or 3.
    pub major: u8,
    /// The minor version.
    pub minor: u8,
    /// The patch level.
    pub patch: u8,
    /// The last byte of `PY_VERSION_HEX`: level (0xa0, 0xb0, 0xc0, 0xf0 final) and serial.
    pub release: u8,
}

impl Version {
    /// The patch level where it is not known: higher than any.
    pub const SOME_PATCH: u8 = 99;

    /// A final release.
    pub const fn new(major: u8, minor: u8, patch: u8) -> Version {
        Version { major, minor, patch, release: 0xf0 }
    }

    /// From `PY_VERSION_HEX` (Include/patchlevel.h): a byte each for major, minor, patch
    /// and release.
    pub fn from_hex(hex: u64) -> Option<Version> {
        if hex >> 32 != 0 {
            return None;
        }
        let [major, minor, patch, release] = (hex as u32).to_be_bytes();
        let version = Version { major, minor, patch, release };
        version.plausible().then_some(version)
    }

    /// From the beginning of `sys.version`: `3.11.7 (main, May  9 2026, ...) [GCC ...]`.
    /// `None` for anything that is not shaped so.
    pub fn from_banner(text: &str) -> Option<Version> {
        let (number, rest) = text.split_once(" (")?;
        let (build, compiler) = rest.split_once(')')?;
        // conda: `3.9.6 | packaged by conda-forge | (default, ...`
        let number = number.split_once(" |").map_or(number, |(number, _)| number);
        if build.len() < 5 || !compiler.trim_start_matches([' ', '\n']).starts_with('[') {
            return None;
        }
        Version::from_number(number)
    }

    /// From `3.11.7`, `3.15.0b1+`, `2.7`.
    pub fn from_number(number: &str) -> Option<Version> {
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (digits, suffix) = number.split_at(end);
        let mut parts = digits.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next().map_or(Some(0), |part| part.parse().ok())?;
        let serial = |rest: &str| rest.trim_end_matches('+').parse::<u8>().unwrap_or(0) & 0xf;
        let release = if let Some(rest) = suffix.strip_prefix("rc") {
            0xc0 | serial(rest)
        } else if let Some(rest) = suffix.strip_prefix('a') {
            0xa0 | serial(rest)
        } else if let Some(rest) = suffix.strip_prefix('b') {
            0xb0 | serial(rest)
        } else {
            0xf0
        };
        let version = Version { major, minor, patch, release };
        version.plausible().then_some(version)
    }

    /// Whether it is at least `major.minor`.
    pub fn at_least(self, major: u8, minor: u8) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    fn plausible(self) -> bool {
        let known = matches!((self.major, self.minor), (2, 3..=7) | (3, 0..=60));
        known && matches!(self.release >> 4, 0xa | 0xb | 0xc | 0xf)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.patch == Version::SOME_PATCH {
            return write!(f, "{}.{}", self.major, self.minor);
        }
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        match (self.release >> 4, self.release & 0xf) {
            (0xa, serial) => write!(f, "a{serial}"),
            (0xb, serial) => write!(f, "b{serial}"),
            (0xc, serial) => write!(f, "rc{serial}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_and_hex() {
        let banner = "3.8.18 (default, May  9 2026, 07:35:25) \n[GCC 12.2.0]";
        assert_eq!(Version::from_banner(banner), Some(Version::new(3, 8, 18)));
        assert_eq!(Version::from_banner("3.8.18 (default)"), None);
        let conda =
            "3.9.6 | packaged by conda-forge | (default, Jul 11 2021, 03:39:48) \n[GCC 9.3.0]";
        assert_eq!(Version::from_banner(conda), Some(Version::new(3, 9, 6)));
        assert_eq!(Version::from_banner("1.2.11 (zlib build of something) [x]"), None);
        let rc = Version::from_hex(0x030f00c2).expect("rc");
        assert_eq!(rc.to_string(), "3.15.0rc2");
        assert_eq!(Version::from_number("3.15.0rc2"), Some(rc));
        assert_eq!(Version::from_number("2.7.18+"), Some(Version::new(2, 7, 18)));
        assert!(rc.at_least(3, 13) && !rc.at_least(3, 16));
        assert_eq!(Version::from_hex(0x1_0000_0000), None);
        assert_eq!(Version::from_hex(0), None);
    }
}
