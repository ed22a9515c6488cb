// Follows a collection, with what browsers, Node (from 22 on), Deno and Bun have built in:
//   node subscribe.mjs ws://HOST:PORT KEY COLLECTION
//
// `changed` is called with the newest record of each document, a Map, whenever something has changed; `told` with what
// a person may want to know. A lost connection is made again, and goes on where it was. Returns what ends it.
export function follow({ url, key, query, changed, told = console.error }) {
  const newest = new Map();
  let socket, cursor, timer, pause = 100, over = false;
  const again = (why) => {
    if (over) return;
    told(`${why}; connecting again`);
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, 10_000);
  };
  const receive = (message) => {
    if (message.type === "ready") {
      const data = cursor ? { ...query, since: cursor } : query;
      socket.send(JSON.stringify({ id: "newest", type: "sub", data: JSON.stringify(data) }));
    } else if (message.error) {
      over = message.type !== "end"; // what was refused once will be again
      told(message.error);
      socket.close();
    } else if (message.resumed === false) {
      told(`something was missed (${message.why}): beginning anew`);
    } else if (message.records) {
      pause = 100;
      if (message.reset) newest.clear();
      for (const [document, record] of Object.entries(message.records))
        record ? newest.set(document, record) : newest.delete(document);
      // Inside a snapshot nothing can be resumed.
      cursor = message.snapshot === "part" ? undefined : message.cursor;
      if (cursor) changed(newest);
    }
  };
  const connect = () => {
    socket = new WebSocket(`${url}/?api-key=${encodeURIComponent(key)}`);
    socket.onmessage = (event) => receive(JSON.parse(event.data));
    socket.onclose = (event) => again(`the connection has ended (code ${event.code}) ${event.reason}`);
  };
  connect();
  return () => (over = true, clearTimeout(timer), socket.close());
}

if (globalThis.process?.argv[1]?.endsWith("subscribe.mjs")) {
  const [url, key, col] = process.argv.slice(2);
  follow({ url, key, query: { col }, changed: (newest) => console.log(Object.fromEntries([...newest].sort().map(([document, record]) => [document, record.ts]))) });
}
