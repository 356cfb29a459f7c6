//! Text from the target, made safe for one line of output.

use std::borrow::Cow;
use std::fmt::Write;

/// Replaces what would break or disguise a line of folded stacks: `;`, control characters (C0,
/// DEL, C1), line and paragraph separators, characters that change the direction of writing, and
/// the two that XML forbids.
///
/// They become `\xHH` or, above 0xff, `\uHHHH`, with lower-case digits; a newline is `\x0a`. A
/// backslash stays as it is, as Windows paths are full of them, unless what follows makes it look
/// like such an escape (`C:\x86`): then it is written `\x5c`. [`unescape`] gives the text back.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_where(text, |c| c == ';' || is_unsafe(c))
}

/// Like [`escape`], for a terminal or a line of a log: `;` has no meaning there and stays.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape_where(text, is_unsafe)
}

fn escape_where(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    let needs_escape = |&(at, c): &(usize, char)| match c {
        '\\' => escaped_char(&text[at..]).is_some(),
        c => is_unsafe(c),
    };
    let Some((first, _)) = text.char_indices().find(needs_escape) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for (at, c) in text[first..].char_indices().map(|(at, c)| (at + first, c)) {
        if !needs_escape(&(at, c)) {
            out.push(c);
            continue;
        }
        let code = u32::from(c);
        // Writing to a string cannot fail.
        let _ =
            if code <= 0xff { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{code:04x}") };
    }
    Cow::Owned(out)
}

/// The inverse of [`escape`]. What is not an escape stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (c, length) = escaped_char(&rest[at..]).unwrap_or(('\\', 1));
        out.push(c);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether the character must not reach the output as it is. All such characters lie in the basic
/// plane, so four digits are enough.
fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'
        | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || c.is_control()
}

/// The character an escape at the start of `text` stands for, and the escape's length in bytes.
fn escaped_char(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let digits = match bytes.get(..2)? {
        b"\\x" => 2,
        b"\\u" => 4,
        _ => return None,
    };
    let digits = bytes.get(2..2 + digits)?;
    let mut code = 0;
    for &digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        code = code << 4 | u32::from(value);
    }
    char::from_u32(code).map(|c| (c, 2 + digits.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_escaped() {
        assert_eq!(escape("a;b\nc\r\t\0\u{7f}\u{9b}"), r"a\x3bb\x0ac\x0d\x09\x00\x7f\x9b");
        assert_eq!(escape("\u{2028}\u{202e}\u{ffff}"), r"\u2028\u202e\uffff");
        assert!(matches!(escape("größe ☃ 🐍 <lambda>"), Cow::Borrowed(_)));
    }

    #[test]
    fn windows_paths_stay_readable() {
        for path in [r"C:\Users\new\text.py", r"C:\", r"\\server\share", r"D:\x8\uber"] {
            assert!(matches!(escape(path), Cow::Borrowed(_)), "{path}");
        }
        assert_eq!(escape(r"C:\x86"), r"C:\x5cx86");
        assert_eq!(escape(r"C:\udead"), r"C:\udead");
        assert_eq!(escape(r"C:\ubeef"), r"C:\x5cubeef");
    }

    #[test]
    fn every_text_survives_the_round_trip() {
        // All strings of up to six characters over an alphabet that is all trouble.
        let alphabet = ['\\', 'x', 'u', '5', 'c', ';', '\n'];
        let mut texts = vec![String::new()];
        for start in 0.. {
            let Some(text) = texts.get(start).cloned() else { break };
            if text.chars().count() < 6 {
                texts.extend(alphabet.iter().map(|&c| format!("{text}{c}")));
            }
            let escaped = escape(&text);
            assert!(!escaped.contains([';', '\n']));
            assert_eq!(unescape(&escaped), text, "{escaped}");
        }
        let odd = "é\\xé\\u12\u{202e}4\\x3\u{1}b🐍";
        assert_eq!(unescape(&escape(odd)), odd);
    }
}
