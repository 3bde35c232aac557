//! `/stepcast.js`: the client for pages without a build.

use stepcast_http::{GatewayOptions, Keys};

use crate::{
    clients::{Answer, ask},
    server::TestServer,
};

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[tokio::test]
async fn the_script_is_a_module_that_is_asked_for_again_only_when_it_has_changed() {
    let server = TestServer::start().await;
    let answer = server.get("/stepcast.js", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        header(&answer, "content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(header(&answer, "cache-control"), Some("no-cache"));
    assert!(answer.body.contains("export{"), "{}", answer.body);
    let tag = header(&answer, "etag").expect("it has a tag").to_owned();

    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let again = server
            .get("/stepcast.js", &[("if-none-match", &known)])
            .await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{known}");
        assert_eq!(header(&again, "etag"), Some(tag.as_str()));
    }
    let other = server
        .get("/stepcast.js", &[("if-none-match", "\"x\"")])
        .await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn pages_of_other_origins_may_import_it_and_no_key_is_asked_for() {
    let keys = Keys::production(
        vec!["e".to_owned()],
        vec!["00112233445566778899aabbccddeeff".to_owned()],
    )
    .unwrap();
    let server = TestServer::with(GatewayOptions::default(), keys).await;
    let page = ("origin", "https://page.test");
    let answer = server.get("/stepcast.js", &[page]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    let head = ask(server.address, "HEAD", "/stepcast.js", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
