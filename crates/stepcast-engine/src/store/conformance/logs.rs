//! What a channel's log keeps, and what is let go of.

use std::{sync::Arc, time::Duration};

use stepcast_protocol::{Bounds, Cursor, Message};

use super::{Place, everything, offsets, put, samples::*};
use crate::store::{
    Batch, KeptRow, MessageQuery, NewestQuery, Phase, RunIs, RunRow, StoreExt, TopicRow, Write,
};

pub(super) async fn a_rollback_removes_what_it_voids_and_nothing_else(place: Box<dyn Place>) {
    let store = place.open();
    let by = || origin(1, Some("s"), 2);
    let mut writes = vec![
        said(1, "t", by()),
        said(2, "t", by()),
        said(3, "other", by()),
        said(4, "t", origin(2, Some("s"), 2)),
        said(5, "t", origin(1, Some("r"), 2)),
        said(6, "t", origin(1, None, 2)),
        said(7, "t", origin(1, Some("s"), 1)),
        said(8, "t", None),
        said(9, "t", by()),
        rollback(10, "t", by(), 1),
        said(11, "t", by()),
    ];
    writes.push(Write::Message(channel("d"), message(cursor(1, 2), "t")));
    put(&store, writes).await.unwrap();
    assert_eq!(offsets(&store, "c").await, [1, 3, 4, 5, 6, 7, 8, 10, 11]);
    assert_eq!(offsets(&store, "d").await, [2]);
    let page = store.messages(everything("c")).await.unwrap();
    let Write::Message(_, record) = rollback(10, "t", by(), 1) else {
        unreachable!("a rollback is a message");
    };
    assert_eq!(page.messages[7], *record);

    // A second record voids what came since; the first one stays, as a record is void for nobody.
    let again = vec![
        rollback(12, "t", by(), 0),
        rollback(13, "t", None, 0),
        rollback(14, "t", origin(1, None, 2), 0),
    ];
    put(&store, again).await.unwrap();
    assert_eq!(
        offsets(&store, "c").await,
        [3, 4, 5, 7, 10, 12, 13, 14],
        "records of the body and of nobody void their own"
    );
}

pub(super) async fn a_trim_takes_one_topic_up_to_a_cursor(place: Box<dyn Place>) {
    let store = place.open();
    let names = ["t", "other", "t", "other", "t", "t"];
    let all = (1..)
        .zip(names)
        .map(|(offset, name)| said(offset, name, None));
    let record = rollback(7, "t", origin(1, None, 1), 0);
    put(&store, all.chain([record]).collect()).await.unwrap();
    let trim = |to| Write::Trim(channel("c"), topic("t"), cursor(1, to));
    put(&store, vec![trim(5), trim(3)]).await.unwrap();
    assert_eq!(offsets(&store, "c").await, [2, 4, 6, 7]);
    let trimmed = vec![(topic("t"), cursor(1, 5))];
    let row = store.channel(channel("c")).await.unwrap().unwrap();
    assert_eq!((row.head, row.trimmed), (cursor(1, 7), trimmed.clone()));
    for (after, expected) in [(0, &trimmed[..]), (4, &trimmed), (5, &[]), (6, &[])] {
        let query = MessageQuery {
            after: cursor(1, after),
            limit: 1,
            ..everything("c")
        };
        let page = store.messages(query).await.unwrap();
        assert_eq!(page.trimmed, expected, "after {after}");
    }
    put(&store, vec![trim(9)]).await.unwrap();
    assert_eq!(
        offsets(&store, "c").await,
        [2, 4],
        "a record goes like a message"
    );
    let unknown = Write::Trim(channel("unknown"), topic("t"), cursor(1, 9));
    put(&store, vec![unknown]).await.unwrap();
    assert_eq!(store.channel(channel("unknown")).await.unwrap(), None);
}

pub(super) async fn a_page_and_its_trims_are_of_one_moment(place: Box<dyn Place>) {
    let store = place.open();
    let all = (1..=200).map(|offset| said(offset, "t", None)).collect();
    put(&store, all).await.unwrap();
    for n in 1..=200 {
        let trim = Write::Trim(channel("c"), topic("t"), cursor(1, n));
        let trimming = store.commit(Batch::of(vec![trim]));
        let page = store.messages(everything("c")).await.unwrap();
        let gone = page.trimmed.first().map_or(0, |(_, up_to)| up_to.offset.0);
        let first = page.messages.first().map(|first| first.cursor.offset.0);
        assert_eq!(first.unwrap_or(201), gone + 1);
        trimming.await.unwrap();
    }
}

pub(super) async fn texts_of_a_run_become_one_message(place: Box<dyn Place>) {
    let store = place.open();
    let mut by = [1, 2, 1, 2]
        .map(|run| origin(run, Some("s"), 1))
        .into_iter();
    let mut writes: Vec<_> = (1..=4).map(|n| said(n, "t", by.next().unwrap())).collect();
    writes.push(said(5, "other", origin(1, Some("s"), 1)));
    put(&store, writes).await.unwrap();
    let Write::Message(channel, joined) = said(3, "t", origin(1, Some("s"), 1)) else {
        unreachable!("what is said is a message");
    };
    let joined = Arc::new(Message {
        payload: "{}".into(),
        ..(*joined).clone()
    });
    let fold = Write::FoldText(channel, Arc::clone(&joined));
    put(&store, vec![fold.clone(), fold]).await.unwrap();
    let page = store.messages(everything("c")).await.unwrap();
    assert_eq!(offsets(&store, "c").await, [2, 3, 4, 5]);
    assert_eq!(page.messages[1], *joined);
    assert_eq!(page.trimmed, [(topic("t"), cursor(1, 3))]);
}

pub(super) async fn a_channel_goes_when_nothing_is_left_in_it(place: Box<dyn Place>) {
    let store = place.open();
    let drop = || Write::DropChannel(channel("c"));
    let trim = Write::Trim(channel("c"), topic("t"), cursor(1, 9));
    put(&store, vec![write_message("c", 9), write_message("d", 4)])
        .await
        .unwrap();
    put(&store, vec![drop()]).await.unwrap();
    assert_eq!(offsets(&store, "c").await, [9], "it is not empty");
    put(&store, vec![trim]).await.unwrap();
    assert_eq!(store.empty_channels(None, 9).await.unwrap(), [channel("c")]);
    assert_eq!(store.offset_floor().await.unwrap(), 0);
    // A number that is given in the same batch counts.
    put(
        &store,
        vec![Write::Head(channel("c"), cursor(1, 12)), drop(), drop()],
    )
    .await
    .unwrap();
    assert_eq!(store.channel(channel("c")).await.unwrap(), None);
    assert_eq!(store.offset_floor().await.unwrap(), 12);
    assert!(store.empty_channels(None, 9).await.unwrap().is_empty());

    put(&store, vec![write_message("c", 13)]).await.unwrap();
    let row = store.channel(channel("c")).await.unwrap().unwrap();
    assert_eq!((row.head, row.trimmed), (cursor(1, 13), Vec::new()));
    let small = vec![
        Write::Head(channel("e"), cursor(1, 2)),
        Write::DropChannel(channel("e")),
    ];
    put(&store, small).await.unwrap();
    assert_eq!(store.offset_floor().await.unwrap(), 12, "it never falls");
    for name in ["x", "z", "y"] {
        put(&store, vec![Write::Head(channel(name), cursor(1, 1))])
            .await
            .unwrap();
    }
    let some = store.empty_channels(Some(channel("x")), 1).await.unwrap();
    assert_eq!(some, [channel("y")]);
}

pub(super) async fn the_newest_messages_are_found(place: Box<dyn Place>) {
    let store = place.open();
    let names = ["a", "b", "a", "b", "a"];
    let mut writes: Vec<_> = (1..)
        .zip(names)
        .map(|(offset, name)| said(offset, name, None))
        .collect();
    writes.push(rollback(6, "a", origin(1, None, 1), 0));
    writes.push(Write::Message(channel("c"), message(cursor(2, 1), "b")));
    put(&store, writes).await.unwrap();
    let query = |up_to, topics: Option<&str>, limit| NewestQuery {
        channel: channel("c"),
        up_to,
        topics: topics.map(|name| Arc::from([topic(name)])),
        limit,
    };
    let end = cursor(u64::MAX, u64::MAX);
    let first = |offset| cursor(1, offset);
    for (query, expected) in [
        (query(end, None, 3), vec![cursor(2, 1), first(5), first(4)]),
        (query(end, Some("a"), 2), vec![first(5), first(3)]),
        (query(first(3), None, 9), vec![first(3), first(2), first(1)]),
        (query(Cursor::START, None, 9), vec![]),
        (query(end, Some("none"), 9), vec![]),
    ] {
        let found = store.newest(query.clone()).await.unwrap();
        assert_eq!(found, expected, "{query:?}");
    }
}

pub(super) async fn what_is_over_the_bounds_is_found(place: Box<dyn Place>) {
    let store = place.open();
    let mut writes: Vec<_> = (1..=5).map(|offset| said(offset, "t", None)).collect();
    writes.push(rollback(6, "t", origin(1, None, 1), 0));
    writes.extend((7..=9).map(|offset| said(offset, "other", None)));
    put(&store, writes).await.unwrap();
    let Write::Message(_, one) = said(1, "t", None) else {
        unreachable!("what is said is a message");
    };
    let size = one.payload.len() as u64;
    let row = |name, messages| TopicRow {
        topic: topic(name),
        messages,
        bytes: messages * size,
    };
    let kept = store.topics(channel("c")).await.unwrap();
    assert_eq!(
        kept,
        [row("other", 3), row("t", 5)],
        "a record is no message"
    );
    for (messages, bytes, expected) in [
        (5, 5 * size, None),
        (4, 5 * size, Some(1)),
        (1, 5 * size, Some(4)),
        (0, 5 * size, Some(5)),
        (9, 5 * size - 1, Some(1)),
        (9, size, Some(4)),
        (9, size - 1, Some(5)),
    ] {
        let bounds = Bounds {
            messages,
            bytes,
            age: Duration::ZERO,
        };
        let over = store.overflow(channel("c"), topic("t"), bounds).await;
        assert_eq!(
            over.unwrap(),
            expected.map(|offset| cursor(1, offset)),
            "{bounds:?}"
        );
    }
}

pub(super) async fn what_is_kept_comes_in_commit_order(place: Box<dyn Place>) {
    let store = place.open();
    let ended = RunRow {
        ended_at: Some(at(70)),
        ..run(2, Phase::Failed)
    };
    let writes = vec![
        write_run(run(1, Phase::Parked)),
        write_run(ended),
        said(5, "t", None),
        said(2, "t", origin(1, None, 1)),
        said(3, "u", origin(2, Some("s"), 1)),
        Write::Message(channel("d"), message(cursor(1, 1), "t")),
        rollback(6, "t", origin(9, None, 1), 0),
    ];
    put(&store, writes).await.unwrap();
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let page = store.kept(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = last.place;
        rows.extend(page);
    }
    assert!(rows.is_sorted_by(|a, b| a.place < b.place));
    let told = |row: &KeptRow| {
        assert_eq!(row.created_at, at(5));
        let (channel, topic) = (row.channel.to_string(), row.topic.to_string());
        (
            channel + "/" + &topic,
            row.cursor.offset.0,
            row.run,
            row.run_is,
        )
    };
    let told: Vec<_> = rows.iter().map(told).collect();
    let row =
        |name: &str, offset, run: Option<u64>, is| (name.to_owned(), offset, run.map(run_id), is);
    let expected = [
        row("c/t", 5, None, RunIs::Unknown),
        row("c/t", 2, Some(1), RunIs::Open),
        row("c/u", 3, Some(2), RunIs::Ended(at(70))),
        row("d/t", 1, Some(1), RunIs::Open),
        row("c/t", 6, Some(9), RunIs::Unknown),
    ];
    assert_eq!(told, expected);
}
