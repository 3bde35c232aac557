use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    limits,
    names::EventName,
    pattern::EventPattern,
    sdk::{StepHash, Until, exchange},
};

/// A function `app-f` with these options.
fn function(options: &Value) -> Value {
    let mut function = json!({
        "id": "app-f",
        "triggers": [{"event": "app/e"}],
        "steps": {"step": {"id": "step", "runtime": {"type": "http", "url": "http://a/api?fnId=app-f&stepId=step"}}},
    });
    for (key, value) in options.as_object().unwrap() {
        function[key] = value.clone();
    }
    function
}

fn app(functions: &[Value]) -> Result<AppConfig, ConfigError> {
    let app = json!({"appName": "app", "functions": functions});
    AppConfig::read(app.to_string().as_bytes())
}

fn read(options: &Value) -> Result<FunctionConfig, ConfigError> {
    let mut app = app(&[function(options)])?;
    Ok(app.functions.remove(0))
}

fn with(options: &Value) -> FunctionConfig {
    read(options).unwrap_or_else(|error| panic!("{options}: {error}"))
}

fn exact(name: &str) -> EventPattern {
    EventPattern::Name(EventName::parse(name).unwrap())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_recorded_registration() {
    let app = AppConfig::read(exchange::REGISTRATION.as_bytes()).unwrap();
    assert_eq!(app.id, "peerlab");
    assert_eq!(
        app.url.as_deref(),
        Some("http://127.0.0.1:3001/api/inngest")
    );
    assert_eq!(app.sdk.as_deref(), Some("js:v4.24.0"));
    assert_eq!(app.framework.as_deref(), Some("nodejs"));
    assert_eq!((app.platform, app.version), (None, None));
    let retries: Vec<_> = app
        .functions
        .iter()
        .filter_map(|function| Some((&*function.id, function.retries?)))
        .collect();
    assert_eq!(
        retries,
        [
            ("peerlab-failer", 0),
            ("peerlab-failer-failure", 1),
            ("peerlab-fn-retry", 1),
            ("peerlab-retry-memo", 2),
            ("peerlab-step-caught", 0),
        ]
    );
    assert_eq!(app.functions.len(), 15);
    let on_failure = &app.functions[4];
    assert_eq!(on_failure.name, "failer (failure)");
    assert_eq!(
        on_failure.triggers,
        [Trigger::Event {
            event: exact("inngest/function.failed"),
            expression: Some("event.data.function_id == 'peerlab-failer'".to_owned()),
        }]
    );
    assert_eq!(
        on_failure.url.for_step(StepHash::of("a")),
        "http://127.0.0.1:3001/api/inngest?fnId=peerlab-failer-failure&stepId=86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
    );
}

#[test]
fn an_answer_to_an_in_band_sync() {
    let body = json!({
        "app_id": "my-app", "env": null, "framework": "nextjs", "functions": [function(&json!({}))], "sdk_author": "inngest",
        "sdk_language": "", "sdk_version": "", "sdk": "js:v4.24.0", "url": "http://a/api", "platform": "vercel",
        "appVersion": "7", "capabilities": {"trust_probe": "v1"}, "inspection": {"mode": "dev"},
    });
    let app = AppConfig::read(body.to_string().as_bytes()).unwrap();
    assert_eq!(app.id, "my-app");
    assert_eq!(app.platform.as_deref(), Some("vercel"));
    assert_eq!(app.version.as_deref(), Some("7"));
    assert_eq!(app.functions[0].name, "app-f");
}

#[test]
fn every_option_at_once() {
    let function = with(&json!({
        "name": "F",
        "triggers": [
            {"event": "app/par", "expression": "event.data.x == 1"},
            {"event": "app/*"},
            {"cron": "TZ=Europe/Berlin 0 0 * * *", "jitter": "30s"},
        ],
        "idempotency": "event.data.id", "rateLimit": {"limit": 1, "period": "1m"}, "throttle": {"limit": 1, "period": "5s"},
        "concurrency": [{"limit": 2, "key": "event.data.u", "scope": "env"}, {"limit": 0}],
        "debounce": {"period": "10s"}, "priority": {"run": "10"}, "timeouts": {"start": "10s", "finish": "1m"},
        "singleton": {"mode": "skip"}, "batchEvents": {"maxSize": 10, "timeout": "5s"},
        "cancel": [{"event": "app/stop", "timeout": "1h", "if": "event.data.u == async.data.u"}],
        "tomorrow": {"a": 1},
    }));
    assert_eq!(
        function,
        FunctionConfig {
            id: function.id.clone(),
            name: "F".to_owned(),
            triggers: vec![
                Trigger::Event {
                    event: exact("app/par"),
                    expression: Some("event.data.x == 1".to_owned()),
                },
                Trigger::Event {
                    event: EventPattern::Prefix("app/".to_owned()),
                    expression: None,
                },
                Trigger::Cron(Cron {
                    fields: ["0", "0", "*", "*", "*"].map(str::to_owned),
                    timezone: Some("Europe/Berlin".to_owned()),
                    jitter: Some(seconds(30)),
                }),
            ],
            url: StepUrl::parse("http://a/api?fnId=app-f&stepId=step").unwrap(),
            retries: None,
            concurrency: vec![Concurrency {
                limit: 2,
                key: Some("event.data.u".to_owned()),
                scope: Scope::Environment,
            }],
            idempotency: Some("event.data.id".to_owned()),
            cancel: vec![Cancel {
                event: exact("app/stop"),
                expression: Some("event.data.u == async.data.u".to_owned()),
                timeout: Some(Until::After(seconds(3600))),
            }],
            timeouts: Timeouts {
                start: Some(seconds(10)),
                finish: Some(seconds(60)),
            },
            unsupported: Unsupported::ALL.to_vec(),
        }
    );
}

#[test]
fn what_is_absent_or_null_is_not_there() {
    let function = with(&json!({
        "triggers": [], "concurrency": null, "rateLimit": null, "cancel": null, "timeouts": null, "idempotency": "",
    }));
    assert_eq!(function.triggers, []);
    assert_eq!(function.concurrency, []);
    assert_eq!(function.unsupported, []);
    assert_eq!(function.cancel, []);
    assert_eq!(function.timeouts, Timeouts::default());
    assert_eq!(function.idempotency, None);
}

#[test]
fn forms_of_concurrency() {
    let rule = |limit, scope| Concurrency {
        limit,
        key: (scope != Scope::Function).then(|| "k".to_owned()),
        scope,
    };
    for (value, expected) in [
        (json!(3), vec![rule(3, Scope::Function)]),
        (json!(0), vec![]),
        (json!({"limit": 1}), vec![rule(1, Scope::Function)]),
        (json!([]), vec![]),
        (
            json!([{"limit": 1, "scope": "fn"}, {"limit": 2, "scope": "account", "key": "k"}]),
            vec![rule(1, Scope::Function), rule(2, Scope::Account)],
        ),
    ] {
        assert_eq!(with(&json!({"concurrency": value})).concurrency, expected);
    }
}

#[test]
fn crons() {
    for (text, shown) in [
        ("0 0 * * *", "0 0 * * *"),
        ("*/5  9-17 1,15 JAN MON", "*/5 9-17 1,15 JAN MON"),
        ("CRON_TZ=Asia/Tokyo 0 0 * * *", "TZ=Asia/Tokyo 0 0 * * *"),
    ] {
        let function = with(&json!({"triggers": [{"cron": text}]}));
        let [Trigger::Cron(cron)] = &*function.triggers else {
            panic!("{text}");
        };
        assert_eq!(cron.to_string(), shown);
    }
}

#[test]
fn urls_of_steps() {
    for (url, expected) in [
        ("https://a.b:1/x", "https://a.b:1/x?stepId=$"),
        ("http://a?stepId=step&fnId=f", "http://a?fnId=f&stepId=$"),
        (
            "http://a/?fnId=a%20b&x=1&stepId=step#h",
            "http://a/?fnId=a%20b&x=1&stepId=$",
        ),
    ] {
        let hash = StepHash::of("a");
        let url = StepUrl::parse(url).unwrap();
        assert_eq!(url.for_step(hash), expected.replace('$', &hash.to_string()));
    }
    for url in [
        "",
        "a",
        "/api",
        "ftp://a",
        "http://",
        "http:///x",
        "http://a b",
        "http://a\n",
    ] {
        assert_eq!(StepUrl::parse(url), None, "{url}");
    }
}

#[test]
fn each_refusal_names_function_option_value_and_limit() {
    let event = json!({"event": "a"});
    let steps = |runtime: Value| json!({"steps": {"step": {"runtime": runtime}}});
    let retries = |attempts: Value| json!({"steps": {"step": {"runtime": {"url": "http://a"}, "retries": {"attempts": attempts}}}});
    for (options, expected) in [
        (
            json!({"triggers": vec![event.clone(); 11]}),
            "function `app-f` has 11 `triggers`, at most 10 are allowed",
        ),
        (
            json!({"triggers": [{}]}),
            "function `app-f` has no `triggers[0].event`; give it an event's name, or `cron`",
        ),
        (
            json!({"triggers": [7]}),
            "`triggers[0]` of function `app-f` is `7`; give it an object",
        ),
        (
            json!({"triggers": [{"event": 7}]}),
            "`triggers[0].event` of function `app-f` is `7`; give it a text",
        ),
        (
            json!({"triggers": [{"event": "a*b"}]}),
            "`triggers[0].event` of function `app-f` is `a*b`; give it a name with `*` at most at its end",
        ),
        (
            json!({"triggers": [{"event": "a\n"}]}),
            "`triggers[0].event` of function `app-f`: event name \"a\\n\" contains a control character",
        ),
        (
            json!({"triggers": [{"event": "a", "expression": {}}]}),
            "`triggers[0].expression` of function `app-f` is `{}`; give it a text",
        ),
        (
            json!({"triggers": [{"event": "a", "cron": "* * * * *"}]}),
            "`triggers[0].cron` of function `app-f` is `* * * * *`; give it a trigger of its own, without `event`",
        ),
        (
            json!({"triggers": [{"cron": "* * *"}]}),
            "`triggers[0].cron` of function `app-f` is `* * *`; give it five fields, with or without `TZ=Area/City ` before them",
        ),
        (
            json!({"triggers": [{"cron": "TZ= * * * * *"}]}),
            "`triggers[0].cron` of function `app-f` is `TZ= * * * * *`; give it five fields, with or without `TZ=Area/City ` before them",
        ),
        (
            json!({"triggers": [{"cron": "* * * * *", "jitter": "10m"}]}),
            "`triggers[0].jitter` of function `app-f` is `600s`; give it 1s to 5m",
        ),
        (
            json!({"triggers": [{"cron": "* * * * *", "jitter": "x"}]}),
            "`triggers[0].jitter` of function `app-f`: `x` is not a duration like `1h30m`",
        ),
        (
            json!({"steps": {}}),
            "function `app-f` has no `steps.step`; give it an object with `runtime`",
        ),
        (
            steps(json!(null)),
            "function `app-f` has no `steps.step.runtime`; give it an object with `type` and `url`",
        ),
        (
            steps(json!({"type": "http"})),
            "function `app-f` has no `steps.step.runtime.url`; give it an absolute http or https URL",
        ),
        (
            steps(json!({"url": "/api"})),
            "`steps.step.runtime.url` of function `app-f` is `/api`; give it an absolute http or https URL",
        ),
        (
            steps(json!({"type": "ws", "url": "http://a"})),
            "`steps.step.runtime.type` of function `app-f` is `ws`; give it `http`: serve the app over HTTP; workers that connect are not supported",
        ),
        (
            retries(json!(21)),
            "`steps.step.retries.attempts` of function `app-f` is `21`; give it a whole number from 0 to 20",
        ),
        (
            retries(json!(-1)),
            "`steps.step.retries.attempts` of function `app-f` is `-1`; give it a whole number from 0 to 20",
        ),
        (
            retries(json!("3")),
            "`steps.step.retries.attempts` of function `app-f` is `3`; give it a whole number from 0 to 20",
        ),
        (
            json!({"concurrency": -1}),
            "`concurrency` of function `app-f` is `-1`; give it a whole number from 0, where 0 means no limit",
        ),
        (
            json!({"concurrency": "2"}),
            "`concurrency[0]` of function `app-f` is `2`; give it an object",
        ),
        (
            json!({"concurrency": {}}),
            "function `app-f` has no `concurrency[0].limit`; give it a whole number from 0, where 0 means no limit",
        ),
        (
            json!({"concurrency": [{"limit": 1}, {"limit": 1}, {"limit": 1}]}),
            "function `app-f` has 3 `concurrency`, at most 2 are allowed",
        ),
        (
            json!({"concurrency": {"limit": 1, "scope": "all"}}),
            "`concurrency[0].scope` of function `app-f` is `all`; give it `fn`, `env` or `account`",
        ),
        (
            json!({"concurrency": {"limit": 1, "scope": "env"}}),
            "function `app-f` has no `concurrency[0].key`; give it an expression, as `scope` reaches beyond the function",
        ),
        (
            json!({"cancel": vec![event; 6]}),
            "function `app-f` has 6 `cancel`, at most 5 are allowed",
        ),
        (
            json!({"cancel": [{}]}),
            "function `app-f` has no `cancel[0].event`; give it an event's name",
        ),
        (
            json!({"cancel": [{"event": "a", "timeout": "400d"}]}),
            "`cancel[0].timeout` of function `app-f`: `400d` is more than 366 days away, which is the longest that a run may wait",
        ),
        (
            json!({"timeouts": {"start": 7}}),
            "`timeouts.start` of function `app-f` is `7`; give it a text",
        ),
        (
            json!({"timeouts": "1m"}),
            "`timeouts` of function `app-f` is `1m`; give it an object",
        ),
        (
            json!({"idempotency": 7}),
            "`idempotency` of function `app-f` is `7`; give it a text",
        ),
        (
            json!({"id": ""}),
            "function 1 of the app: function id is empty; give it 1 to 256 bytes",
        ),
    ] {
        assert_eq!(read(&options).unwrap_err().to_string(), expected);
    }
}

#[test]
fn apps_that_cannot_be() {
    let same = function(&json!({}));
    assert_eq!(
        app(&[same.clone(), same.clone()]).unwrap_err().to_string(),
        "two functions have the id `app-f`; give each its own"
    );
    let many = vec![same; limits::FUNCTIONS_PER_APP + 1];
    assert_eq!(
        app(&many).unwrap_err().to_string(),
        "the app has 1001 functions, at most 1000 are allowed; split it into several apps"
    );
    for (body, part) in [
        ("", "is not a JSON object with a list of `functions`: EOF"),
        ("[]", "is not a JSON object with a list of `functions`"),
        (r#"{"appName":"a"}"#, "missing field `functions`"),
        (r#"{"functions":[]}"#, "missing field `appName`"),
        (
            r#"{"appName":"","functions":[]}"#,
            "app id is empty; give it 1 to 256 bytes",
        ),
        (
            r#"{"appName":"a","functions":[7]}"#,
            "function 1 of the app: function id is empty",
        ),
    ] {
        let error = AppConfig::read(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
