use super::*;

fn check(json: &str, expected: &str) {
    assert_eq!(canonical(json).as_deref(), Ok(expected), "{json}");
}

#[test]
fn the_examples_of_the_rfc() {
    check(
        r#"{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#,
        r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
    );
    check(
        "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\",\
         \"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\",\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\
         \"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
    );
}

#[test]
fn numbers_as_ecmascript_writes_them() {
    for (bits, expected) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
    ] {
        let value = f64::from_bits(bits);
        check(&format!("{value:e}"), expected);
        check(expected, expected);
    }
    for (json, expected) in [
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.0", "1"),
        ("-12", "-12"),
        ("123456789012345678901", "123456789012345680000"),
        ("1e20", "100000000000000000000"),
        ("0.1e1", "1"),
        ("123.456", "123.456"),
        ("0.00012", "0.00012"),
        ("1200633051898625.25", "1200633051898625.2"),
        ("1331061127749766.75", "1331061127749766.8"),
        ("-1.5E-300", "-1.5e-300"),
    ] {
        check(json, expected);
    }
}

#[test]
fn what_the_rfc_leaves_open_follows_json_parse() {
    check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
    check(r#"{"a":1,"a":2,"\u0061":3}"#, r#"{"a":3}"#);
    check(r#""\uD83D""#, r#""\ud83d""#);
    check(r#""\uDE00\uD83D""#, r#""\ude00\ud83d""#);
    check("\"\u{2028}\u{7f}/\"", "\"\u{2028}\u{7f}/\"");
}

#[test]
fn members_are_sorted_at_every_level() {
    check(
        r#" { "b" : { "d" : [ ] , "c" : { } } , "a" : [ { "z":1,"y":2 } , "x" ] } "#,
        r#"{"a":[{"y":2,"z":1},"x"],"b":{"c":{},"d":[]}}"#,
    );
}

#[test]
fn what_is_not_json_is_refused_where_it_stops() {
    for (json, at) in [
        ("", 0),
        ("  ", 2),
        ("{", 1),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\" 1}", 5),
        ("{a:1}", 1),
        ("{\"a\":1,}", 7),
        ("01", 1),
        ("1.", 0),
        ("-", 0),
        ("1e", 0),
        ("+1", 0),
        ("nul", 0),
        ("\"a", 0),
        ("\"\\x\"", 0),
        ("\"\\u12\"", 0),
        ("\"\n\"", 0),
        ("1 1", 2),
        ("NaN", 0),
    ] {
        let bytes = json.len();
        assert_eq!(
            canonical(json),
            Err(CanonicalError::NotJson { at, bytes }),
            "{json}"
        );
    }
}

#[test]
fn bounds_are_named() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(canonical(&deep(limits::JSON_DEPTH)).is_ok());
    assert_eq!(
        canonical(&deep(limits::JSON_DEPTH + 1))
            .unwrap_err()
            .to_string(),
        "at byte 256 more than 256 arrays and objects lie inside each other"
    );
    assert_eq!(
        canonical("[1e400]").unwrap_err().to_string(),
        "number `1e400` is beyond ±1.8e308"
    );
}
