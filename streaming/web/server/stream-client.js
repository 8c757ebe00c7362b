// One live stream over a WebSocket, from its start message to its close.

const READY_WITHIN_MS = 20_000;
const DONE_WITHIN_MS = 60_000;
const KEEPALIVE_AFTER_MS = 5_000;

// For a connection that the server closes without an error message.
const CODE_OF_CLOSE = { 4401: "unauthorised", 4429: "busy" };

// `on` has ready(), partial(words), final({words, written}) and end({code, message, duration}).
// end is called exactly once; its code is null without an error.
export class StreamClient {
  #socket;
  #on;
  #settings;
  #ready = false;
  #finishing = false;
  #waiting = []; // blocks recorded before the server was ready
  #end = { code: "lost", message: "The connection to the server was lost.", duration: null };
  #deadline;
  #keepalive;

  constructor(settings, token, on) {
    this.#settings = settings;
    this.#on = on;
    const url = new URL("v1/stream", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    if (token) url.searchParams.set("token", token);
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => this.#sendMessage({ type: "start", encoding: "pcm16", ...this.#settings });
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = (event) => this.#closed(event);
    this.#timeOutAfter(READY_WITHIN_MS);
  }

  // `samples` is an Int16Array.
  send(samples) {
    if (!this.#ready) this.#waiting.push(samples);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(samples);
    this.#scheduleKeepalive();
  }

  // Ends the audio; the last words follow, then the end.
  finish() {
    this.#finishing = true;
    if (this.#ready) this.#sendFinish();
  }

  #sendFinish() {
    this.#sendMessage({ type: "finish" });
    clearTimeout(this.#keepalive);
    this.#timeOutAfter(DONE_WITHIN_MS);
  }

  #sendMessage(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(message) {
    if (message.type === "ready") this.#becomeReady();
    else if (message.type === "partial") this.#on.partial(message.words);
    else if (message.type === "final") this.#on.final(message);
    else if (message.type === "done") {
      const reason = this.#finishing ? null : "The server is shutting down and has closed the stream.";
      this.#end = { code: null, message: reason, duration: message.duration };
      this.#socket.close(1000);
    } else if (message.type === "error") {
      this.#end = { code: message.code, message: message.message, duration: null };
    }
  }

  #becomeReady() {
    clearTimeout(this.#deadline);
    this.#ready = true;
    this.#on.ready();
    for (const samples of this.#waiting) this.#socket.send(samples);
    this.#waiting = [];
    if (this.#finishing) this.#sendFinish();
    else this.#scheduleKeepalive();
  }

  // A muted device may deliver no blocks; keepalives prevent the idle timeout of the server.
  #scheduleKeepalive() {
    clearTimeout(this.#keepalive);
    if (!this.#ready || this.#finishing) return;
    this.#keepalive = setTimeout(() => {
      this.#sendMessage({ type: "keepalive" });
      this.#scheduleKeepalive();
    }, KEEPALIVE_AFTER_MS);
  }

  #timeOutAfter(milliseconds) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.#end = { code: "lost", message: "The server does not answer.", duration: null };
      this.#socket.close();
      this.#closed({}); // an unreachable server does not answer the close either
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
