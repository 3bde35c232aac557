//! WebSocket frames as a server writes and reads them (RFC 6455). Pure: bytes in, frames out, no I/O.
//!
//! What is written never belongs to one connection, so that one encoding serves every reader. What is read comes in pieces of
//! any size: [`FrameReader`] takes each piece as it arrives, unmasks it, joins fragments and refuses what the RFC forbids. It
//! holds memory only while a message is incomplete.

use stepcast_protocol::limits;

/// What a frame is for. Only these six exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}

/// Bytes that a control frame may carry.
const CONTROL_BYTES: usize = 125;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Bytes of the longest header: two, a length of eight and a mask.
const HEADER_BYTES: usize = 14;

/// Bytes of the longest header of the server's: without a mask.
pub(super) const HEAD_BYTES: usize = 10;

/// Appends a text frame.
pub(crate) fn put_text(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(FIN | 0x1);
    match payload.len() {
        len @ 0..=125 => out.push(u8::try_from(len).expect("at most 125")),
        len @ 126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&u16::try_from(len).expect("at most 65,535").to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// A text frame.
pub(crate) fn text(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + HEAD_BYTES);
    put_text(&mut out, payload);
    out
}

/// An empty ping.
pub(crate) const PING: [u8; 2] = [FIN | 0x9, 0];

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    control(0xA, payload)
}

/// A close frame. A reason that is too long loses its end.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(CONTROL_BYTES - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    control(0x8, &payload)
}

fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(CONTROL_BYTES)];
    let mut out = Vec::with_capacity(2 + payload.len());
    out.push(FIN | opcode);
    out.push(u8::try_from(payload.len()).expect("at most 125"));
    out.extend_from_slice(payload);
    out
}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A whole text message.
    Text(String),
    /// A whole binary message; nobody here wants one, so its bytes are not kept.
    Binary,
    /// Wants its payload back.
    Ping(Vec<u8>),
    /// Still there.
    Pong,
    /// Wants to end; the code it gave, if any. Whatever follows is to be ignored.
    Close(Option<u16>),
}

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("client frames must be masked")]
    Unmasked,
    #[error("reserved bits are set and no extension was agreed on")]
    ReservedBits,
    #[error("the opcode is reserved")]
    ReservedOpcode,
    #[error("control frames may not be fragmented or longer than 125 bytes")]
    BadControl,
    #[error("a fragment has no beginning or no end")]
    BadFragment,
    #[error("a close frame carries a code that may not be sent")]
    BadClose,
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a message has more than {} bytes", limits::CLIENT_FRAME_BYTES)]
    TooLarge,
}

impl Violation {
    /// The close code that names it.
    pub(crate) fn close_code(self) -> u16 {
        match self {
            Self::Unmasked
            | Self::ReservedBits
            | Self::ReservedOpcode
            | Self::BadControl
            | Self::BadFragment
            | Self::BadClose => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
        }
    }
}

/// Reads client frames from pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    header: [u8; HEADER_BYTES],
    header_len: u8,
    frame: Option<Frame>,
    /// The data message under way, unmasked.
    message: Vec<u8>,
    /// What the message is, while fragments of it are missing.
    kind: Option<Kind>,
    /// How much of a text message is known to be UTF-8.
    valid: usize,
    /// The control frame under way.
    control: Vec<u8>,
}

/// A frame whose header is known.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    mask: [u8; 4],
    len: usize,
    read: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

impl FrameReader {
    /// Takes bytes off the front of `input` until something is complete; nothing when all were taken and more are needed.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(input)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let frame = self.read_payload(frame, input);
            if frame.read < frame.len {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(incoming) = self.on_frame(frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        loop {
            let len = usize::from(self.header_len);
            let needed = match len {
                0 | 1 => 2,
                _ => {
                    check_start(self.header[0], self.header[1])?;
                    header_len(self.header[1])
                }
            };
            if len == needed {
                self.header_len = 0;
                return self.on_header(needed).map(Some);
            }
            let taken = input.len().min(needed - len);
            if taken == 0 {
                return Ok(None);
            }
            let (now, later) = input.split_at(taken);
            self.header[len..len + taken].copy_from_slice(now);
            self.header_len += u8::try_from(taken).expect("a header has at most 14 bytes");
            *input = later;
        }
    }

    fn on_header(&self, len: usize) -> Result<Frame, Violation> {
        let opcode = Opcode::from_bits(self.header[0] & 0x0F).ok_or(Violation::ReservedOpcode)?;
        let (length, mask) = self.header[2..len].split_at(len - 6);
        let length = match length {
            [] => u64::from(self.header[1] & 0x7F),
            long => long
                .iter()
                .fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        };
        match (opcode, self.kind) {
            (Opcode::Continuation, None) | (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::BadFragment);
            }
            _ => {}
        }
        let len = usize::try_from(length)
            .ok()
            .filter(|len| {
                opcode.is_control() || self.message.len() + len <= limits::CLIENT_FRAME_BYTES
            })
            .ok_or(Violation::TooLarge)?;
        Ok(Frame {
            opcode,
            fin: self.header[0] & FIN != 0,
            mask: mask.try_into().expect("a mask has four bytes"),
            len,
            read: 0,
        })
    }

    fn read_payload(&mut self, mut frame: Frame, input: &mut &[u8]) -> Frame {
        let (now, later) = input.split_at(input.len().min(frame.len - frame.read));
        *input = later;
        let target = if frame.opcode.is_control() {
            &mut self.control
        } else {
            &mut self.message
        };
        target.extend(
            now.iter()
                .zip(frame.read..)
                .map(|(byte, index)| byte ^ frame.mask[index % 4]),
        );
        frame.read += now.len();
        frame
    }

    fn on_frame(&mut self, frame: Frame) -> Result<Option<Incoming>, Violation> {
        match frame.opcode {
            Opcode::Ping => Ok(Some(Incoming::Ping(std::mem::take(&mut self.control)))),
            Opcode::Pong => {
                self.control = Vec::new();
                Ok(Some(Incoming::Pong))
            }
            Opcode::Close => on_close(&std::mem::take(&mut self.control)).map(Some),
            Opcode::Text => self.on_fragment(Kind::Text, frame.fin),
            Opcode::Binary => self.on_fragment(Kind::Binary, frame.fin),
            Opcode::Continuation => {
                let kind = self.kind.ok_or(Violation::BadFragment)?;
                self.on_fragment(kind, frame.fin)
            }
        }
    }

    fn on_fragment(&mut self, kind: Kind, fin: bool) -> Result<Option<Incoming>, Violation> {
        if kind == Kind::Text {
            self.check_text(fin)?;
        }
        if !fin {
            self.kind = Some(kind);
            return Ok(None);
        }
        self.kind = None;
        self.valid = 0;
        let message = std::mem::take(&mut self.message);
        Ok(Some(match kind {
            Kind::Binary => Incoming::Binary,
            Kind::Text => {
                Incoming::Text(String::from_utf8(message).map_err(|_| Violation::NotUtf8)?)
            }
        }))
    }

    /// What has arrived may end inside a character as long as more can come.
    fn check_text(&mut self, fin: bool) -> Result<(), Violation> {
        match std::str::from_utf8(&self.message[self.valid..]) {
            Ok(_) => {
                self.valid = self.message.len();
                Ok(())
            }
            Err(error) if error.error_len().is_none() && !fin => {
                self.valid += error.valid_up_to();
                Ok(())
            }
            Err(_) => Err(Violation::NotUtf8),
        }
    }
}

/// What can be said from the first two bytes.
fn check_start(first: u8, second: u8) -> Result<(), Violation> {
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(Violation::ReservedOpcode)?;
    if opcode.is_control() && (first & FIN == 0 || usize::from(second & 0x7F) > CONTROL_BYTES) {
        return Err(Violation::BadControl);
    }
    if second & MASKED == 0 {
        return Err(Violation::Unmasked);
    }
    Ok(())
}

/// Bytes of a masked frame's header.
fn header_len(second: u8) -> usize {
    match second & 0x7F {
        126 => 8,
        127 => HEADER_BYTES,
        _ => 6,
    }
}

fn on_close(payload: &[u8]) -> Result<Incoming, Violation> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() {
            Ok(Incoming::Close(None))
        } else {
            Err(Violation::BadClose)
        };
    };
    let code = u16::from_be_bytes([*high, *low]);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::BadClose);
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Incoming::Close(Some(code))),
        Err(_) => Err(Violation::NotUtf8),
    }
}

#[cfg(test)]
mod tests;
