//! Messages as clients write them, and ever so slightly otherwise, each made from a text of choices: for the random test of
//! this crate and for the fuzz target that compare the two ways in which data is read. Made of nothing but `std`, since both
//! include this file.

/// What was chosen, byte by byte; when there are no more, the first of everything.
pub struct Choices<'c>(pub &'c [u8]);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        usize::from(*first) % bound
    }

    fn of<'o>(&mut self, options: &[&'o str]) -> &'o str {
        options[self.below(options.len())]
    }

    /// True once in so many times.
    fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }
}

/// The types of messages and the members that their data has.
const KINDS: [(&str, &[&str]); 16] = [
    ("ins", &["ts", "doc", "data", "col"]),
    ("gval", &["col", "key"]),
    ("sval", &["col", "key", "value"]),
    ("qdoc", &["col", "doc", "from", "to", "limit", "reverse", "where", "filter"]),
    ("qry", &["col", "ts", "doc", "from", "where", "filter"]),
    ("drec", &["col", "doc", "ts"]),
    ("dmrec", &["col", "doc", "ts"]),
    ("drrng", &["col", "doc", "fromTs", "toTs"]),
    ("ddoc", &["doc", "col"]),
    ("dcol", &["col"]),
    ("cols", &[]),
    ("gvalues", &["col", "key"]),
    ("gvals", &["col"]),
    ("gkeys", &["col"]),
    ("rval", &["col", "key"]),
    ("insert", &["key", "collection", "data", "ts"]),
];

/// A whole message.
pub fn message(choices: &mut Choices<'_>) -> String {
    let (kind, names) = KINDS[choices.below(KINDS.len())];
    let mut inner = String::new();
    if matches!(kind, "ins" | "insert" | "dmrec") != choices.once_in(40) {
        list(choices, names, &mut inner);
    } else {
        object(choices, names, &mut inner);
    }
    if choices.once_in(60) {
        inner.push_str(choices.of(&["x", " ", "\n", "]", "\"", "\\", "{}", ",", "\u{1}"]));
    }
    around(choices, kind, &inner)
}

/// The message that has this data.
pub fn around(choices: &mut Choices<'_>, kind: &str, data: &str) -> String {
    let data = escaped(choices, data);
    let id = choices.of(&["1", "000000000001", "a\\\"b", "\u{e9}\u{1f600}", "x/y", "\\u0041", ""]);
    let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1], [0, 1, 1], [2, 2, 0]];
    let order_count = if choices.once_in(20) { orders.len() } else { 4 };
    let mut members: Vec<String> = orders[choices.below(order_count)]
        .iter()
        .map(|which| match which {
            0 => format!("\"id\":\"{id}\""),
            1 => format!("\"type\":\"{kind}\""),
            _ => format!("\"data\":\"{data}\""),
        })
        .collect();
    if choices.once_in(30) {
        members
            .push(choices.of(&["\"x\":1", "\"data\": \"{}\"", "\"id\" :7", "\"\\u0069d\":\"2\""]).to_owned());
    }
    let comma = if choices.once_in(10) { " ,\n" } else { "," };
    let end = if choices.once_in(40) { choices.of(&["} ", "}}", "", "}\n", ",}", "\"}"]) } else { "}" };
    format!("{{{}{end}", members.join(comma))
}

fn list(choices: &mut Choices<'_>, names: &[&str], out: &mut String) {
    let count = if choices.once_in(8) { choices.below(40) } else { 1 + choices.below(3) };
    out.push('[');
    for index in 0..count {
        if index > 0 {
            out.push_str(separator(choices, ","));
        }
        if choices.once_in(80) { value(choices, "", out) } else { object(choices, names, out) }
    }
    out.push_str(separator(choices, "]"));
}

/// A separator, now and then with space around it or an odd one.
fn separator<'s>(choices: &mut Choices<'_>, usual: &'s str) -> &'s str {
    if !choices.once_in(30) {
        return usual;
    }
    let others: [&str; 7] = match usual {
        "," => [", ", " ,", ",\n", "", ",,", "\t,", "\\u002c"],
        ":" => [": ", " :", ":\n", "", "::", ",", "\\u003a"],
        "]" => [" ]", "] ", "\n]", "", ",]", "}", "\\u0020]"],
        _ => [" }", "} ", "\n}", "", ",}", "]", "\\u007d"],
    };
    choices.of(&others)
}

fn object(choices: &mut Choices<'_>, names: &[&str], out: &mut String) {
    out.push('{');
    let (first, is_spaced) = (choices.below(names.len() + 1), choices.once_in(6));
    let count =
        (names.len() + usize::from(choices.once_in(20))).saturating_sub(usize::from(choices.once_in(12)));
    for index in 0..count.min(names.len() + 1) {
        let mut name = names.get((first + index) % names.len().max(1)).copied().unwrap_or("col");
        if index > 0 {
            out.push_str(if is_spaced { ", " } else { separator(choices, ",") });
        }
        if choices.once_in(40) {
            name =
                choices.of(&["collection", "key", "x", "c\\u006fl", "", "data", "ts", "reverse", "doc\\\""]);
        }
        out.push('"');
        out.push_str(name);
        out.push('"');
        out.push_str(if is_spaced { ": " } else { separator(choices, ":") });
        value(choices, name, out);
    }
    out.push_str(separator(choices, "}"));
}

fn value(choices: &mut Choices<'_>, name: &str, out: &mut String) {
    if choices.once_in(25) {
        let others =
            ["null", "true", "[]", "{}", "{\"a\":[1,\"\\\"\"]}", "\"7\"", "nul", "1", "\"\"", "", "[\"x\"]"];
        return out.push_str(choices.of(&others));
    }
    match name {
        "ts" | "from" | "to" | "fromTs" | "toTs" | "limit" => number(choices, out),
        "reverse" => out.push_str(choices.of(&["true", "false", "1", "0", "null", "2", "tru"])),
        "data" | "value" => json(choices, out),
        _ => text(choices, out),
    }
}

fn number(choices: &mut Choices<'_>, out: &mut String) {
    if choices.once_in(4) {
        let others = [
            "0",
            "-1",
            "-0",
            "01",
            "1.5",
            "-2.5e3",
            "1e2",
            "9223372036854775807",
            "-9223372036854775808",
            "-",
            "9223372036854775808",
            "18446744073709551616",
            "1e400",
            "00",
            "1x",
            "+1",
            "123456789012345678",
            "1 ",
            "-9223372036854775809",
            "1.",
            "0.0",
            "-0.0",
            "12345678",
            "9999999999999999999",
            "1\\\"",
        ];
        return out.push_str(choices.of(&others));
    }
    let number = (0..choices.below(8)).fold(1i64, |number, _| number << 7 ^ choices.below(128) as i64);
    out.push_str(&number.to_string());
}

/// A text that is itself JSON.
fn json(choices: &mut Choices<'_>, out: &mut String) {
    out.push_str("\"{");
    for index in 0..choices.below(5) {
        out.push_str(if index > 0 { "," } else { "" });
        out.push_str(choices.of(&[
            "\\\"temperature\\\":22.5",
            "\\\"state\\\":\\\"ok\\\"",
            "\\\"p\\\":\\\"1.5\\\"",
        ]));
        if choices.once_in(12) {
            piece(choices, out);
        }
    }
    out.push_str("}\"");
}

fn text(choices: &mut Choices<'_>, out: &mut String) {
    out.push('"');
    for _ in 0..choices.below(3) {
        if choices.once_in(10) {
            piece(choices, out);
        } else {
            let len = if choices.once_in(16) { choices.below(150) } else { choices.below(12) };
            out.extend((0..len).map(|at| char::from(b'a' + (at % 26) as u8)));
        }
    }
    out.push_str(if choices.once_in(60) { "" } else { "\"" });
}

/// A part of a text that has something in it.
fn piece(choices: &mut Choices<'_>, out: &mut String) {
    out.push_str(choices.of(&[
        "\\\"",
        "\\\\",
        "\\/",
        "\\n",
        "\\t",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud800",
        "\\ud83d\\u0041",
        "\\u0000",
        "\u{e9}",
        "\u{1f600}",
        "\u{7f}",
        "\\x",
        "\\",
        "\"",
        "\u{1}",
        "\n",
        "\\\\\\\"",
        "\\\\\\\\",
        "/",
        "\\u12",
        "\\b\\f\\r",
        "\\u0022",
        "\\u005c",
        "\\\\\\\\\\\\\\\"",
        "\u{0}",
        "\\ude00",
        " ",
        "\\\\n",
    ]));
}

/// A text as it stands within a string.
fn escaped(choices: &mut Choices<'_>, text: &str) -> String {
    let is_odd = choices.once_in(8);
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' if !(is_odd && choices.once_in(50)) => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\0'..' ' if !(is_odd && choices.once_in(4)) => {
                out.push_str(&format!("\\u{:04x}", character as u32));
            }
            '/' if is_odd && choices.once_in(3) => out.push_str("\\/"),
            '\0'..'\u{ffff}' if is_odd && choices.once_in(20) => {
                out.push_str(&format!("\\u{:04X}", character as u32));
            }
            _ => out.push(character),
        }
    }
    if is_odd && choices.once_in(10) {
        out.push_str(choices.of(&["\\", "\\\\", "\\x", "\"", "\\\"", "\u{1}"]));
    }
    out
}
