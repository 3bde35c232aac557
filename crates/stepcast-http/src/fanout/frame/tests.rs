//! The reader against an independent implementation, on streams that are right, wrong and cut anywhere.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError,
    protocol::{
        Role, WebSocketConfig,
        frame::{
            Frame as OracleFrame, FrameHeader,
            coding::{Control, Data, OpCode},
        },
    },
};

use super::*;

/// The connection as the oracle sees it: these bytes, then the end; what it answers is dropped.
struct Script(Cursor<Vec<u8>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Script {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was read until the input, or the patience, ended.
#[derive(Debug, PartialEq)]
struct Reading {
    messages: Vec<Incoming>,
    refused: bool,
}

fn read(bytes: &[u8], chunks: &[usize]) -> Reading {
    let mut reader = FrameReader::default();
    let mut messages = Vec::new();
    let mut rest = bytes;
    let mut chunks = chunks.iter().copied().cycle();
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(chunks.next().unwrap_or(1).clamp(1, rest.len()));
        rest = later;
        loop {
            match reader.next(&mut now) {
                Ok(None) => break,
                Err(_) => {
                    return Reading {
                        messages,
                        refused: true,
                    };
                }
                Ok(Some(incoming)) => {
                    let ends = matches!(incoming, Incoming::Close(_));
                    messages.push(incoming);
                    if ends {
                        return Reading {
                            messages,
                            refused: false,
                        };
                    }
                }
            }
        }
    }
    Reading {
        messages,
        refused: false,
    }
}

fn oracle(bytes: &[u8]) -> Reading {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(limits::CLIENT_FRAME_BYTES))
        .max_frame_size(Some(limits::CLIENT_FRAME_BYTES));
    let script = Script(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(script, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => messages.push(Incoming::Text(text.to_string())),
            Ok(Message::Binary(_)) => messages.push(Incoming::Binary),
            Ok(Message::Ping(payload)) => messages.push(Incoming::Ping(payload.to_vec())),
            Ok(Message::Pong(_)) => messages.push(Incoming::Pong),
            Ok(Message::Close(close)) => {
                messages.push(Incoming::Close(close.map(|close| close.code.into())));
                return Reading {
                    messages,
                    refused: false,
                };
            }
            Ok(Message::Frame(_)) => {}
            Err(
                Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
                | Error::ConnectionClosed
                | Error::Io(_),
            ) => {
                return Reading {
                    messages,
                    refused: false,
                };
            }
            Err(_) => {
                return Reading {
                    messages,
                    refused: true,
                };
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Sent {
    opcode: OpCode,
    fin: bool,
    payload: Vec<u8>,
}

fn encode(frames: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, sent) in frames.iter().enumerate() {
        let mask = u32::try_from(index)
            .unwrap()
            .wrapping_mul(0x9E37_79B9)
            .to_be_bytes();
        let header = FrameHeader {
            is_final: sent.fin,
            opcode: sent.opcode,
            mask: Some(mask),
            ..FrameHeader::default()
        };
        let frame = OracleFrame::from_payload(header, sent.payload.clone().into());
        frame.format(&mut bytes).unwrap();
    }
    bytes
}

fn control() -> impl Strategy<Value = Sent> {
    let opcode = prop_oneof![Just(Control::Ping), Just(Control::Pong)];
    (opcode, prop::collection::vec(any::<u8>(), 0..126)).prop_map(|(opcode, payload)| Sent {
        opcode: OpCode::Control(opcode),
        fin: true,
        payload,
    })
}

/// One message in fragments, with control frames between them.
fn message() -> impl Strategy<Value = Vec<Sent>> {
    let length = prop_oneof![0..200_usize, 65_530..65_540_usize, 100..9_000_usize];
    let text = length.prop_map(|length| {
        "aé漢🦀"
            .chars()
            .cycle()
            .take(length / 3)
            .collect::<String>()
    });
    (
        text,
        any::<bool>(),
        prop::collection::vec((any::<prop::sample::Index>(), control()), 0..4),
    )
        .prop_map(|(text, is_text, cuts)| {
            let bytes = text.into_bytes();
            let mut ends: Vec<usize> = cuts
                .iter()
                .map(|(cut, _)| cut.index(bytes.len() + 1))
                .collect();
            ends.sort_unstable();
            let mut frames = Vec::new();
            let mut start = 0;
            let first = if is_text { Data::Text } else { Data::Binary };
            for (end, (_, between)) in ends.into_iter().zip(cuts) {
                let opcode = if frames.is_empty() {
                    first
                } else {
                    Data::Continue
                };
                frames.push(Sent {
                    opcode: OpCode::Data(opcode),
                    fin: false,
                    payload: bytes[start..end].to_vec(),
                });
                frames.push(between);
                start = end;
            }
            let opcode = if frames.is_empty() {
                first
            } else {
                Data::Continue
            };
            frames.push(Sent {
                opcode: OpCode::Data(opcode),
                fin: true,
                payload: bytes[start..].to_vec(),
            });
            frames
        })
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(message(), 0..4).prop_map(|messages| encode(&messages.concat()))
}

proptest! {
    #[test]
    fn right_streams_are_read_as_the_oracle_reads_them(
        bytes in stream(),
        chunks in prop::collection::vec(1..5_000_usize, 1..8),
    ) {
        let expected = oracle(&bytes);
        prop_assert_eq!(read(&bytes, &chunks), expected);
    }

    #[test]
    fn damaged_streams_are_refused_where_the_oracle_refuses_them(
        bytes in stream(),
        chunks in prop::collection::vec(1..5_000_usize, 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = bytes;
        for (place, byte) in damage {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let (ours, mut theirs) = (read(&bytes, &chunks), oracle(&bytes));
        if ours.refused && !theirs.refused {
            // The oracle waits for the end of a frame that it will refuse. Were the frame right, its message would be there then.
            bytes.resize(bytes.len() + 128 * 1024, 0);
            theirs = oracle(&bytes);
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn any_bytes_in_any_pieces_end_the_same_way(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        chunks in prop::collection::vec(1..50_usize, 1..8),
    ) {
        prop_assert_eq!(read(&bytes, &chunks), read(&bytes, &[usize::MAX]));
    }

    #[test]
    fn what_is_written_is_read_by_the_oracle(texts in prop::collection::vec(".{0,300}", 0..5), long in 65_000..66_000_usize) {
        let mut bytes = Vec::new();
        let texts: Vec<String> = texts.into_iter().chain(["x".repeat(long)]).collect();
        for text in &texts {
            put_text(&mut bytes, text.as_bytes());
        }
        let script = Script(Cursor::new(bytes));
        let mut socket = WebSocket::from_raw_socket(script, Role::Client, None);
        for text in texts {
            prop_assert_eq!(socket.read().unwrap(), Message::text(text));
        }
    }
}

#[test]
fn each_violation_has_its_close_code() {
    let oversized = [0x81, 0xFE, 0x80, 0x01, 0, 0, 0, 0];
    for (bytes, code) in [
        (&[0x81, 0x01, b'a'][..], 1002),
        (&[0xC1, 0x80, 0, 0, 0, 0], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x09, 0x80, 0, 0, 0, 0], 1002),
        (&[0x89, 0xFE, 0, 126], 1002),
        (&[0x80, 0x80, 0, 0, 0, 0], 1002),
        (&[0x88, 0x81, 0, 0, 0, 0, 1], 1002),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007),
        (&oversized, 1009),
        (&[0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
    ] {
        let mut input = bytes;
        let violation = FrameReader::default().next(&mut input).unwrap_err();
        assert_eq!(violation.close_code(), code, "{bytes:x?}: {violation}");
    }
}

#[test]
fn fragments_count_together_towards_the_limit() {
    let half = vec![b'a'; limits::CLIENT_FRAME_BYTES / 2 + 1];
    let fragment = |opcode, fin| Sent {
        opcode: OpCode::Data(opcode),
        fin,
        payload: half.clone(),
    };
    let bytes = encode(&[fragment(Data::Text, false), fragment(Data::Continue, true)]);
    assert!(read(&bytes, &[1_000]).refused);
}

#[test]
fn a_close_frame_keeps_whole_characters() {
    let frame = close(4008, &"é".repeat(100));
    assert_eq!(frame.len(), 2 + 2 + 122);
    assert!(std::str::from_utf8(&frame[4..]).is_ok());
}
