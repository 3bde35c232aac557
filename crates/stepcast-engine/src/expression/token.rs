//! The words of an expression.

use std::ops::Range;

use serde_json::Number;

/// A word, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Name(String),
    Text(String),
    Number(Number),
    Symbol(&'static str),
    End,
}

/// Why a text is no expression, and the byte where that shows.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: String,
}

impl Fault {
    pub(super) fn new(at: usize, problem: impl Into<String>) -> Self {
        Self {
            at,
            problem: problem.into(),
        }
    }
}

/// Longer ones first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "<", ">",
    "!", "+", "-", "*", "/", "%", "=",
];

/// All words of the text, and [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut reader = Reader { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        reader.skip_space();
        let start = reader.at;
        let kind = reader.token()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token {
            kind,
            span: start..reader.at,
        });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<TokenKind, Fault> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        let rest = self.rest();
        if let Some(quote) = ["r'", "r\"", "R'", "R\""]
            .into_iter()
            .find(|quote| rest.starts_with(quote))
        {
            self.at += 1;
            return self.string(&quote[1..], Escapes::Kept);
        }
        if let Some(quote) = ["'", "\""]
            .into_iter()
            .find(|quote| rest.starts_with(quote))
        {
            return self.string(quote, Escapes::Read);
        }
        if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(TokenKind::Name(name.to_owned()));
        }
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
            return Err(Fault::new(
                self.at,
                format!("`{first}` has no meaning here; put text between quotes"),
            ));
        };
        if symbol == "=" {
            return Err(Fault::new(
                self.at,
                "`=` has no meaning here; write `==` to compare",
            ));
        }
        self.at += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }

    fn number(&mut self) -> Result<TokenKind, Fault> {
        let start = self.at;
        let too_large = || Fault::new(start, "the number is too large; write it as text");
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            let number = u64::from_str_radix(digits, 16).map_err(|_| too_large())?;
            self.skip_unsigned_mark();
            return Ok(TokenKind::Number(number.into()));
        }
        self.take_while(|c| c.is_ascii_digit());
        let mut is_double = false;
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            is_double = true;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        let exponent = self.rest();
        if exponent.starts_with(['e', 'E']) {
            let digits = exponent[1..].trim_start_matches(['+', '-']);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                is_double = true;
                self.at += exponent.len() - digits.len();
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let text = &self.text[start..self.at];
        let number = if is_double {
            text.parse().ok().and_then(Number::from_f64)
        } else {
            text.parse::<u64>().ok().map(Number::from)
        };
        self.skip_unsigned_mark();
        number.map(TokenKind::Number).ok_or_else(too_large)
    }

    /// CEL marks unsigned numbers with `u`; JSON knows no such thing.
    fn skip_unsigned_mark(&mut self) {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
        }
    }

    fn string(&mut self, quote: &str, escapes: Escapes) -> Result<TokenKind, Fault> {
        let start = self.at;
        let triple = quote.repeat(3);
        let quote = if self.rest().starts_with(&triple) {
            triple.as_str()
        } else {
            quote
        };
        self.at += quote.len();
        let mut found = String::new();
        loop {
            if self.rest().starts_with(quote) {
                self.at += quote.len();
                return Ok(TokenKind::Text(found));
            }
            let at = self.at;
            match self.next() {
                None => {
                    let problem = format!("the text that starts here does not end; add {quote}");
                    return Err(Fault::new(start, problem));
                }
                Some('\n' | '\r') if quote.len() == 1 => {
                    let problem = "a line ends within a text; write \\n, or use three quotes";
                    return Err(Fault::new(at, problem));
                }
                Some('\\') if escapes == Escapes::Read => found.push(self.escape(at)?),
                Some(c) => found.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<char, Fault> {
        let bad = || Fault::new(at, "no such escape; write \\\\ for a backslash");
        Ok(match self.next().ok_or_else(bad)? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            c @ ('\\' | '\'' | '"' | '`' | '?') => c,
            'x' | 'X' => self.code_point(2, 16).ok_or_else(bad)?,
            'u' => self.code_point(4, 16).ok_or_else(bad)?,
            'U' => self.code_point(8, 16).ok_or_else(bad)?,
            '0'..='3' => {
                self.at -= 1;
                self.code_point(3, 8).ok_or_else(bad)?
            }
            _ => return Err(bad()),
        })
    }

    fn code_point(&mut self, digits: usize, radix: u32) -> Option<char> {
        let text = self.rest().get(..digits)?;
        if !text.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        self.at += digits;
        char::from_u32(u32::from_str_radix(text, radix).ok()?)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Read,
    Kept,
}
