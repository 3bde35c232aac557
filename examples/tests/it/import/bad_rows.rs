use serde_json::json;

use super::program::{Program, Row};

const TABLE: &[u8] = b"name,Line,,\"a \"\"b\"\"\",NAME
plain,1,2,3,4

\"two
lines\",\"a, b\",\"say \"\"hi\"\"\", spaces ,
short,1
\xff\xfe,1,2,3,4
# a comment
long,1,2,3,4,5
\"open,1,2,3,4
last,1,2,3,4";

fn program() -> Program {
    Program::on_text("bad.csv", TABLE, &["--batch", "2"])
}

#[test]
fn bad_rows_are_told_with_line_and_reason_and_the_others_imported() {
    let program = program();
    let ended = program.run();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let bad = [
        json!({ "line": 6, "reason": "2 fields instead of 5" }),
        json!({ "line": 7, "reason": "invalid UTF-8 in field 1 (`name`)" }),
        json!({ "line": 9, "reason": "6 fields instead of 5" }),
        json!({ "line": 10, "reason": "opens a quote that is never closed" }),
    ];
    assert_eq!(program.messages("log"), bad);
    let summary = json!({ "rows": 7, "imported": 3, "bad": 4, "first_bad": bad });
    assert_eq!(program.messages("summary"), [summary]);
    assert!(ended.out.contains("3 of 7 rows imported"), "{ended:?}");
    assert!(
        ended
            .out
            .contains("line 7: invalid UTF-8 in field 1 (`name`)"),
        "{ended:?}"
    );
    assert!(ended.err.contains("1 comment line"), "{ended:?}");
    let lines: Vec<u64> = program.rows().iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4, 11]);
}

#[test]
fn columns_get_names_that_a_table_can_have() {
    let program = program();
    let ended = program.run();
    assert!(
        ended.err.contains("column `NAME` is called `NAME_2`"),
        "{ended:?}"
    );
    let output = program.output().unwrap();
    let imported = output.prepare("SELECT * FROM imported").unwrap();
    let names = ["line", "name", "Line_2", "column_3", "a \"b\"", "NAME_2"];
    assert!(imported.column_names().eq(names));
}

/// What another reader makes of the same quotes.
#[test]
fn fields_are_those_that_the_csv_crate_reads() {
    let table = "a,b,c\n\"x, y\",\"\"\"\",\"\"\n1,\"two\r\nlines\",5\" pipe\n\" q \"z, r,\n,,\n\"a\"\"b\",\"\n\n\",c\r\n";
    let program = Program::on_text("quotes.csv", table.as_bytes(), &["--batch", "1"]);
    assert_eq!(program.run().code, Some(0));
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let read: Vec<Vec<Option<String>>> = reader
        .records()
        .map(|record| {
            record
                .unwrap()
                .iter()
                .map(|field| Some(field.to_owned()))
                .collect()
        })
        .collect();
    let imported = program.rows().into_iter().map(|(_, fields): Row| fields);
    assert_eq!(imported.collect::<Vec<_>>(), read);
}

#[test]
fn a_row_of_a_megabyte_is_bad_and_the_next_is_read() {
    let table = format!("a,b\n1,{}\n2,x\n", "y".repeat(2 << 20));
    let program = Program::on_text("wide.csv", table.as_bytes(), &[]);
    let ended = program.run();
    assert!(
        ended.out.contains("line 2: longer than 1048576 bytes"),
        "{ended:?}"
    );
    assert_eq!(program.rows().len(), 1);
}
