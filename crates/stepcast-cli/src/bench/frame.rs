//! WebSocket frames as a server sends them, and what a benchmark has to know of them. Pure: bytes in, facts out.

use memchr::memmem::Finder;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Stands before what a message says of itself, whatever else the server's frame says.
const MARK: &[u8] = br#""bench":["#;
const GAP: &[u8] = br#""kind":"gap""#;
const DATA: &[u8] = br#""kind":"data""#;
/// Stands for a close frame without a code.
const NO_CODE: u16 = 1005;

/// What one frame says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// A message of the benchmark.
    Message(Mark),
    /// The server tells that something is gone.
    Gap,
    /// The server wants its bytes back.
    Ping(Vec<u8>),
    /// The server has ended the connection, with this code and reason.
    Close(u16, String),
    /// Something else, e.g. `hello`.
    Other,
}

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its place in its channel, from 1.
    pub(super) number: u64,
    /// When it was published or ought to have been, in nanoseconds of the benchmark's clock; 0 means no time.
    pub(super) at: u64,
}

impl Mark {
    /// In place of a time: nothing is published to the channel after this message.
    pub(super) const LAST: u64 = u64::MAX;

    pub(super) fn is_last(self) -> bool {
        self.at == Self::LAST
    }

    /// A payload of about this many bytes.
    pub(super) fn payload(self, bytes: usize) -> String {
        let Self { number, at } = self;
        let mut payload = format!("{{\"bench\":[{number},{at}],\"pad\":\"");
        let end = "\"}";
        while payload.len() + end.len() < bytes {
            payload.push('x');
        }
        payload + end
    }

    /// The marker's two numbers, from behind it.
    fn read(text: &[u8]) -> Option<Self> {
        let (number, text) = digits(text)?;
        let (at, _) = digits(text.strip_prefix(b",")?)?;
        Some(Self { number, at })
    }
}

fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

/// Tells frames apart.
#[derive(Debug)]
pub(super) struct Frames {
    mark: Finder<'static>,
    data: Finder<'static>,
    gap: Finder<'static>,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            mark: Finder::new(MARK),
            data: Finder::new(DATA),
            gap: Finder::new(GAP),
        }
    }

    /// The first whole frame of these bytes and how long it is; nothing while it is not whole.
    pub(super) fn first(&self, bytes: &[u8]) -> Result<Option<(Fact, usize)>, String> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let extended = match second & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < extended {
            return Ok(None);
        }
        let len = match extended {
            0 => u64::from(second & !MASKED),
            _ => rest[..extended]
                .iter()
                .fold(0, |len, byte| (len << 8) | u64::from(*byte)),
        };
        if first & FIN == 0 || second & MASKED != 0 {
            return Err("a frame of the server is masked or comes in parts, which no server of the protocol sends".to_owned());
        }
        let head = 2 + extended;
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| len.checked_add(head));
        let Some(payload) = end.and_then(|end| bytes.get(head..end)) else {
            return Ok(None);
        };
        let fact = self.fact(first & 0x0F, payload);
        Ok(Some((fact, head + payload.len())))
    }

    fn fact(&self, opcode: u8, payload: &[u8]) -> Fact {
        match opcode {
            0x1 => self.text(payload),
            0x8 => close(payload),
            0x9 => Fact::Ping(payload.to_vec()),
            _ => Fact::Other,
        }
    }

    fn text(&self, payload: &[u8]) -> Fact {
        let found = self.mark.find(payload);
        let mark = found.and_then(|place| Mark::read(&payload[place + MARK.len()..]));
        match mark {
            Some(mark) if self.data.find(payload).is_some() => Fact::Message(mark),
            _ if self.gap.find(payload).is_some() => Fact::Gap,
            _ => Fact::Other,
        }
    }
}

fn close(payload: &[u8]) -> Fact {
    match payload {
        [high, low, reason @ ..] => Fact::Close(
            u16::from_be_bytes([*high, *low]),
            String::from_utf8_lossy(reason).into_owned(),
        ),
        _ => Fact::Close(NO_CODE, String::new()),
    }
}

/// The answer to a ping. A client's frames are masked; a mask of zeros leaves the bytes as they are.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len().min(125)).unwrap_or(125);
    let mut frame = vec![FIN | 0xA, MASKED | len, 0, 0, 0, 0];
    frame.extend_from_slice(&payload[..usize::from(len)]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &str) -> Vec<u8> {
        let mut frame = vec![FIN | 1];
        match u8::try_from(payload.len()) {
            Ok(len) if len < 126 => frame.push(len),
            _ => {
                frame.push(126);
                let len = u16::try_from(payload.len()).unwrap();
                frame.extend(len.to_be_bytes());
            }
        }
        frame.extend(payload.as_bytes());
        frame
    }

    #[test]
    fn a_message_is_found_wherever_the_server_puts_it() {
        let mark = Mark { number: 7, at: 99 };
        let payload = mark.payload(200);
        assert_eq!(payload.len(), 200);
        assert!(serde_json::from_str::<serde_json::Value>(&payload).is_ok());
        let bytes = text(&format!(r#"{{"id":"1-2","data":{payload},"kind":"data"}}"#));
        let frames = Frames::new();
        for cut in 0..bytes.len() {
            assert_eq!(frames.first(&bytes[..cut]), Ok(None), "{cut}");
        }
        let mut two = bytes.clone();
        two.extend(text("{}"));
        assert_eq!(
            frames.first(&two),
            Ok(Some((Fact::Message(mark), bytes.len())))
        );
        assert_eq!(
            frames.first(&two[bytes.len()..]),
            Ok(Some((Fact::Other, 4)))
        );
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let frames = Frames::new();
        let fact = |bytes: &[u8]| frames.first(bytes).unwrap().unwrap().0;
        assert_eq!(fact(&text(r#"{"kind":"gap","topic":"t"}"#)), Fact::Gap);
        assert_eq!(fact(&text(r#"{"kind":"hello"}"#)), Fact::Other);
        assert_eq!(fact(&[FIN | 9, 1, 5]), Fact::Ping(vec![5]));
        assert_eq!(
            fact(&[FIN | 8, 3, 0x0F, 0xA8, b'x']),
            Fact::Close(4008, "x".to_owned())
        );
        assert_eq!(fact(&[FIN | 8, 0]), Fact::Close(NO_CODE, String::new()));
        assert!(frames.first(&[1, 0]).is_err(), "a fragment");
        assert_eq!(pong(&[5]), [FIN | 10, MASKED | 1, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn a_payload_that_is_wished_too_small_says_what_it_has_to() {
        let payload = Mark { number: 1, at: 2 }.payload(0);
        assert_eq!(payload, r#"{"bench":[1,2],"pad":""}"#);
        let last = Mark {
            number: 3,
            at: Mark::LAST,
        };
        let bytes = text(&format!(r#"{{"data":{},"kind":"data"}}"#, last.payload(0)));
        let fact = Frames::new().first(&bytes).unwrap().unwrap().0;
        assert_eq!(fact, Fact::Message(last));
        assert!(last.is_last());
    }
}
