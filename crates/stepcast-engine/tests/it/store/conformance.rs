use stepcast_engine::store::conformance::{CASES, run_all};

use super::{Home, InMemory};

#[tokio::test]
async fn memory_keeps_the_contract() {
    run_all(&|| Box::new(InMemory::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_the_contract_on_many_threads() {
    run_all(&|| Box::new(InMemory::default())).await;
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    run_all(&|| Box::new(Home::new())).await;
}

#[test]
fn cases_have_names_of_their_own() {
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
}
