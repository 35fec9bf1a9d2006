//! Glob patterns, as `KEYS`, `SCAN` and `CONFIG GET` take them.

/// A pattern over bytes: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` to quote.
///
/// Matching takes at most the product of both lengths: a star that has matched
/// too little gives way to the last star only, never to earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Any run of bytes, also none.
    Star,
    One(Single),
}

/// What matches exactly one byte.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Single {
    Any,
    Literal(u8),
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl Glob {
    /// Reads a pattern. Every sequence of bytes is one: what looks unfinished
    /// is taken as Redis takes it.
    pub fn new(pattern: &[u8]) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((&first, tail)) = rest.split_first() {
            let (token, tail) = read_token(first, tail);
            rest = tail;
            if token != Token::Star || tokens.last() != Some(&Token::Star) {
                tokens.push(token);
            }
        }
        Self { tokens }
    }

    /// Whether the pattern matches all of `text`.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut token, mut byte) = (0, 0);
        // The last star seen, and where the text after its run begins.
        let mut star: Option<(usize, usize)> = None;
        while byte < text.len() {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    star = Some((token, byte));
                    token += 1;
                }
                Some(Token::One(single)) if single.matches(text[byte]) => {
                    token += 1;
                    byte += 1;
                }
                Some(Token::One(_)) | None => match &mut star {
                    Some((at, run_end)) => {
                        *run_end += 1;
                        (token, byte) = (*at + 1, *run_end);
                    }
                    None => return false,
                },
            }
        }
        self.tokens[token..]
            .iter()
            .all(|token| *token == Token::Star)
    }
}

impl Single {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => *literal == byte,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&byte))
                    != *negated
            }
        }
    }
}

fn read_token(first: u8, rest: &[u8]) -> (Token, &[u8]) {
    match (first, rest) {
        (b'*', _) => (Token::Star, rest),
        (b'?', _) => (Token::One(Single::Any), rest),
        (b'[', _) => read_class(rest),
        (b'\\', [quoted, rest @ ..]) => (Token::One(Single::Literal(*quoted)), rest),
        (literal, _) => (Token::One(Single::Literal(literal)), rest),
    }
}

/// Reads a class from behind its `[`. One that is never closed ends with the pattern.
fn read_class(inside: &[u8]) -> (Token, &[u8]) {
    let (negated, mut rest) = match inside {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        rest = match rest {
            [] => break,
            [b'\\', quoted, tail @ ..] => {
                ranges.push((*quoted, *quoted));
                tail
            }
            [b']', tail @ ..] => {
                rest = tail;
                break;
            }
            [from, b'-', to, tail @ ..] => {
                ranges.push((*from.min(to), *from.max(to)));
                tail
            }
            [byte, tail @ ..] => {
                ranges.push((*byte, *byte));
                tail
            }
        };
    }
    (Token::One(Single::Class { negated, ranges }), rest)
}

#[cfg(test)]
mod tests;
