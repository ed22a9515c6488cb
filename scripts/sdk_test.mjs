#!/usr/bin/env node
// Tries Node's WebSocket clients, docs/examples/subscribe.mjs on them, and the published Node SDK against the server.
//
//   node scripts/sdk_test.mjs --binary target/release/fluxiondb [--dir target/sdk-node] [--sdk SPEC]...
//
// Installs from npm into --dir. The SDK's newest and its oldest version are tried, or those that --sdk says: what
// `npm install` takes, such as a version with its name, a tarball or a directory. A registry that does not have the SDK
// is said so, and is no failure. Prints `N passed, N failed`; exits with 1 if any failed.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { isDeepStrictEqual, parseArgs } from "node:util";

const SDK = "@volandoo/fluxiondb-client";
const KEY = "sdk test&key+1";
// Longer than anything takes that works.
const PATIENCE_MS = 20_000;

const { values: options } = parseArgs({
  options: { binary: { type: "string" }, dir: { type: "string", default: "target/sdk-node" }, sdk: { type: "string", multiple: true } },
});
if (!options.binary) throw new Error("--binary is missing: the server to try");

const say = (line) => process.stdout.write(`${line}\n`);
const checks = { passed: 0, failed: 0 };
function equal(what, got, want) {
  checks[isDeepStrictEqual(got, want) ? "passed" : "failed"] += 1;
  if (!isDeepStrictEqual(got, want)) say(`FAIL ${what}: got ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
}

// A directory of its own for these packages, installed once.
function install(name, ...packages) {
  const directory = resolve(options.dir, name);
  if (!existsSync(join(directory, "installed"))) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "package.json"), "{}");
    // The SDK's peers are for those who compile it.
    const flags = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"];
    execFileSync("npm", ["install", ...flags, ...packages], { cwd: directory, stdio: ["ignore", "ignore", "inherit"] });
    writeFileSync(join(directory, "installed"), "");
  }
  return { directory, require: createRequire(join(directory, "package.json")) };
}

// Which versions to try; none if the registry does not know the SDK.
function published() {
  try {
    const listed = execFileSync("npm", ["view", SDK, "versions", "--json"], { stdio: ["ignore", "pipe", "pipe"] });
    const versions = [JSON.parse(listed)].flat();
    return [...new Set([versions.at(-1), versions[0]])].map((version) => `${SDK}@${version}`);
  } catch (error) {
    if (!`${error.stdout}${error.stderr}`.includes("E404")) throw error;
    return [];
  }
}

async function withServer(run) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("FLUXIONDB_")));
  const server = spawn(options.binary, ["--port", "0", "--log", "warn"], {
    env: { ...env, FLUXIONDB_SECRET_KEY: KEY },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = await once(createInterface(server.stdout), "line");
    const late = new Promise((_, fail) => setTimeout(fail, PATIENCE_MS, new Error("no answer")).unref());
    await Promise.race([run(`ws://127.0.0.1:${line.split(",")[0].split(":").at(-1)}`), late]);
  } finally {
    server.kill();
    await once(server, "exit");
  }
}

// Opens a connection as a browser does, asks once, and closes.
async function talk(WebSocket, url, offer) {
  const socket = new WebSocket(`${url}?api-key=${encodeURIComponent(KEY)}`, offer);
  const messages = [];
  return new Promise((done, fail) => {
    socket.onerror = (event) => fail(event.error ?? new Error(event.message));
    socket.onclose = (event) => done({ protocol: socket.protocol, messages, code: event.code });
    socket.onmessage = (event) => {
      messages.push(JSON.parse(event.data));
      if (messages.length === 2) return socket.close(1000);
      socket.send(JSON.stringify({ id: "1", type: "gval", data: JSON.stringify({ col: "c", key: "k" }) }));
    };
  });
}

async function tryLibraries(url) {
  const { require } = install("libraries", "ws@8", "undici@6");
  const libraries = { ws: require("ws"), undici: require("undici").WebSocket };
  // Built in from version 22 on.
  if (globalThis.WebSocket) libraries.node = globalThis.WebSocket;
  const messages = [{ message: "Authentication successful", type: "ready" }, { id: "1", value: "" }];
  for (const [name, WebSocket] of Object.entries(libraries)) {
    for (const [offer, protocol] of [[[], ""], [["one"], "one"], [["chat.v2", "chat.v1"], "chat.v2"]]) {
      const got = await talk(WebSocket, url, offer).catch(String);
      equal(`${name} with the offer [${offer}]`, got, { protocol, messages, code: 1000 });
    }
  }
  globalThis.WebSocket ??= libraries.undici;
}

async function trySdk(spec, url) {
  const { directory, require } = install(spec.replace(/[^\w.-]+/g, "_"), spec, "esbuild@0.25", "ws@8");
  // Its modules import each other as bundlers understand it, and Node alone does not.
  const bundle = join(directory, "sdk.cjs");
  require("esbuild").buildSync({
    stdin: { contents: `export * as sdk from ${JSON.stringify(SDK)}`, resolveDir: directory },
    bundle: true, platform: "node", outfile: bundle, logLevel: "error",
  });
  const { sdk } = require(bundle);
  const Client = sdk.FluxionDBClient ?? sdk.default;
  const client = new Client({ url, apiKey: KEY, connectionName: "sdk test", maxReconnectAttempts: 0 });
  await client.connect();
  await goThrough(client);
  client.close();
}

// Older versions have longer names of methods, and other names of members: both are sent.
const both = (members) => ({ ...members, collection: members.col, key: members.key ?? members.doc });

async function goThrough(client) {
  const method = (...names) => {
    const name = names.find((known) => known in client);
    return name && ((parameters) => client[name](parameters));
  };
  const insert = method("insertMultipleRecords", "insertMultipleDocumentRecords");
  const latest = method("fetchLatestRecords", "fetchLatestDocumentRecords");
  const history = method("fetchDocument", "fetchRecords");
  const left = async () => (await history(both({ col: "sensors", doc: "d1", from: 0, to: 99 }))).map((record) => record.ts);
  const text = 'ünï 🚀 "quoted"';

  equal("no collections", await client.fetchCollections(), []);
  await insert([1, 2.9, 3, 4, 5].map((ts) => both({ ts, doc: "d1", data: text, col: "sensors" })));
  await method("insertSingleRecord", "insertSingleDocumentRecord")(both({ ts: 7, doc: "d2", data: "", col: "sensors" }));
  equal("collections", await client.fetchCollections(), ["sensors"]);
  equal("latest", await latest(both({ col: "sensors", ts: 6 })), { d1: { ts: 5, data: text } });
  equal("latest by pattern", await latest(both({ col: "sensors", ts: 9, doc: "/2$/" })), { d2: { ts: 7, data: "" } });
  equal("history", await left(), [1, 2, 3, 4, 5]);
  const newest = both({ col: "sensors", doc: "d1", from: 0, to: 99, limit: 1, reverse: true });
  equal("history from the end", await history(newest), [{ ts: 5, data: text }]);

  await method("deleteRecord", "deleteDocumentRecord")(both({ col: "sensors", doc: "d1", ts: 5 }));
  await method("deleteMultipleRecords", "deleteMultipleDocumentRecords")([both({ col: "sensors", doc: "d1", ts: 4 })]);
  equal("after deleting records", await left(), [1, 2, 3]);
  await method("deleteRecordsRange")?.({ col: "sensors", doc: "d1", fromTs: 2, toTs: 2 });
  equal("after deleting a range", await left(), method("deleteRecordsRange") ? [1, 3] : [1, 2, 3]);
  await client.deleteDocument(both({ doc: "d1", col: "" }));
  equal("after deleting a document everywhere", await left(), []);
  await insert([both({ ts: Date.now() / 1000, doc: "now", data: "x", col: "clock" })]);
  equal("a time with a fraction", Object.keys(await latest(both({ col: "clock", ts: Date.now() / 1000 + 60 }))), ["now"]);

  await client.setValue(both({ col: "kv", key: "k", value: "v" }));
  equal("value", await client.getValue(both({ col: "kv", key: "k" })), "v");
  equal("keys", await client.getKeys({ col: "kv", collection: "kv" }), ["k"]);
  equal("values", await client.getValues({ col: "kv", collection: "kv" }), { k: "v" });
  await client.deleteValue(both({ col: "kv", key: "k" }));
  equal("a value that is gone", await client.getValue(both({ col: "kv", key: "k" })), "");
  if (client.addApiKey) equal("add a key", (await client.addApiKey({ key: "reader", scope: "readonly" })).status, "ok");
  if (client.removeApiKey) equal("remove a key", (await client.removeApiKey({ key: "reader" })).status, "ok");
  if (client.getConnections) equal("connections", (await client.getConnections()).map((found) => found.self), [true]);
  await client.deleteCollection({ col: "sensors", collection: "sensors" });
  await client.deleteCollection({ col: "clock", collection: "clock" });
  equal("after deleting collections", await client.fetchCollections(), []);
}

// The example follows what is newest; a connection that is lost under it is made again.
async function tryExample(url) {
  const { follow } = await import(new URL("../docs/examples/subscribe.mjs", import.meta.url));
  const sockets = [];
  const WebSocket = globalThis.WebSocket;
  globalThis.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }
  };
  const ask = async (type, data) => {
    const socket = new WebSocket(`${url}?api-key=${encodeURIComponent(KEY)}`);
    await once(socket, "message");
    socket.send(JSON.stringify({ id: "1", type, data: JSON.stringify(data) }));
    const [event] = await once(socket, "message");
    socket.close();
    return JSON.parse(event.data);
  };
  const insert = (doc, ts) => ask("ins", [{ ts, doc, data: "ünï 🚀", col: "fleet" }]);
  const states = [];
  const told = [];
  let changed = () => {};
  const end = follow({
    url, key: KEY, query: { col: "fleet", doc: "/^t/" }, told: (text) => told.push(text),
    changed: (newest) => {
      states.push(Object.fromEntries([...newest].map(([doc, record]) => [doc, record.ts])));
      changed();
    },
  });
  const next = async () => {
    while (states.length === 0) await new Promise((done) => (changed = done));
    return states.shift();
  };
  equal("the example on nothing", await next(), {});
  await insert("t1", 1);
  equal("the example on an insert", await next(), { t1: 1 });
  sockets[0].close();
  await insert("u1", 5);
  await insert("t2", 2);
  equal("the example after a lost connection", await next(), { t1: 1, t2: 2 });
  await ask("dcol", { col: "fleet" });
  equal("the example on a deletion", await next(), {});
  equal("what it told", told.map((text) => /^the connection has ended/.test(text)), [true]);
  equal("connections made", sockets.length, 2);
  end();
  globalThis.WebSocket = WebSocket;
}

async function main() {
  await withServer(tryLibraries);
  await withServer(tryExample);
  const specs = options.sdk ?? published();
  if (specs.length === 0) say(`${SDK} was not tried: the npm registry does not have it`);
  for (const spec of specs) {
    // Older versions tell of each step.
    console.log = console.warn = () => {};
    await withServer((url) => trySdk(spec, url)).catch((error) => equal(spec, String(error.stack), "no error"));
  }
  say(`Node's clients and ${specs.length} versions of its SDK: ${checks.passed} passed, ${checks.failed} failed`);
  process.exit(checks.failed ? 1 : 0);
}

await main();
