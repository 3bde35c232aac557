//! Takes a row apart, line by line as it is read, so that a quoted field may go on over several lines.

/// Where in a row the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two that stand for one.
    Quote,
}

/// The fields of one row.
#[derive(Debug)]
pub(crate) struct Fields {
    delimiter: u8,
    quotes: bool,
    at: At,
    field: Vec<u8>,
    fields: Vec<Vec<u8>>,
}

impl Fields {
    pub(crate) fn new(delimiter: u8, quotes: bool) -> Self {
        Self {
            delimiter,
            quotes,
            at: At::FieldStart,
            field: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Takes more of the row. Says whether a quoted field is open at its end.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            self.at = match (self.at, byte) {
                (At::FieldStart, b'"') if self.quotes => At::Quoted,
                (At::Quoted, b'"') => At::Quote,
                (At::Quote, b'"') => self.push(byte, At::Quoted),
                (At::Quoted, byte) => self.push(byte, At::Quoted),
                (At::FieldStart | At::Plain | At::Quote, byte) if byte == self.delimiter => {
                    self.fields.push(std::mem::take(&mut self.field));
                    At::FieldStart
                }
                (At::FieldStart | At::Plain | At::Quote, byte) => self.push(byte, At::Plain),
            };
        }
        self.at == At::Quoted
    }

    /// The row is complete.
    pub(crate) fn finish(mut self) -> Vec<Vec<u8>> {
        self.fields.push(self.field);
        self.fields
    }

    fn push(&mut self, byte: u8, at: At) -> At {
        self.field.push(byte);
        at
    }
}
