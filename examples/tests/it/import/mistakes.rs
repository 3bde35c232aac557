use std::fs;

use super::program::{Program, end, sample};

#[track_caller]
fn check(program: &Program, more: &[&str], says: &str) {
    let mut command = program.command();
    command.args(more);
    let ended = end(command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(says), "{says:?} is not in {ended:?}");
    assert!(!ended.err.contains("panicked"), "{ended:?}");
}

#[track_caller]
fn check_text(name: &str, text: &[u8], says: &str) {
    check(&Program::on_text(name, text, &[]), &[], says);
}

#[test]
fn a_file_that_cannot_be_imported_is_named() {
    check_text("empty.csv", b"", "empty.csv` is empty");
    check_text("head.csv", b"a,b\n", "head.csv` has a header and no rows");
    check_text(
        "none.csv",
        b"# a\n\n# b\n",
        "none.csv` has only empty lines and comments",
    );
    check_text("semi.csv", b"a;b\n1;2\n", "give --delimiter ';'");
    check_text(
        "utf16.csv",
        b"\xff\xfea\0,\0b\0\n\0",
        "utf16.csv` (line 1) cannot be used: not UTF-8",
    );
    check(
        &Program::on("nope.csv".as_ref(), &[]),
        &[],
        "nope.csv`: No such file",
    );
    check(&Program::on("/".as_ref(), &[]), &[], "it is a folder");
    check(
        &Program::on("/dev/null".as_ref(), &[]),
        &[],
        "`/dev/null`: it is not a regular file",
    );
}

#[test]
fn each_file_is_one_of_its_own() {
    let program = Program::on_text("t.csv", b"a\n1\n", &[]);
    for (db, out, says) in [
        ("x.db", "x.db", "--db and --out are the same file, `x.db`"),
        ("x.db", "./x.db", "--db and --out are the same file"),
        ("t.csv", "x.db", "FILE and --db are the same file, `t.csv`"),
        ("x.db", "t.csv", "FILE and --out are the same file, `t.csv`"),
        ("x.db", "no/x.db", "there is no folder `no`"),
        ("x.db", ".", "--out `.` is a folder"),
    ] {
        let ended = end(program.command_on(db, out));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(says), "{says:?} is not in {ended:?}");
    }
    assert_eq!(fs::read(program.path("t.csv")).unwrap(), b"a\n1\n");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let program = Program::on(&sample(), &[]);
    fs::write(program.path("text.db"), "hello, this is text").unwrap();
    let other = rusqlite::Connection::open(program.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    for (db, out, says) in [
        (
            "x.db",
            "text.db",
            "text.db` cannot be used: file is not a database",
        ),
        ("x.db", "other.db", "other.db` belongs to something else"),
        ("text.db", "x.db", "--db `text.db`: "),
    ] {
        let ended = end(program.command_on(db, out));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(says), "{says:?} is not in {ended:?}");
    }
    assert_eq!(
        fs::read(program.path("text.db")).unwrap(),
        b"hello, this is text"
    );
}

#[test]
fn too_many_batches_are_refused_before_anything_is_written() {
    let table: String = (0..2_001).map(|row| format!("{row}\n")).collect();
    let program = Program::on_text("t.csv", table.as_bytes(), &[]);
    check(
        &program,
        &["--batch", "2"],
        "2000 rows: --batch 2 makes more than 999 steps of them; give --batch 3 or more",
    );
    assert!(!program.path("out.db").exists());
}
