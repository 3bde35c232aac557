use std::{
    fs,
    time::{Duration, Instant},
};

use super::program::{Program, end, rows_of_sample, sample};

#[test]
fn a_second_start_imports_nothing() {
    let program = Program::on(&sample(), &["--batch", "100"]);
    program.run();
    let again = program.run();
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.err.contains("this import had ended before"),
        "{again:?}"
    );
    assert!(
        again.out.contains("312 of 312 rows imported into"),
        "{again:?}"
    );
    assert_eq!(program.rows(), rows_of_sample());
    assert_eq!(program.messages("progress").len(), 4);
    assert_eq!(program.messages("summary").len(), 1);
}

#[test]
fn a_file_that_has_changed_is_refused_and_one_that_was_only_touched_is_not() {
    let program = Program::on_text("t.csv", b"a,b\n1,2\n", &[]);
    program.run();
    fs::write(program.file(), b"a,b\n1,2\n").unwrap();
    assert_eq!(program.run().code, Some(0));
    fs::write(program.file(), b"a,b\n1,3\n").unwrap();
    let changed = program.run();
    assert_eq!(changed.code, Some(1), "{changed:?}");
    assert!(
        changed
            .err
            .contains("t.csv` has changed since its import began"),
        "{changed:?}"
    );
}

#[test]
fn an_output_file_holds_one_import() {
    let program = Program::on(&sample(), &[]);
    program.run();
    let other = Program::on_text("other.csv", b"a\n1\n", &[]);
    fs::copy(program.path("out.db"), other.path("out.db")).unwrap();
    let ended = other.run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("it was begun as"), "{ended:?}");
    let mut flags = program.command();
    flags.args(["--comment", "none", "--header", "first"]);
    let ended = end(flags);
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

#[test]
fn without_its_output_file_an_import_is_a_new_one() {
    let program = Program::on(&sample(), &[]);
    program.run();
    fs::remove_file(program.path("out.db")).unwrap();
    assert_eq!(program.run().code, Some(0));
    assert_eq!(program.rows(), rows_of_sample());
}

#[test]
fn with_another_state_the_rows_are_replaced_and_not_doubled() {
    let program = Program::on(&sample(), &[]);
    program.run();
    let ended = end(program.command_on("other.db", "out.db"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(program.rows(), rows_of_sample());
}

/// Several imports share a state file; one that was left unfinished goes on beside another.
#[test]
fn one_state_file_serves_several_imports() {
    let program = Program::on(&sample(), &[]);
    let mut commands = ["a.db", "b.db"].map(|out| program.command_on("state.db", out));
    for command in &mut commands {
        assert!(command.output().unwrap().status.success());
    }
    assert_eq!(program.messages("summary").len(), 2);
}

#[test]
fn a_run_that_fails_says_why_and_goes_on_failing() {
    let program = Program::on_text("t.csv", b"a\n1\n2\n", &["--batch", "1"]);
    let begun = program.path("out.db");
    // The table is not as it was made: no step can ever succeed.
    program.run();
    let output = rusqlite::Connection::open(&begun).unwrap();
    output
        .execute_batch("UPDATE import_source SET run = NULL, id = 'x'; DELETE FROM imported;")
        .unwrap();
    drop(output);
    fs::remove_file(program.path("state.db")).unwrap();
    for _ in 0..2 {
        let ended = program.run();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended
                .err
                .contains("out.db` is not the file that this import began with"),
            "{ended:?}"
        );
    }
}

#[test]
fn a_file_that_changes_meanwhile_ends_the_import() {
    let program = Program::on_text(
        "t.csv",
        b"a\n1\n2\n3\n4\n5\n6\n",
        &["--batch", "1", "--delay-ms", "300"],
    );
    let mut process = program.start();
    let begun = Instant::now();
    while program.count() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no row appeared");
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::write(program.file(), b"a\n1\n2\n3\n4\n5\n7\n").unwrap();
    assert_eq!(process.0.wait().unwrap().code(), Some(1));
    assert!(program.messages("summary").is_empty());
}
