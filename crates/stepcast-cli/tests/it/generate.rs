//! `stepcast gen ts`: from an app's manifest to a file, and whether that file is still right.

use std::{fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stepcast::prelude::*;
use tempfile::TempDir;

use crate::{
    prepared::Embedded,
    process::{Ended, Server, run, run_with_input},
};

mod first {
    use super::*;

    /// Progress.
    #[derive(Channel, Serialize, Deserialize, JsonSchema)]
    #[channel("pipeline:{run_id}")]
    pub(super) enum Pipeline {
        /// Where it is.
        #[topic(keep = "latest")]
        Status { message: String },
    }
}

mod second {
    use super::*;

    #[derive(Channel, Serialize, Deserialize, JsonSchema)]
    #[channel("pipeline:{run_id}")]
    pub(super) enum Pipeline {
        Status {
            message: String,
            step: Option<String>,
        },
    }
}

fn manifest<C: Channel>() -> String {
    let app = App::new("it").channel::<C>();
    app.manifest().unwrap().to_string()
}

fn generate(from: &Path, out: &Path, more: &[&str]) -> Ended {
    let (from, out) = (from.to_str().unwrap(), out.to_str().unwrap());
    let mut arguments = vec!["gen", "ts", "--from", from, "--out", out];
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn a_file_is_written_and_goes_stale_with_its_source() {
    let folder = TempDir::new().unwrap();
    let (from, out) = (
        folder.path().join("manifest.json"),
        folder.path().join("channels.ts"),
    );
    fs::write(&from, manifest::<first::Pipeline>()).unwrap();
    let missing = generate(&from, &out, &["--check"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(!out.exists());

    let written = generate(&from, &out, &["--json"]);
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(
        written.json(),
        [json!({ "file": out, "channels": 1, "written": true })]
    );
    let text = fs::read_to_string(&out).unwrap();
    let channel = "/** Progress. */\nexport const pipeline = channel({\n  name: ({ runId }: { runId: string }) => `pipeline:${runId}`,\n";
    assert!(text.contains(channel), "{text}");
    assert!(text.contains("    /** Where it is. */\n    status: { schema: staticSchema<PipelineStatus>(), schemaHash: \""), "{text}");
    assert!(
        text.contains("export interface PipelineStatus {\n  message: string;\n}\n"),
        "{text}"
    );
    assert_eq!(generate(&from, &out, &["--check"]).code, 0);
    assert!(
        generate(&from, &out, &[])
            .out
            .contains("is up to date, with 1 channel")
    );
    fs::write(&out, text.replace('\n', "\r\n")).unwrap();
    assert_eq!(
        generate(&from, &out, &["--check"]).code,
        0,
        "as git checks it out elsewhere"
    );

    fs::write(&from, manifest::<second::Pipeline>()).unwrap();
    let stale = generate(&from, &out, &["--check"]);
    assert_eq!(stale.code, 1);
    let command = format!(
        "run `stepcast gen ts --from {} --out {}`",
        from.display(),
        out.display()
    );
    assert!(
        stale
            .err
            .contains("is stale: the app's channels have changed")
            && stale.err.contains(&command),
        "{stale:?}"
    );
    assert!(!fs::read_to_string(&out).unwrap().contains("step?: string"));
    assert_eq!(generate(&from, &out, &[]).code, 0);
    assert!(fs::read_to_string(&out).unwrap().contains("step?: string"));
}

#[test]
fn a_manifest_is_piped_in() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("channels.ts");
    let arguments = ["gen", "ts", "--from", "-", "--out", out.to_str().unwrap()];
    let ended = run_with_input(&arguments, &manifest::<first::Pipeline>());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(fs::read_to_string(&out).unwrap().contains("PipelineStatus"));
}

#[test]
fn a_server_is_asked_for_its_manifest() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("channels.ts");
    let server = Embedded::start();
    for url in [
        server.url(),
        format!("{}/", server.url()),
        format!("{}/v1/manifest", server.url()),
    ] {
        let ended = generate(Path::new(&url), &out, &[]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let text = fs::read_to_string(&out).unwrap();
        assert!(
            text.contains("said: { schema: staticSchema<unknown>() }"),
            "{text}"
        );
    }
    let empty = Server::dev(&[]);
    let ended = generate(Path::new(empty.url()), &out, &[]);
    assert!(ended.out.contains("with 0 channels"), "{ended:?}");
}

#[test]
fn what_cannot_be_generated_is_told_in_a_sentence() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (good, wrong, wide) = (at("good.json"), at("wrong.json"), at("wide.json"));
    let manifest = manifest::<first::Pipeline>();
    fs::write(&good, &manifest).unwrap();
    fs::write(&wrong, "[]").unwrap();
    let topic = |schema: serde_json::Value| {
        let mut manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        manifest["channels"][0]["topics"][0]["schema"] = schema;
        manifest.to_string()
    };
    fs::write(
        &wide,
        topic(json!({ "type": "integer", "format": "int128" })),
    )
    .unwrap();
    let (out, nowhere) = (at("channels.ts"), at("no/channels.ts"));
    for (from, out, code, part) in [
        (&*at("gone.json"), &out, 2, "gone.json` cannot be read"),
        (&wrong, &out, 2, "is no manifest"),
        (
            &wide,
            &out,
            1,
            "topic `status` of channel `pipeline:{run_id}` is a whole number of 128 bits",
        ),
        (&good, &nowhere, 1, "its folder has to be there"),
        (
            Path::new("https://example.com"),
            &out,
            2,
            "there is no TLS in this command; use `curl",
        ),
        (Path::new("http://127.0.0.1:1"), &out, 3, "127.0.0.1:1"),
    ] {
        let ended = generate(from, out, &[]);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.err.contains(part), "{ended:?}");
        assert!(!out.exists());
    }
}
