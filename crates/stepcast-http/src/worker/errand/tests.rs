use axum::http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use stepcast_protocol::{
    Timestamp,
    sdk::{Action, Json},
};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_462_334_963);

fn asked(action: fn(Json) -> Action, opts: &Value) -> Result<Errand, String> {
    let request = Json::parse(opts.to_string().as_bytes()).unwrap();
    let errand = of(&action(request)).unwrap();
    errand.map_err(|error| error.message)
}

fn fetch(opts: &Value) -> Result<Errand, String> {
    asked(|request| Action::Gateway { request }, opts)
}

fn infer(opts: &Value) -> Result<Errand, String> {
    asked(|request| Action::AiGateway { request }, opts)
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_fetch_is_made_as_it_was_asked_for() {
    let errand = fetch(&json!({
        "url": "https://api.example/v1/ü b?q=a|b#part", "method": "post", "body": "x=1",
        "headers": {"authorization": "k", "Accept-Encoding": "br", "host": "inner", "connection": "upgrade"},
    }))
    .unwrap();
    assert_eq!(errand.method, Method::POST);
    assert_eq!(errand.url, "https://api.example/v1/%C3%BC%20b?q=a%7Cb");
    assert_eq!(errand.body, "x=1");
    assert_eq!(names(&errand.headers), ["authorization", "content-type"]);
    let plain = fetch(&json!({"url": "http://x", "headers": {}, "body": null})).unwrap();
    assert_eq!((plain.method, plain.body), (Method::GET, Bytes::new()));
    assert!(plain.headers.is_empty());
}

#[test]
fn the_key_of_a_model_stands_where_its_api_expects_it() {
    for (format, header, value) in [
        (json!("openai-chat"), "authorization", "Bearer k"),
        (json!("openai-responses"), "authorization", "Bearer k"),
        (Value::Null, "authorization", "Bearer k"),
        (json!("anthropic"), "x-api-key", "k"),
    ] {
        let opts =
            json!({"url": "https://m", "auth_key": "k", "format": format, "body": {"n": 1.50}});
        let errand = infer(&opts).unwrap();
        assert_eq!(errand.headers[header], value, "{opts}");
        assert_eq!(errand.method, Method::POST);
        assert_eq!(errand.body, opts["body"].to_string());
        assert_eq!(errand.headers["content-type"], "application/json");
        assert!(!format!("{errand:?}").contains('k'), "{errand:?}");
    }
    for format in ["gemini", "azure-openai"] {
        let opts = json!({"url": "https://m?key=k", "auth_key": "k", "format": format, "body": {}});
        let errand = infer(&opts).unwrap();
        assert_eq!(names(&errand.headers), ["accept", "content-type"]);
    }
    let own = json!({"url": "https://m", "auth_key": "k", "headers": {"Authorization": "mine"}});
    assert_eq!(infer(&own).unwrap().headers["authorization"], "mine");
}

#[test]
fn what_cannot_be_requested_is_said_without_its_secrets() {
    for (opts, part) in [
        (json!({}), "needs `url`"),
        (json!({"url": "nowhere"}), "`nowhere` is no URL"),
        (json!({"url": "file:///etc/passwd"}), "is no URL"),
        (json!({"url": "https://"}), "is no URL"),
        (
            json!({"url": "https://u:secret@x/"}),
            "with a user and a password",
        ),
        (
            json!({"url": "https://x", "method": "CONNECT"}),
            "`CONNECT` is no method",
        ),
        (
            json!({"url": "https://x", "method": "a b"}),
            "`a b` is no method",
        ),
        (
            json!({"url": "https://x", "body": {"0": 1}}),
            "has to be a string",
        ),
        (
            json!({"url": "https://x", "headers": {"a b": "secret"}}),
            "header `a b` cannot be sent",
        ),
        (
            json!({"url": "https://x", "headers": {"a": "secret\r\nb: c"}}),
            "header `a` cannot be sent",
        ),
        (
            json!({"url": "https://x", "publish": {"channel": "c"}}),
            "`publish`",
        ),
        (json!({"url": "nowhere?secret"}), "`nowhere` is no URL"),
        (
            json!({"url": "ftp://u:secret@x/y"}),
            "`ftp://x/y` is no URL",
        ),
        (json!({"url": "u:secret@x"}), "`x` is no URL"),
    ] {
        let error = fetch(&opts).unwrap_err();
        assert!(error.contains(part) && !error.contains("secret"), "{error}");
    }
}

fn redirected(errand: &Errand, status: u16, location: &str) -> Option<Errand> {
    let location = HeaderValue::from_str(location).unwrap();
    errand.redirected(status, Some(&location)).unwrap()
}

#[test]
fn a_redirect_keeps_keys_for_whom_they_were_given() {
    let opts = json!({
        "url": "https://a.example/one/two?x=1",
        "headers": {"authorization": "k", "x-api-key": "k", "cookie": "k", "accept": "text/html"},
    });
    let errand = fetch(&opts).unwrap();
    for (location, url, keeps) in [
        ("/three", "https://a.example/three", true),
        ("three?y", "https://a.example/one/three?y", true),
        ("../four", "https://a.example/four", true),
        ("https://A.example:443/", "https://A.example:443/", true),
        ("//b.example/", "https://b.example/", false),
        ("https://a.example:444/", "https://a.example:444/", false),
    ] {
        let next = redirected(&errand, 307, location).unwrap();
        assert_eq!(next.url, url);
        let expected: &[_] = if keeps {
            &["accept", "authorization", "cookie", "x-api-key"]
        } else {
            &["accept"]
        };
        assert_eq!(names(&next.headers), expected, "{location}");
    }
}

/// Why a redirect is not followed.
fn refusal(errand: &Errand, status: u16, location: &str) -> String {
    let location = HeaderValue::from_str(location).unwrap();
    let refused = errand.redirected(status, Some(&location));
    refused.unwrap_err().to_string()
}

#[test]
fn a_redirect_takes_a_body_to_nobody_else() {
    let opts = json!({"url": "https://a.example/?key=secret", "method": "PUT", "body": "secret"});
    let errand = fetch(&opts).unwrap();
    let here = redirected(&errand, 307, "/there").unwrap();
    assert_eq!((&here.method, &*here.body), (&Method::PUT, &b"secret"[..]));
    for (status, location, to) in [
        (307, "https://b.example/?secret", "https://b.example;"),
        (308, "//b.example:8443/", "https://b.example:8443;"),
        (302, "http://a.example/", "http://a.example;"),
        (301, "https://a.example:444/", "https://a.example:444;"),
    ] {
        let said = refusal(&errand, status, location);
        let part = format!("body from https://a.example to {to}");
        assert!(said.contains(&part) && !said.contains("secret"), "{said}");
    }
    // What becomes a GET leaves its body behind.
    let next = redirected(&errand, 303, "https://b.example/").unwrap();
    assert_eq!((next.method, next.body), (Method::GET, Bytes::new()));
    let empty = fetch(&json!({"url": "https://a.example", "method": "POST"})).unwrap();
    let next = redirected(&empty, 307, "https://b.example/").unwrap();
    assert_eq!(next.method, Method::POST);
}

#[test]
fn a_redirect_takes_no_keys_from_https_to_http() {
    let get = |url: &str, header: &str| {
        fetch(&json!({"url": url, "headers": {header: "secret"}})).unwrap()
    };
    let keyed = get("https://a.example/", "x-api-key");
    let said = refusal(&keyed, 302, "http://a.example/");
    assert!(
        said.contains("from https://a.example to http://a.example,"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
    let plain = get("https://a.example/", "accept");
    let next = redirected(&plain, 302, "http://a.example/").unwrap();
    assert_eq!(names(&next.headers), ["accept"]);
    let upgraded = redirected(
        &get("http://a.example/", "x-api-key"),
        301,
        "https://a.example/",
    );
    assert!(upgraded.unwrap().headers.is_empty());
}

#[test]
fn a_redirect_that_is_refused_is_shown_without_a_password() {
    let errand = fetch(&json!({"url": "https://a.example"})).unwrap();
    for (location, part) in [
        ("https://user:secret@host/x", "to https://host/x,"),
        ("//user:secret@host/x", "to //host/x,"),
        ("https://user:se@cret@host/x", "to what cannot be read,"),
        ("https://user:sec?ret@host/x", "to what cannot be read,"),
        ("ftp://user:secret@host/@y", "to ftp://host/@y,"),
    ] {
        let said = refusal(&errand, 302, location);
        assert!(said.contains(part) && !said.contains("user:"), "{said}");
    }
}

#[test]
fn a_redirect_changes_the_method_as_in_browsers() {
    let errand = |method: &str| fetch(&json!({"url": "https://a", "method": method, "body": "b"}));
    for (status, method, expected) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ] {
        let next = redirected(&errand(method).unwrap(), status, "/x").unwrap();
        assert_eq!(next.method, expected, "{status} {method}");
        let has_body = next.method == *method;
        assert_eq!(next.headers.contains_key(header::CONTENT_TYPE), has_body);
        assert_eq!(!next.body.is_empty(), has_body);
    }
    let errand = errand("GET").unwrap();
    for status in [200, 300, 304, 404] {
        assert_eq!(redirected(&errand, status, "/x"), None);
    }
    assert_eq!(errand.redirected(302, None), Ok(None));
    for location in ["file:///etc/passwd", "https://u:p@b/", "http://[", ""] {
        let location = HeaderValue::from_str(location).unwrap();
        let next = errand.redirected(302, Some(&location));
        assert!(location.is_empty() || next.is_err(), "{next:?}");
    }
}

fn brought(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Brought {
    let headers = headers.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    Brought {
        url: "https://x/?key=secret".to_owned(),
        status,
        headers: headers.collect(),
        body: body.to_owned().into(),
    }
}

#[test]
fn a_fetched_response_is_a_result_whatever_its_status() {
    let errand = fetch(&json!({"url": "https://x"})).unwrap();
    let json_of = |brought| -> Value {
        serde_json::from_slice(&errand.outcome(Ok(brought), NOW).unwrap()).unwrap()
    };
    let twice = [("a", "1"), ("a", "2")];
    assert_eq!(
        json_of(brought(404, &twice, "no")),
        json!({"url": "https://x/?key=secret", "status_code": 404, "headers": {"a": "1, 2"}, "body": "no"})
    );
    assert_eq!(json_of(brought(204, &[], ""))["body"], Value::Null);
    let not_text = Brought {
        body: Bytes::from_static(b"\xff"),
        ..brought(200, &[], "")
    };
    let failure = errand.outcome(Ok(not_text), NOW).unwrap_err();
    assert!(failure.terminal && failure.error.message.contains("UTF-8"));
    let odd = errand.outcome(Ok(brought(999, &[], "")), NOW).unwrap_err();
    assert!(odd.terminal, "`new Response` refuses such a status");
}

#[test]
fn what_is_short_on_the_wire_may_be_too_long_as_json() {
    let errand = fetch(&json!({"url": "https://x"})).unwrap();
    let outcome = |controls: usize, rest: usize| {
        let body = "\u{1}".repeat(controls) + &"x".repeat(rest);
        errand.outcome(Ok(brought(200, &[], &body)), NOW)
    };
    let around = outcome(0, 0).unwrap().len();
    // Each control character is six bytes as JSON.
    let controls = (limits::MEMO_BYTES - around) / 6;
    let rest = (limits::MEMO_BYTES - around) % 6;
    let full = outcome(controls, rest).unwrap();
    assert_eq!(full.len(), limits::MEMO_BYTES);
    for (controls, rest) in [(controls, rest + 1), (limits::MEMO_BYTES, 0)] {
        let failure = outcome(controls, rest).unwrap_err();
        assert!(failure.terminal);
        assert_eq!(failure.error.code, "too_large");
    }
}

#[test]
fn a_model_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let errand = infer(&json!({"url": "https://x"})).unwrap();
    let outcome = |brought| errand.outcome(Ok(brought), NOW);
    assert_eq!(
        outcome(brought(200, &[], "{\"n\":1.50}")).unwrap(),
        "{\"n\":1.50}"
    );
    for (status, terminal) in [
        (400, true),
        (401, true),
        (429, false),
        (503, false),
        (529, false),
    ] {
        let failure = outcome(brought(status, &[], "so\u{1b}ry")).unwrap_err();
        assert_eq!(failure.terminal, terminal, "{status}");
        let said = failure.error.message;
        assert_eq!(
            said,
            format!("https://x/ answered with status {status}: so ry")
        );
    }
    let busy = outcome(brought(429, &[("retry-after", "7")], "")).unwrap_err();
    assert_eq!(busy.pause, Some(Duration::from_secs(7)));
    let page = outcome(brought(200, &[], "<html>")).unwrap_err();
    assert!(page.terminal && page.error.message.contains("needs JSON"));
}

#[test]
fn what_may_pass_is_tried_again() {
    let errand = fetch(&json!({"url": "https://x"})).unwrap();
    let url = || "https://x".to_owned();
    let limit = limits::ERRAND;
    let crowded = |awaited| ErrandError::Crowded {
        url: url(),
        limit,
        awaited,
    };
    for (error, terminal) in [
        (ErrandError::TimedOut { url: url(), limit }, false),
        (ErrandError::TooLarge { url: url() }, true),
        (crowded(Awaited::PlaceOfFunction), false),
        (crowded(Awaited::PlaceOfAll), false),
        (crowded(Awaited::Room), false),
    ] {
        let failure = errand.outcome(Err(error.clone()), NOW).unwrap_err();
        assert_eq!(failure.terminal, terminal);
        assert_eq!(failure.error.message, error.to_string());
    }
}
