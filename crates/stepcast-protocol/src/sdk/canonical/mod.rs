//! JSON in the one form that both sides sign: RFC 8785.
//!
//! An SDK parses what it was sent, writes it again in this form and checks the signature of that. So members are sorted by
//! the UTF-16 units of their names, numbers are written as ECMAScript writes them, and there is no white space. Two cases
//! that the RFC leaves open follow `JSON.parse` and `JSON.stringify`: the last of several members of one name stands, and
//! half of a surrogate pair stays an escape.

mod number;
mod text;

use crate::limits;

/// Why a text has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// It is not JSON.
    #[error("byte {at} of {bytes} is not JSON")]
    NotJson {
        /// Where it stops being JSON.
        at: usize,
        /// The length of the text.
        bytes: usize,
    },
    /// Too many arrays and objects inside each other.
    #[error(
        "at byte {at} more than {} arrays and objects lie inside each other",
        limits::JSON_DEPTH
    )]
    TooDeep {
        /// Where the one too many begins.
        at: usize,
    },
    /// A number that ECMAScript reads as infinite.
    #[error("number `{number}` is beyond ±1.8e308")]
    TooLarge {
        /// Its first characters.
        number: String,
    },
}

/// Writes JSON in its canonical form.
///
/// ```
/// use stepcast_protocol::sdk::canonical;
///
/// assert_eq!(canonical(r#"{ "b": 1.50, "a": [1e3] }"#)?, r#"{"a":[1000],"b":1.5}"#);
/// # Ok::<_, stepcast_protocol::sdk::CanonicalError>(())
/// ```
///
/// # Errors
/// [`CanonicalError`] says where the text is not JSON, too deep or too large.
pub fn canonical(json: &str) -> Result<String, CanonicalError> {
    let mut writer = Writer {
        json,
        at: 0,
        depth: 0,
        out: String::with_capacity(json.len()),
    };
    writer.value()?;
    writer.skip_space();
    if writer.at < json.len() {
        return Err(writer.not_json());
    }
    Ok(writer.out)
}

/// Reads JSON from its start and writes it as it goes.
struct Writer<'a> {
    json: &'a str,
    at: usize,
    depth: usize,
    out: String,
}

/// Where a member of an object was written, and what it is sorted by.
struct Member {
    name: Vec<u16>,
    start: usize,
    end: usize,
}

impl<'a> Writer<'a> {
    fn value(&mut self) -> Result<(), CanonicalError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(|_| ()),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number(),
        }
    }

    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<(), CanonicalError>,
    ) -> Result<(), CanonicalError> {
        if self.depth == limits::JSON_DEPTH {
            return Err(CanonicalError::TooDeep { at: self.at });
        }
        self.depth += 1;
        self.at += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), CanonicalError> {
        self.out.push('[');
        if !self.skip(b']') {
            loop {
                self.value()?;
                if !self.skip(b',') {
                    break;
                }
                self.out.push(',');
            }
            self.expect(b']')?;
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), CanonicalError> {
        self.out.push('{');
        let start = self.out.len();
        let mut members = Vec::new();
        if !self.skip(b'}') {
            loop {
                members.push(self.member()?);
                if !self.skip(b',') {
                    break;
                }
                self.out.push(',');
            }
            self.expect(b'}')?;
        }
        self.sort(start, members);
        self.out.push('}');
        Ok(())
    }

    fn member(&mut self) -> Result<Member, CanonicalError> {
        self.skip_space();
        let start = self.out.len();
        if self.peek() != Some(b'"') {
            return Err(self.not_json());
        }
        let name = self.string()?;
        self.expect(b':')?;
        self.out.push(':');
        self.value()?;
        Ok(Member {
            name: text::units(name),
            start,
            end: self.out.len(),
        })
    }

    /// Puts the members that were written from `start` on in order, and leaves out those that a later one replaces.
    fn sort(&mut self, start: usize, mut members: Vec<Member>) {
        if members.is_sorted_by(|one, next| one.name < next.name) {
            return;
        }
        members.sort_by(|one, other| one.name.cmp(&other.name).then(other.start.cmp(&one.start)));
        members.dedup_by(|later, kept| later.name == kept.name);
        let sorted = members
            .iter()
            .map(|member| &self.out[member.start..member.end])
            .collect::<Vec<_>>()
            .join(",");
        self.out.truncate(start);
        self.out.push_str(&sorted);
    }

    /// Writes a string and gives what stood between its quotes.
    fn string(&mut self) -> Result<&'a str, CanonicalError> {
        let json = self.json;
        let rest = &json[self.at + 1..];
        let Some(inner) = text::inner(rest) else {
            return Err(self.not_json());
        };
        self.at += inner.len() + 2;
        text::write(inner, &mut self.out);
        Ok(inner)
    }

    fn number(&mut self) -> Result<(), CanonicalError> {
        let Some(number) = number::token(&self.json[self.at..]) else {
            return Err(self.not_json());
        };
        self.at += number.len();
        if number::write(number, &mut self.out) {
            Ok(())
        } else {
            let number = number.chars().take(32).collect();
            Err(CanonicalError::TooLarge { number })
        }
    }

    fn word(&mut self, word: &str) -> Result<(), CanonicalError> {
        if !self.json[self.at..].starts_with(word) {
            return Err(self.not_json());
        }
        self.at += word.len();
        self.out.push_str(word);
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips white space and, if it comes next, one byte.
    fn skip(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), CanonicalError> {
        if self.skip(byte) {
            Ok(())
        } else {
            Err(self.not_json())
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn not_json(&self) -> CanonicalError {
        CanonicalError::NotJson {
            at: self.at,
            bytes: self.json.len(),
        }
    }
}

#[cfg(test)]
mod tests;
