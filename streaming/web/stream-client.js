// One live stream over a WebSocket, from its start message to its close.

const READY_WITHIN_MS = 20_000;
const DONE_WITHIN_MS = 60_000;
const KEEPALIVE_AFTER_MS = 5_000;

// For a server that closes without a word of its own.
const CODE_OF_CLOSE = { 4401: "unauthorised", 4429: "busy" };

// `on` has ready(), partial(words), final(words) and end({code, message, duration}).
// end comes exactly once; its code is null when all went well.
export class StreamClient {
  #socket;
  #on;
  #start;
  #ready = false;
  #finishing = false;
  #waiting = []; // blocks that came before the server was ready
  #end = { code: "lost", message: "The connection to the server was lost.", duration: null };
  #deadline;
  #keepalive;

  constructor(start, token, on) {
    this.#start = start;
    this.#on = on;
    const url = new URL("v1/stream", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    if (token) url.searchParams.set("token", token);
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => this.#tell({ type: "start", encoding: "pcm16", ...this.#start });
    this.#socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    this.#socket.onclose = (event) => this.#closed(event);
    this.#giveUpAfter(READY_WITHIN_MS);
  }

  // `samples` is an Int16Array.
  send(samples) {
    if (!this.#ready) this.#waiting.push(samples);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(samples);
    this.#stayAwake();
  }

  // Nothing more is sent; the last words come, then the end.
  finish() {
    this.#finishing = true;
    if (this.#ready) this.#sendFinish();
  }

  #sendFinish() {
    this.#tell({ type: "finish" });
    clearTimeout(this.#keepalive);
    this.#giveUpAfter(DONE_WITHIN_MS);
  }

  #tell(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #hear(message) {
    if (message.type === "ready") this.#begin();
    else if (message.type === "partial") this.#on.partial(message.words);
    else if (message.type === "final") this.#on.final(message.words);
    else if (message.type === "done") {
      const why = this.#finishing ? null : "The server is ending and has closed the stream.";
      this.#end = { code: null, message: why, duration: message.duration };
      this.#socket.close(1000);
    } else if (message.type === "error") {
      this.#end = { code: message.code, message: message.message, duration: null };
    }
  }

  #begin() {
    clearTimeout(this.#deadline);
    this.#ready = true;
    this.#on.ready();
    for (const samples of this.#waiting) this.#socket.send(samples);
    this.#waiting = [];
    if (this.#finishing) this.#sendFinish();
    else this.#stayAwake();
  }

  // A muted device may give no blocks at all; the server should not take that for an absence.
  #stayAwake() {
    clearTimeout(this.#keepalive);
    if (!this.#ready || this.#finishing) return;
    this.#keepalive = setTimeout(() => {
      this.#tell({ type: "keepalive" });
      this.#stayAwake();
    }, KEEPALIVE_AFTER_MS);
  }

  #giveUpAfter(milliseconds) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.#end = { code: "lost", message: "The server does not answer.", duration: null };
      this.#socket.close();
      this.#closed({}); // a server that is gone does not answer the close either
    }, milliseconds);
  }

  #closed({ code, reason }) {
    clearTimeout(this.#deadline);
    clearTimeout(this.#keepalive);
    this.#socket.onclose = null;
    this.#socket.onmessage = null;
    if (this.#end.code === "lost" && CODE_OF_CLOSE[code]) {
      this.#end = { code: CODE_OF_CLOSE[code], message: reason, duration: null };
    }
    this.#on.end(this.#end);
  }
}
