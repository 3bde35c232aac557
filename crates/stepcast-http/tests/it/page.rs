//! The page for people: what it is made of, and what a browser may do with it.

use stepcast_http::{GatewayOptions, Keys};

use crate::server::TestServer;

/// Files that a text of the page names.
fn named(text: &str) -> Vec<String> {
    let names = text.split(['"', '\'']);
    let of_html = |name: &str| name.strip_prefix("page/").map(str::to_owned);
    let of_script = |name: &str| name.strip_prefix("./").map(str::to_owned);
    names
        .filter_map(|name| of_html(name).or_else(|| of_script(name)))
        .collect()
}

#[tokio::test]
async fn the_page_has_all_its_files_and_needs_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let page = server.get("/", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("text/html"), "{}", page.head);
    let mut files = named(&page.body);
    assert!(files.iter().any(|file| file == "main.js"), "{files:?}");
    let mut looked_at = 0;
    while looked_at < files.len() {
        let file = files[looked_at].clone();
        looked_at += 1;
        let answer = server.get(&format!("/page/{file}"), &[]).await;
        assert_eq!(answer.status, 200, "{file}");
        for name in named(&answer.body) {
            if !files.contains(&name) {
                files.push(name);
            }
        }
        for forbidden in ["innerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!answer.body.contains(forbidden), "{file}: {forbidden}");
        }
        assert_policy(&answer.head);
    }
    assert_eq!(files.len(), 10, "{files:?}");
    assert_policy(&page.head);
    for forbidden in ["<script>", "<style", " style=", "https://"] {
        assert!(!page.body.contains(forbidden), "{forbidden}");
    }
    let missing = server.get("/page/other.js", &[]).await;
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("other.js"), "{}", missing.body);
}

fn assert_policy(head: &str) {
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "nosniff",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
}

#[tokio::test]
async fn in_production_the_page_is_there_and_what_it_shows_needs_the_key() {
    let signing = "signkey-prod-00ff00ff00ff00ff00ff00ff00ff00ff".to_owned();
    let keys = Keys::production(vec!["e".to_owned()], vec![signing]).unwrap();
    let server = TestServer::with(GatewayOptions::default(), keys).await;
    assert_eq!(server.get("/", &[]).await.status, 200);
    for path in ["/v1/apps", "/v1/runs"] {
        assert_eq!(server.get(path, &[]).await.status, 401, "{path}");
    }
    let rerun = "/v1/runs/01KASE7J6K0000000000000000/rerun";
    assert_eq!(server.post(rerun, &[], "").await.status, 401);
}
