//! Commands as people type them: words with spaces between, quoted at need.

use bytes::Bytes;

use super::Words;

/// Cuts a line into words, or `None` if a quote is not closed where a word ends.
pub(super) fn split(line: &[u8]) -> Option<Words> {
    let mut words = Words::new();
    let mut rest = skip_spaces(line);
    while !rest.is_empty() {
        let (word, tail) = read_word(rest)?;
        words.push(word);
        rest = skip_spaces(tail);
    }
    Some(words)
}

fn skip_spaces(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_space(**byte)).count();
    &line[blanks..]
}

/// A space as C's `isspace` knows it, which is one more than ASCII's own.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// A word may have a quoted part, which must then be its end.
fn read_word(line: &[u8]) -> Option<(Bytes, &[u8])> {
    // Within a word Redis takes fewer bytes for a space than between words.
    let ends_plain = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'');
    let plain = line.iter().position(ends_plain).unwrap_or(line.len());
    let mut word = line[..plain].to_vec();
    let rest = match line[plain..].split_first() {
        Some((b'"', quoted)) => read_double_quoted(quoted, &mut word)?,
        Some((b'\'', quoted)) => read_single_quoted(quoted, &mut word)?,
        Some(_) | None => &line[plain..],
    };
    let ends_here = rest.first().is_none_or(|byte| is_space(*byte));
    ends_here.then(|| (word.into(), rest))
}

fn read_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..] if both_hex(*high, *low) => {
                word.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(unescape(*escaped));
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn read_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn both_hex(high: u8, low: u8) -> bool {
    high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        letter => (letter | 0x20) - b'a' + 10,
    }
}

fn unescape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}
