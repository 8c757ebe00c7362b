// How much sound a live stream of the page (the module in the argument) sends again when its
// connection breaks after a final: finals come as a JSON list on standard input, and the first
// sample of the sound that is sent again goes to standard output for each.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const RATE = 16_000;
const BLOCK = 800;
const BLOCKS = 100;
const sockets = [];

globalThis.document = { baseURI: "http://localhost/" };
globalThis.window = { addEventListener() {}, removeEventListener() {} };
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  sent = [];

  constructor() {
    sockets.push(this);
  }

  send(data) {
    if (typeof data !== "string") this.sent.push(data);
  }

  close() {}

  receive(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
};

const { LiveStream } = await import(pathToFileURL(process.argv[2]));
const on = { ready() {}, partial() {}, final() {}, interrupted() {}, end() {} };
const results = [];
for (const final of JSON.parse(readFileSync(0, "utf-8"))) {
  sockets.length = 0;
  const stream = new LiveStream({ sample_rate: RATE }, null, on);
  sockets[0].onopen();
  sockets[0].receive({ type: "ready" });
  for (let number = 0; number < BLOCKS; number += 1) stream.send(new Int16Array(BLOCK));
  sockets[0].receive({ type: "final", ...final });
  sockets[0].onclose({ code: 1006, reason: "" });
  stream.onLine(); // the network is back
  sockets[1].onopen();
  sockets[1].receive({ type: "ready" });
  results.push((BLOCKS - sockets[1].sent.length) * BLOCK);
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
