use super::program::{Program, rows_of_sample, sample};

#[test]
fn the_sample_becomes_a_table() {
    let program = Program::on(&sample(), &[]);
    let ended = program.run();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.contains("312 of 312 rows imported into"),
        "{ended:?}"
    );
    assert!(ended.err.contains("300 of 312 rows, 0 bad"), "{ended:?}");

    let rows = program.rows();
    assert_eq!(rows, rows_of_sample());
    assert_eq!(rows.len(), 312);
    let some = |text: &str| Some(text.to_owned());
    let andorra = vec![
        some("AD"),
        some("+4230+00131"),
        some("Europe/Andorra"),
        None,
    ];
    assert_eq!(rows[0], (39, andorra));
    let troll = rows
        .iter()
        .find(|(_, row)| row[2] == some("Antarctica/Troll"))
        .unwrap();
    assert_eq!(troll.1[3], some("Troll"));
}

#[test]
fn columns_are_called_as_the_comment_names_them() {
    let program = Program::on(&sample(), &[]);
    program.run();
    let output = program.output().unwrap();
    let sql = "SELECT TZ, comments FROM imported WHERE codes LIKE 'CH,%' AND coordinates = '+4723+00832' AND line > 0";
    let zurich: (String, String) = output
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(zurich, ("Europe/Zurich".to_owned(), "Büsingen".to_owned()));
}

#[test]
fn the_summary_and_the_last_progress_are_on_the_channel() {
    let program = Program::on(&sample(), &["--batch", "100"]);
    program.run();
    let summary = serde_json::json!({ "rows": 312, "imported": 312, "bad": 0, "first_bad": [] });
    assert_eq!(program.messages("summary"), [summary]);
    let last = serde_json::json!({ "rows": 312, "total": 312, "bad": 0 });
    assert_eq!(program.messages("progress").last(), Some(&last));
}

#[test]
fn json_prints_every_message_and_the_status() {
    let program = Program::on(&sample(), &["--batch", "100", "--json"]);
    let ended = program.run();
    let lines: Vec<serde_json::Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let topics: Vec<_> = lines
        .iter()
        .filter_map(|line| line["topic"].as_str())
        .collect();
    assert_eq!(
        topics,
        ["progress", "progress", "progress", "progress", "summary"]
    );
    assert_eq!(lines.last().unwrap()["status"], "completed");
}

#[test]
fn three_hundred_batches_are_no_trouble() {
    let program = Program::on(&sample(), &["--batch", "1"]);
    assert_eq!(program.run().code, Some(0));
    assert_eq!(program.rows(), rows_of_sample());
}
