//! Too little room.

use stepcast_engine::store::{
    Batch, CommitError, Expect, Fence, Phase, StoreExt, Write, conformance::samples,
    sqlite::SqliteOptions,
};
use stepcast_protocol::ErrorCode;

use super::{Home, message, put, within};

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn a_full_database_refuses_what_does_not_fit() {
    let mut home = Home::with(SqliteOptions::new().with_max_bytes(MIB));
    let store = home.open();
    let mut offset = 0;
    let refused = loop {
        offset += 1;
        match put(&store, message(offset, 100_000)).await {
            Ok(_) => assert!(offset < 20, "the bound is never met"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CommitError::NoSpace(_)), "{refused}");
    assert_eq!(refused.code(), ErrorCode::NoSpace);
    // What fits still does, also beside what does not.
    let [large, small] = [100_000, 100]
        .map(|bytes| store.commit(Batch::of(vec![message(offset + bytes as u64, bytes)])));
    assert!(matches!(within(large).await, Err(CommitError::NoSpace(_))));
    within(small).await.unwrap();
    drop(store);

    home.options = SqliteOptions::new().with_max_bytes(2 * MIB);
    put(&home.open(), message(offset, 100_000)).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_takes_no_new_work() {
    let home = Home::with(SqliteOptions::new().with_min_free_bytes(u64::MAX));
    let store = home.open();
    for write in [message(1, 10), Write::Event(samples::event(1, "e"))] {
        let refused = put(&store, write).await.unwrap_err();
        assert!(matches!(refused, CommitError::NoSpace(_)), "{refused}");
        assert!(
            refused
                .to_string()
                .contains("bytes are free, at least 18446744073709551615 are needed"),
            "{refused}"
        );
    }
    let repeated = Batch {
        expect: vec![Expect::RunIsKept(samples::run_id(1))],
        ..Batch::of(vec![samples::write_run(samples::run(2, Phase::Leased))])
    };
    let refused = within(store.commit(repeated)).await.unwrap_err();
    assert!(matches!(refused, CommitError::NoSpace(_)), "{refused}");
    let row = samples::run(1, Phase::Leased);
    let (run, lease) = (row.id, row.lease);
    put(&store, samples::write_run(row)).await.unwrap();
    let step = Batch {
        fence: Some(Fence { run, lease }),
        ..Batch::of(vec![
            samples::write_step(samples::done(1, "s", 1)),
            message(2, 10),
        ])
    };
    within(store.commit(step)).await.unwrap();
    let cancel = vec![
        samples::write_run(samples::run(1, Phase::Cancelled)),
        message(3, 10),
    ];
    within(store.commit(Batch::of(cancel))).await.unwrap();
}
