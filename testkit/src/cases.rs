//! Runs the cases in `conformance/`; the README there says what each line means.

use crate::client::Client;
use crate::raw::{RawSocket, upgrade};
use crate::server::{KEY, KEY_QUERY, Server};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use tungstenite::Message;

/// Runs every case of a directory, in order of their names, against one server.
pub fn run_all(server: &Server, directory: &str) {
    run(server, directory, Replies::InOrder);
}

/// In which order a server may answer the requests that a connection has sent without waiting.
#[derive(Clone, Copy, PartialEq)]
pub enum Replies {
    /// As the requests.
    InOrder,
    /// Those to writes come later, when they are stored.
    AnyOrder,
}

/// The same, with replies in this order.
pub fn run(server: &Server, directory: &str, replies: Replies) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance").join(directory);
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let failures: Vec<String> =
        paths.iter().filter_map(|path| run_file(server, path, replies).err()).collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed\n{}",
        failures.len(),
        paths.len(),
        failures.join("\n")
    );
}

/// Runs the steps of one file until one fails.
fn run_file(server: &Server, path: &Path, replies: Replies) -> Outcome {
    let mut case = Case {
        server,
        clients: HashMap::new(),
        early: Vec::new(),
        pushed: HashMap::new(),
        kept: HashMap::new(),
        replies,
        sent: 0,
    };
    for (index, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        if line.trim().is_empty() || line.starts_with("//") {
            continue;
        }
        let step: Value = serde_json::from_str(line).unwrap();
        case.step(&step).map_err(|why| format!("{}:{}: {line}\n{why}", path.display(), index + 1))?;
    }
    Ok(())
}

struct Case<'a> {
    server: &'a Server,
    clients: HashMap<String, Client>,
    /// Replies that came before the one that a step waited for.
    early: Vec<Value>,
    /// What came to each connection without an id while a reply was waited for.
    pushed: HashMap<String, VecDeque<Value>>,
    /// Members of messages under the names that steps gave them.
    kept: HashMap<String, Value>,
    replies: Replies,
    sent: usize,
}

type Outcome = Result<(), String>;

impl Case<'_> {
    fn step(&mut self, step: &Value) -> Outcome {
        if step.get("open").is_some() {
            return self.open(step);
        }
        if step.get("on").is_none() {
            let name = step["close"].as_str().ok_or("unknown step")?;
            self.clients.remove(name).ok_or("unknown connection")?;
            self.pushed.remove(&step["close"].to_string());
            return Ok(());
        }
        if let Some(want) = step.get("push").or(step.get("next")) {
            return self.pushed(step, want);
        }
        if let Some(name) = step.get("snapshot") {
            return self.snapshot(step, name);
        }
        if let Some(text) = step.get("text").and_then(Value::as_str) {
            self.write(step, Message::text(text))?;
        } else if let Some(hex) = step.get("binary").and_then(Value::as_str) {
            self.write(step, Message::binary(from_hex(hex)))?;
        } else if let Some(kind) = step.get("send") {
            return self.send(step, kind);
        }
        self.outcome(step, None)
    }

    fn open(&mut self, step: &Value) -> Outcome {
        let query = step["query"].as_str().unwrap_or("").replace("api-key=$MASTER", KEY_QUERY);
        let path = step.get("path").and_then(Value::as_str).unwrap_or("/");
        if let Some(status) = step.get("status") {
            let mut socket = RawSocket::connect(self.server.port);
            let got = socket.handshake(&upgrade(&format!("{path}?{query}"), ""));
            let body = step.get("body").and_then(Value::as_str).unwrap_or(&got.1);
            return check(*status == got.0 && body == got.1, || format!("the handshake gave {got:?}"));
        }
        let mut client = Client::connect(self.server.port, path, &query);
        if step.get("ready") != Some(&json!(false)) {
            let ready = json!({"message": "Authentication successful", "type": "ready"});
            let got = client.receive();
            check(got == Ok(ready), || format!("no ready message: {got:?}"))?;
        }
        self.clients.insert(step["open"].as_str().unwrap_or_default().to_string(), client);
        Ok(())
    }

    fn send(&mut self, step: &Value, kind: &Value) -> Outcome {
        self.sent += 1;
        let id = step.get("id").and_then(Value::as_str).map_or(format!("m{}", self.sent), String::from);
        let data = match &step["data"] {
            Value::String(text) if text == "$MASTER_RAW" => KEY.to_string(),
            Value::String(text) => text.clone(),
            other => self.with_kept(other).to_string(),
        };
        let mut text = json!({"id": id, "type": kind, "data": data}).to_string();
        if step.get("ascii") == Some(&json!(true)) {
            text = to_ascii(&text);
        }
        self.write(step, Message::text(text))?;
        if step.get("later") == Some(&json!(true)) { Ok(()) } else { self.outcome(step, Some(&id)) }
    }

    fn write(&mut self, step: &Value, message: Message) -> Outcome {
        self.client(step)?.socket.send(message).map_err(|error| error.to_string())
    }

    fn client(&mut self, step: &Value) -> Result<&mut Client, String> {
        step["on"].as_str().and_then(|name| self.clients.get_mut(name)).ok_or("unknown connection".into())
    }

    /// The answer that the step says the server gives.
    fn outcome(&mut self, step: &Value, id: Option<&str>) -> Outcome {
        let is_next = |got: &Value, want: &Value| got.get("id") == want.get("id");
        if let Some(want) = step.get("reply")
            && let Some(index) = self.early.iter().position(|got| is_next(got, want))
        {
            let got = self.early.remove(index);
            return check(same(want, &got), || format!("got {got}"));
        }
        let replies = self.replies;
        let client =
            self.clients.get_mut(step["on"].as_str().ok_or("no connection")?).ok_or("unknown connection")?;
        if let Some(codes) = step.get("close") {
            let code = json!(client.closed());
            let expected = *codes == code || codes.as_array().is_some_and(|codes| codes.contains(&code));
            return check(expected, || format!("closed with {code}"));
        }
        let Some(want) = step.get("reply") else { return Ok(()) };
        let pushed = self.pushed.entry(step["on"].to_string()).or_default();
        let mut receive = || loop {
            match client.receive() {
                Ok(push) if push.get("id").is_none() => pushed.push_back(push),
                Ok(reply) => return Ok(reply),
                Err(code) => return Err(format!("closed with {code:?} instead of a reply")),
            }
        };
        let mut got = receive()?;
        while replies == Replies::AnyOrder && id.is_none() && !is_next(&got, want) && want.get("id").is_some()
        {
            self.early.push(got);
            got = receive()?;
        }
        if let Some(id) = id {
            let got_id = got.as_object_mut().and_then(|members: &mut Map<_, _>| members.remove("id"));
            check(got_id == Some(json!(id)), || format!("the reply's id is {got_id:?}, not {id}"))?;
        }
        check(same(want, &got), || format!("got {got}"))?;
        self.keep(step, &got)
    }

    /// The next message without an id; or, for `next`, whatever comes next.
    fn pushed(&mut self, step: &Value, want: &Value) -> Outcome {
        let got = self.next_push(step)?;
        check(step.get("next").is_some() || got.get("id").is_none(), || format!("the reply {got}"))?;
        check(same(&self.with_kept(want), &got), || format!("got {got}"))?;
        self.keep(step, &got)
    }

    fn next_push(&mut self, step: &Value) -> Result<Value, String> {
        match self.pushed.get_mut(&step["on"].to_string()).and_then(VecDeque::pop_front) {
            Some(push) => Ok(push),
            None => {
                let received = self.client(step)?.receive();
                received.map_err(|code| format!("closed with {code:?} instead of a push"))
            }
        }
    }

    /// All parts of a subscription's snapshot, which together must hold what the step says.
    fn snapshot(&mut self, step: &Value, name: &Value) -> Outcome {
        let (mut records, mut changes) = (Map::new(), Vec::new());
        for number in 0.. {
            let got = self.next_push(step)?;
            let fits = got["sub"] == *name && got["type"] == "push" && got["cursor"].is_string();
            let begins = got.get("reset") == (number == 0).then_some(&json!(true));
            check(fits && begins, || format!("no part of the snapshot, or not in order: {got}"))?;
            records.extend(got["records"].as_object().cloned().unwrap_or_default());
            changes.extend(got["changes"].as_array().cloned().unwrap_or_default());
            match got["snapshot"].as_str() {
                Some("part") => {}
                Some("done") => {
                    self.keep(step, &got)?;
                    break;
                }
                _ => return Err(format!("no part of a snapshot: {got}")),
            }
        }
        let (want, got) = match step.get("changes") {
            Some(changes_wanted) => (json!({"$set": changes_wanted}), Value::from(changes)),
            None => (step["records"].clone(), records.into()),
        };
        check(same(&want, &got), || format!("together {got}"))
    }

    fn keep(&mut self, step: &Value, got: &Value) -> Outcome {
        for (name, member) in step.get("keep").and_then(Value::as_object).into_iter().flatten() {
            let value = got.get(member.as_str().unwrap_or_default()).ok_or("nothing to keep")?;
            self.kept.insert(format!("${name}"), value.clone());
        }
        Ok(())
    }

    /// Data with what was kept in place of its name.
    fn with_kept(&self, data: &Value) -> Value {
        match data {
            Value::String(text) => self.kept.get(text).unwrap_or(data).clone(),
            Value::Object(members) => {
                members.iter().map(|(key, value)| (key.clone(), self.with_kept(value))).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.with_kept(item)).collect(),
            other => other.clone(),
        }
    }
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(why()) }
}

/// Whether `got` is what a case asks for; `$` keys relax an exact match.
fn same(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Object(wanted), _) if wanted.len() == 1 && wanted.keys().all(|key| key.starts_with('$')) => {
            wanted.iter().all(|(key, argument)| relaxed(key, argument, got))
        }
        (Value::Object(wanted), Value::Object(members)) => {
            wanted.len() == members.len()
                && wanted
                    .iter()
                    .all(|(key, value)| members.get(key).is_some_and(|member| same(value, member)))
        }
        (Value::Array(wanted), Value::Array(items)) => {
            wanted.len() == items.len() && wanted.iter().zip(items).all(|(value, item)| same(value, item))
        }
        _ => want == got,
    }
}

fn relaxed(key: &str, argument: &Value, got: &Value) -> bool {
    let sorted = |value: &Value| {
        let mut texts: Vec<String> = value.as_array()?.iter().map(Value::to_string).collect();
        texts.sort();
        Some(texts)
    };
    let has = |value: &Value| got.as_array().is_some_and(|items| items.iter().any(|item| same(value, item)));
    let all =
        |holds: &dyn Fn(&Value) -> bool| argument.as_array().is_some_and(|values| values.iter().all(holds));
    match key {
        "$any" => true,
        "$set" => got.is_array() && sorted(argument) == sorted(got),
        "$has" => got.is_array() && all(&has),
        "$lacks" => got.is_array() && all(&|value| !has(value)),
        "$error" => got["error"].as_str().is_some_and(|error| !error.is_empty()),
        "$int" => got.as_i64().is_some_and(|number| {
            argument[0].as_i64().is_some_and(|least| least <= number)
                && argument[1].as_i64().is_some_and(|most| number <= most)
        }),
        _ => panic!("{key} is not known"),
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn to_ascii(text: &str) -> String {
    let mut ascii = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => ascii.push(byte as char),
            _ => ascii.push_str(&format!("\\u{unit:04x}")),
        }
    }
    ascii
}
