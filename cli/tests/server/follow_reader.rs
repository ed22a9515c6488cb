//! A connection with subscriptions that checks each push against the model: what it may say at that point, and that nothing
//! comes that must not.

use crate::follow_subscription::{Subscription, World};
use crate::support::{KEY_QUERY, PATIENCE, Random, Server};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

/// A connection. Its socket is read only when the test says so.
pub struct Reader {
    socket: WebSocket<TcpStream>,
    subscriptions: BTreeMap<String, Subscription>,
    /// Names of those that have ended: nothing of them may come.
    over: BTreeSet<String>,
    /// Those that the server has ended, to be resumed when nothing else is being waited for.
    ended: Vec<Subscription>,
    replies: HashMap<String, Value>,
    /// The request that inserts a record of this connection and that record's text, until the reply comes.
    own: Option<(String, String)>,
    last_id: u64,
}

impl Reader {
    pub fn connect(server: &Server) -> Reader {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = format!("ws://127.0.0.1:{}/?{KEY_QUERY}", server.port);
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config)).unwrap();
        let mut reader = Reader {
            socket,
            subscriptions: BTreeMap::new(),
            over: BTreeSet::new(),
            replies: HashMap::new(),
            own: None,
            ended: Vec::new(),
            last_id: 0,
        };
        assert_eq!(reader.receive(PATIENCE).unwrap()["type"], "ready");
        reader
    }

    /// Loses the connection in the middle of whatever it is doing, and resumes all subscriptions on another.
    pub fn lose(self, world: &mut World<'_>) -> Reader {
        let Reader { socket, subscriptions, ended, last_id, .. } = self;
        // What has not been read makes this a reset.
        drop(socket);
        let mut reader = Reader::connect(world.server);
        reader.last_id = last_id;
        for subscription in subscriptions.into_values().chain(ended) {
            reader.subscribe(subscription, world);
        }
        reader
    }

    pub fn count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Makes a subscription of any kind.
    pub fn subscribe_any(&mut self, random: &mut Random, is_quiet: bool, world: &mut World<'_>) {
        self.subscribe(Subscription::any(random, is_quiet), world);
    }

    /// Subscribes, from its cursor if it has one.
    fn subscribe(&mut self, mut subscription: Subscription, world: &mut World<'_>) {
        let mut asked = subscription.asked.clone();
        if let Some(cursor) = &subscription.cursor {
            asked.insert("since".into(), cursor.as_str().into());
        }
        let name = self.send("sub", &asked.into());
        let reply = self.reply(&name, world);
        assert!(reply.get("error").is_none(), "{name}: {reply}");
        let may_miss = world.restarts > subscription.restarts;
        match (subscription.cursor.is_some(), reply["resumed"].as_bool(), reply["why"].as_str()) {
            (false, None, None) => subscription.begin(&reply, world),
            (true, Some(true), None) => world.seen.resumed += 1,
            (true, Some(false), Some("history")) if may_miss => {
                world.seen.history += 1;
                subscription.begin_with_snapshot(world);
            }
            (true, Some(false), Some("epoch")) if may_miss => {
                world.seen.epoch += 1;
                subscription.begin_with_snapshot(world);
            }
            other => panic!("{name} {:?}: {reply} for {other:?}", subscription.asked),
        }
        subscription.restarts = world.restarts;
        self.subscriptions.insert(name, subscription);
    }

    /// Ends one of its subscriptions.
    pub fn unsubscribe(&mut self, random: &mut Random, world: &mut World<'_>) {
        let Some(name) = self.any_name(random) else { return };
        let id = self.send("unsub", &json!({"sub": name}));
        let reply = self.reply(&id, world);
        let was_there = self.subscriptions.remove(&name).is_some();
        // The server may have ended it meanwhile.
        assert!(reply == json!({"id": id}) || !was_there, "{reply}");
        self.over.insert(name);
    }

    fn any_name(&self, random: &mut Random) -> Option<String> {
        let count = self.subscriptions.len();
        (count > 0).then(|| self.subscriptions.keys().nth(random.below(count)).unwrap().clone())
    }

    /// Inserts a record on this connection: no push has it before the reply comes.
    pub fn insert(&mut self, records: &Value, text: String, world: &mut World<'_>) {
        let id = self.send("ins", records);
        self.own = Some((id.clone(), text));
        assert_eq!(self.reply(&id, world), json!({"id": id}));
    }

    fn send(&mut self, kind: &str, data: &Value) -> String {
        self.last_id += 1;
        let id = format!("s\"{}", self.last_id);
        let request = json!({"id": id, "type": kind, "data": data.to_string()});
        self.socket.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        self.socket.send(Message::text(request.to_string())).unwrap();
        id
    }

    fn reply(&mut self, id: &str, world: &mut World<'_>) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(reply) = self.replies.remove(id) {
                return reply;
            }
            assert!(Instant::now() < deadline && self.read_one(PATIENCE, world), "no reply to {id}");
        }
    }

    /// Reads a message if one comes in time, and resumes what has ended.
    pub fn read(&mut self, patience: Duration, world: &mut World<'_>) -> bool {
        let is_read = self.read_one(patience, world);
        self.resume_ended(world);
        is_read
    }

    fn resume_ended(&mut self, world: &mut World<'_>) {
        while let Some(subscription) = self.ended.pop() {
            self.subscribe(subscription, world);
        }
    }

    /// Only reads: what it comes in between of has not been looked at yet.
    fn read_one(&mut self, patience: Duration, world: &mut World<'_>) -> bool {
        let Some(message) = self.receive(patience) else { return false };
        self.take(message, world);
        true
    }

    fn receive(&mut self, patience: Duration) -> Option<Value> {
        self.socket.get_mut().set_read_timeout(Some(patience)).unwrap();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => panic!("closed: {frame:?}"),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(error) => panic!("the connection failed: {error}"),
            }
        }
    }

    fn take(&mut self, message: Value, world: &mut World<'_>) {
        if let Some(id) = message["id"].as_str() {
            self.own.take_if(|(own, _)| own == id);
            assert!(self.replies.insert(id.into(), message.clone()).is_none(), "answered twice: {message}");
            return;
        }
        let name = message["sub"].as_str().unwrap_or_else(|| panic!("about nothing: {message}")).to_owned();
        assert!(!self.over.contains(&name), "it has ended: {message}");
        if let Some((_, text)) = &self.own {
            assert!(!message.to_string().contains(&format!("\"{text}\"")), "before its reply: {message}");
        }
        // The reply to its request comes before.
        let subscription =
            self.subscriptions.get_mut(&name).unwrap_or_else(|| panic!("nobody asked: {message}"));
        match message["type"].as_str() {
            Some("push") => {
                world.seen.pushes += 1;
                if let Err(wrong) = subscription.push(&message, world) {
                    panic!("{name} {:?}: {wrong}\n{message}", subscription.asked);
                }
            }
            Some("end") => {
                assert!(subscription.is_all && subscription.asked["slow"] == "close", "{message}");
                assert!(message["error"].as_str().unwrap().starts_with("too slow"), "{message}");
                world.seen.ended += 1;
                self.over.insert(name.clone());
                let mut subscription = self.subscriptions.remove(&name).unwrap();
                if subscription.cursor.is_some() {
                    subscription.cursor = Some(message["cursor"].as_str().unwrap().into());
                }
                self.ended.push(subscription);
            }
            _ => panic!("neither push nor end: {message}"),
        }
    }

    /// Reads until all its subscriptions have said all that there is to say.
    pub fn catch_up(&mut self, world: &mut World<'_>) {
        self.resume_ended(world);
        let deadline = Instant::now() + PATIENCE;
        while let Some((name, behind)) =
            self.subscriptions.iter().find(|(_, subscription)| !subscription.is_caught_up(world.model))
        {
            let told = format!("{name} {:?} at {:?} {:?}", behind.asked, behind.state, behind.next);
            assert!(Instant::now() < deadline, "{told} does not catch up: {:?}", behind.fold);
            self.read(Duration::from_millis(500), world);
        }
    }
}
