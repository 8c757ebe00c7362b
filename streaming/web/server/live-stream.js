// A live stream that survives its connection: sound that is not yet recognised is kept, and sent
// again when the server answers again.

import { shiftUtterance, shiftWords } from "../transcript/formats.js";
import { StreamClient } from "./stream-client.js";

const KEPT_SECONDS = 50; // the server takes 60 s ahead of time
const AFTER_LAST_WORD_SECONDS = 0.2; // a final's words end a little before their sound
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;
const GIVE_UP_AFTER_MS = 120_000;
const GIVE_UP_WHEN_FINISHING_MS = 15_000;
const MAX_FAULTS = 3; // of the server in a row, on the same sound

// Ends of a connection after which another one can go on.
const PASSING = ["lost", "closing", "internal", "slow_reader", "too_long", "idle", "busy"];

// `on` has ready(), partial(words), final({words, written}), interrupted() and end({code, message}).
// Times count from the first sample. ready comes after each interruption, and end exactly once.
export class LiveStream {
  #settings;
  #token;
  #on;
  #rate;
  #client = null; // null while there is no connection
  #origin = 0; // the sample at which the connection's times start
  #kept = []; // {start, samples}: not recognised yet
  #recorded = 0; // samples
  #partial = [];
  #wasReady = false;
  #finishing = false;
  #ended = false;
  #lostAt = null;
  #giveUpAfter = GIVE_UP_AFTER_MS;
  #retryMs = FIRST_RETRY_MS;
  #retry;
  #faults = 0;

  constructor(settings, token, on) {
    this.#settings = settings;
    this.#rate = settings.sample_rate;
    this.#token = token;
    this.#on = on;
    this.#connect();
    this.onLine = () => this.#connectNow();
    window.addEventListener("online", this.onLine);
  }

  // `samples` is an Int16Array.
  send(samples) {
    this.#kept.push({ start: this.#recorded, samples });
    this.#recorded += samples.length;
    this.#forgetBefore(this.#recorded - KEPT_SECONDS * this.#rate);
    this.#client?.send(samples);
  }

  // Ends the audio; the last words follow, then the end.
  finish() {
    this.#finishing = true;
    if (this.#client) return this.#client.finish();
    this.#lostAt = Date.now();
    this.#giveUpAfter = GIVE_UP_WHEN_FINISHING_MS;
    this.#connectNow();
  }

  #connect() {
    const origin = this.#kept[0]?.start ?? this.#recorded;
    const seconds = (this.#origin = origin) / this.#rate;
    this.#client = new StreamClient(this.#settings, this.#token, {
      ready: () => this.#ready(),
      partial: (words) => this.#showPartial(shiftWords(words, seconds)),
      final: (utterance) =>
        this.#addFinal(shiftUtterance(utterance, seconds), seconds + utterance.cut_seconds),
      end: (end) => this.#connectionEnded(end),
    });
    for (const { samples } of this.#kept) this.#client.send(samples);
    if (this.#finishing) this.#client.finish();
  }

  #connectNow() {
    if (this.#client || this.#ended) return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  #ready() {
    this.#wasReady = true;
    this.#lostAt = null;
    this.#retryMs = FIRST_RETRY_MS;
    this.#on.ready();
  }

  #showPartial(words) {
    this.#partial = words;
    this.#on.partial(words);
  }

  // `cut` is where the next words start at once, in seconds; NaN after a pause.
  #addFinal(utterance, cut) {
    this.#partial = [];
    this.#faults = 0;
    const last = utterance.words.at(-1);
    const end = Number.isFinite(cut) ? cut : last && last.end + AFTER_LAST_WORD_SECONDS;
    if (end !== undefined) this.#forgetBefore(end * this.#rate);
    this.#on.final(utterance);
  }

  #connectionEnded({ code, message, duration }) {
    this.#client = null;
    if (this.#finishing && code === null) return this.#end({ code, message });
    // The server has closed the stream after its last words.
    if (code === null) this.#forgetBefore(this.#origin + duration * this.#rate);
    if (code === "internal") this.#faults += 1;
    const canGoOn = code === null || PASSING.includes(code);
    if (!this.#wasReady || !canGoOn || this.#faults >= MAX_FAULTS) {
      return this.#end({ code, message });
    }

    if (this.#lostAt === null) {
      this.#lostAt = Date.now();
      this.#giveUpAfter = this.#finishing ? GIVE_UP_WHEN_FINISHING_MS : GIVE_UP_AFTER_MS;
      this.#on.interrupted();
    }
    if (Date.now() - this.#lostAt > this.#giveUpAfter) {
      return this.#end({ code: code ?? "lost", message });
    }
    this.#retry = setTimeout(() => this.#connectNow(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  #end({ code, message }) {
    if (this.#ended) return;
    this.#ended = true;
    window.removeEventListener("online", this.onLine);
    this.#on.end({ code, message });
  }

  // Sound before this sample will not be sent again. Words of a partial whose sound is gone become
  // final.
  #forgetBefore(sample) {
    const isOver = ({ start, samples }) => start + samples.length <= sample;
    while (this.#kept.length > 0 && isOver(this.#kept[0])) this.#kept.shift();
    if (this.#client || this.#partial.length === 0) return;
    const first = (this.#kept[0]?.start ?? this.#recorded) / this.#rate;
    const words = this.#partial.filter(({ end }) => end <= first);
    if (words.length === 0) return;
    const rest = this.#partial.slice(words.length);
    this.#on.final({ words });
    this.#showPartial(rest);
  }
}
