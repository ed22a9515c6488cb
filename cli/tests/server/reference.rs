//! The examples of `docs/protocol.md`, played against a server as they stand there, and the client that was written from it.
//!
//! An example is a block with lines that begin with `→` or `←`: first a handshake, if it shows one, to an empty line each
//! way; then one message a line, or `close CODE`. Words of the block's info string that begin with `--` are flags of a
//! server of its own. `…` stands for any value, for the rest of a text, or for further members.

use crate::support::raw::{CLOSE, RawSocket, TEXT};
use crate::support::{KEY, KEY_QUERY, Server};
use serde_json::Value;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../../docs/protocol.md");
/// Enough to notice that the page is no longer read as it is written.
const EXAMPLES_MIN: usize = 15;

/// A block of the page.
struct Example {
    line: usize,
    flags: Vec<&'static str>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Sent(&'static str),
    Received(&'static str),
}

#[test]
fn the_examples_hold() {
    let common = Server::start(&["--cores", "1"]);
    let examples = examples();
    assert!(examples.len() >= EXAMPLES_MIN, "only {} examples were found", examples.len());
    let wrong: Vec<String> = examples
        .iter()
        .filter_map(|example| {
            let own = (!example.flags.is_empty()).then(|| Server::start(&example.flags));
            let played = play(own.as_ref().unwrap_or(&common), &example.steps);
            played.err().map(|wrong| format!("docs/protocol.md:{}: {wrong}", example.line))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    let mut lines = PAGE.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```")).collect();
        let steps: Vec<Step> = block.iter().filter_map(|line| step(line)).collect();
        if !steps.is_empty() {
            assert_eq!(steps.len(), block.len(), "line {}: not all lines have arrows", number + 1);
            let flags = info.split(' ').filter(|word| word.starts_with("--")).collect();
            found.push(Example { line: number + 1, flags, steps });
        }
    }
    found
}

fn step(line: &'static str) -> Option<Step> {
    let sent = line.strip_prefix('→').map(|text| Step::Sent(text.trim()));
    sent.or_else(|| line.strip_prefix('←').map(|text| Step::Received(text.trim())))
}

/// Plays an example; says what did not come as it is written.
fn play(server: &Server, steps: &[Step]) -> Result<(), String> {
    let (mut socket, messages) = match steps {
        [Step::Sent(request), ..] if request.starts_with("GET ") => shake_hands(server, steps)?,
        _ => (RawSocket::open(server.port, KEY_QUERY), steps),
    };
    for step in messages {
        match step {
            Step::Sent(text) => socket.send(TEXT, text.as_bytes()),
            Step::Received(wanted) => {
                let (opcode, payload) = socket.read_frame().ok_or("the connection ended")?;
                let got = if opcode == CLOSE {
                    format!("close {}", u16::from_be_bytes([payload[0], payload[1]]))
                } else {
                    String::from_utf8(payload).unwrap()
                };
                if !is_as_written(wanted, &got) {
                    return Err(format!("instead of\n  {wanted}\ncame\n  {got}"));
                }
            }
        }
    }
    // Gone before the next example begins, which may list the connections.
    socket.finish();
    Ok(())
}

/// Sends the request of a handshake and checks the response. Gives the steps behind it.
fn shake_hands<'a>(server: &Server, steps: &'a [Step]) -> Result<(RawSocket, &'a [Step]), String> {
    let end = |empty: Step| steps.iter().position(|step| *step == empty).ok_or("a handshake has no end");
    let (asked, answered) = (end(Step::Sent(""))?, end(Step::Received(""))?);
    let text = |step: &Step| match step {
        Step::Sent(text) | Step::Received(text) => format!("{text}\r\n"),
    };
    let request: String = steps[..=asked].iter().map(text).collect();
    let mut socket = RawSocket::connect(server.port);
    let response = socket.ask(&request);
    for line in steps[asked + 1..answered].iter().map(text) {
        if !response.head.contains(&line) {
            return Err(format!("instead of\n  {line}came\n  {}", response.head));
        }
    }
    let mut rest = &steps[answered + 1..];
    if let [Step::Received(body), behind @ ..] = rest
        && response.status() != 101
    {
        rest = behind;
        if *body != response.body {
            return Err(format!("instead of\n  {body}\ncame\n  {}", response.body));
        }
    }
    Ok((socket, rest))
}

fn is_as_written(wanted: &str, got: &str) -> bool {
    // As JSON: `…` for a value, an element, or further members.
    let json = wanted.replace(":…", r#":"…""#).replace(",…", r#","…":"…""#).replace("{…", r#"{"…":"…""#);
    match (serde_json::from_str(&json), serde_json::from_str(got)) {
        (Ok(wanted), Ok(got)) => matches(&wanted, &got),
        _ => wanted == got,
    }
}

fn matches(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::String(wanted), _) if wanted == "…" => true,
        (Value::String(wanted), Value::String(got)) => match wanted.strip_suffix('…') {
            Some(start) => got.starts_with(start),
            None => wanted == got,
        },
        (Value::Object(wanted), Value::Object(got)) => {
            let named = wanted.iter().filter(|(name, _)| *name != "…");
            (wanted.contains_key("…") || wanted.len() == got.len())
                && named.into_iter().all(|(name, value)| got.get(name).is_some_and(|got| matches(value, got)))
        }
        (Value::Array(wanted), Value::Array(got)) => {
            let is_history = wanted.iter().any(|item| item.get("ts").is_some());
            let pairs = || wanted.iter().zip(got).all(|(wanted, got)| matches(wanted, got));
            let any_order = || wanted.iter().all(|wanted| got.iter().any(|got| matches(wanted, got)));
            wanted.len() == got.len() && if is_history { pairs() } else { any_order() }
        }
        _ => wanted == got,
    }
}

#[test]
fn the_client_written_from_the_page_works() {
    let server = Server::start(&["--cores", "2"]);
    let run = |key: &str| {
        let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/client.py");
        let mut python = Command::new("python3");
        python.args([client, &format!("127.0.0.1:{}", server.port), key]).stdin(Stdio::null()).output()
    };
    let output = match run(KEY) {
        Err(error) => return println!("skipped: python3 can't be run: {error}"),
        Ok(output) => output,
    };
    assert_eq!(
        (String::from_utf8_lossy(&output.stderr).as_ref(), String::from_utf8_lossy(&output.stdout).as_ref()),
        ("", "{'pump-7': {'ts': 99, 'data': '99 bar'}}\n10000 records\n")
    );
    let refused = run("wrong").unwrap();
    assert!(!refused.status.success());
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(complaint.contains("401") && complaint.contains("Unknown API key"), "{complaint}");
}
