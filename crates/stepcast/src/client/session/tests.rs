use stepcast_protocol::{Epoch, Offset};

use super::*;

fn session() -> Session {
    let topics = ["log", "text"].map(|topic| TopicName::parse(topic).unwrap());
    let channel = ChannelName::parse("c").unwrap();
    Session::new(channel, topics.to_vec(), Some(Beginning::Start))
}

fn hello(channel: &str, topics: &str, protocol: u32) -> String {
    format!(
        r#"{{"kind":"hello","protocol":{protocol},"epoch":9,"keepalive_ms":15000,"channel":"{channel}","topics":{topics},"cursor":"9-3","session":3600}}"#
    )
}

#[test]
fn a_connection_begins_where_the_last_one_was() {
    let mut session = session();
    assert_eq!(session.from(), Some(Beginning::Start));
    let heard = session.on_text(&hello("c", r#"["log","text","extra"]"#, 1));
    let Ok(Heard::Hello {
        keepalive,
        session: length,
        unwanted,
    }) = heard
    else {
        panic!("{heard:?}");
    };
    assert_eq!((keepalive.as_secs(), length.as_secs()), (15, 3600));
    assert_eq!(unwanted, [TopicName::parse("extra").unwrap()]);
    let unsub = serde_json::to_value(session.unsub(unwanted)).unwrap();
    assert_eq!(
        unsub,
        serde_json::json!({ "kind": "unsub", "channel": "c", "topics": ["extra"] })
    );
    let here = Beginning::After(Cursor::new(Epoch(9), Offset(3)));
    assert_eq!(session.from(), Some(here));
}

#[test]
fn what_was_not_asked_for_is_an_error() {
    for (frame, code) in [
        (hello("d", r#"["log"]"#, 1), "bad_channel"),
        (hello("c", r#"["other"]"#, 1), "forbidden"),
        (hello("c", r#"["log"]"#, 2), "bad_request"),
        ("{".to_owned(), "internal"),
        (r#"{"kind":"data"}"#.to_owned(), "internal"),
    ] {
        let error = session().on_text(&frame).unwrap_err();
        assert_eq!(error.code(), code, "{frame}: {error}");
        assert!(error.is_terminal(), "{frame}: it stays wrong");
    }
}

#[test]
fn only_the_answer_to_the_last_token_counts() {
    let mut session = session();
    session.on_text(&hello("c", r#"["log"]"#, 1)).unwrap();
    let refused = |number: u64| {
        format!(r#"{{"kind":"error","ref":{number},"code":"bad_token","error":"it is old"}}"#)
    };
    assert!(matches!(session.on_text(&refused(1)), Ok(Heard::Nothing)));
    session.auth("one".to_owned());
    session.auth("two".to_owned());
    assert!(matches!(session.on_text(&refused(1)), Ok(Heard::Nothing)));
    let answer = r#"{"kind":"authenticated","ref":2,"channel":"c","session":600}"#;
    let heard = session.on_text(answer).unwrap();
    assert!(matches!(heard, Heard::Authenticated(length) if length.as_secs() == 600));
    assert!(matches!(session.on_text(answer), Ok(Heard::Nothing)));
    session.auth("three".to_owned());
    let heard = session.on_text(&refused(3)).unwrap();
    assert!(matches!(heard, Heard::TokenRefused(error) if error.code() == "bad_token"));
}

#[test]
fn closing_says_for_how_long_to_stay_away() {
    let heard = session().on_text(r#"{"kind":"closing","reconnect_ms":2310}"#);
    assert!(matches!(heard, Ok(Heard::Closing(wait)) if wait.as_millis() == 2310));
}

/// What the client of `conformance/09-sub-and-unsub.jsonl` makes of channel `b`, which it adds to a connection and gives up again.
#[test]
fn a_channel_on_a_connection_with_others_is_kept_apart() {
    let transcript = include_str!("../../../../../conformance/09-sub-and-unsub.jsonl");
    let places = [
        ("<begin>", "7-1"),
        ("<x1>", "7-1"),
        ("<y2>", "7-2"),
        ("<y4>", "7-4"),
        ("<t6>", "7-9"),
    ];
    let mut text = transcript.replace("\"<epoch>\"", "7");
    for (name, place) in places {
        text = text.replace(name, place);
    }
    let text = text.replace("<any>", "2026-11-23T19:34:01.203Z");
    let topics = ["x", "y"].map(|topic| TopicName::parse(topic).unwrap());
    let mut session = Session::new(ChannelName::parse("b").unwrap(), topics.to_vec(), None);
    let (mut items, mut froms) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        // The connection's own channel is another session's.
        let Some(frame) = line.get("server").filter(|frame| frame["kind"] != "hello") else {
            continue;
        };
        if let Heard::Item(Item::Posted { message, .. }) =
            session.on_text(&frame.to_string()).unwrap()
        {
            items.push(String::from_utf8(message.payload.to_vec()).unwrap());
        }
        froms.push(session.from().map(|from| from.to_string()));
    }
    assert_eq!(items, ["1", "2", "4"]);
    let froms: Vec<_> = froms.iter().map(Option::as_deref).collect();
    let (x1, y2, y4) = (Some("7-1"), Some("7-2"), Some("7-4"));
    assert_eq!(froms, [Some("0-0"), x1, x1, y2, y2, y4, None, None]);
}
