// The transcript: its parts, and how they are displayed. A part is one recording, from the microphone
// or a file; its utterances are {words, written} as formats.js takes them.

import { button } from "../page/notices.js";
import { line, shown } from "./formats.js";
import { clock, paragraph, wordElements } from "./words.js";

export class Transcript {
  parts = [];
  #removed = []; // the parts that were removed last, with their places
  #root;
  #announcer;
  #on;

  // `on` has changed(part), removed(parts) and restored(parts); changed comes with null when the
  // parts, but none of their words, have changed.
  constructor(root, announcer, on) {
    this.#root = root;
    this.#announcer = announcer;
    this.#on = on;
  }

  get hasWords() {
    return this.parts.some(({ utterances }) => utterances.length > 0);
  }

  get canRestore() {
    return this.#removed.length > 0 && !this.hasWords;
  }

  // The part for the microphone: the last one of this visit continues, unless a file follows it.
  spokenPart() {
    const last = this.parts.at(-1);
    if (last?.spoken && !last.isOld) return last;
    const when = new Date().toLocaleString("en-GB", {
      day: "numeric",
      month: "long",
      hour: "2-digit",
      minute: "2-digit",
    });
    return this.addPart(`Spoken, ${when.replace(" at ", ", ")}`, { spoken: true });
  }

  // `kept` is a part of an earlier visit: {id, created, duration, isWhole, utterances}.
  addPart(title, { spoken = false, kept = null } = {}) {
    const element = document.createElement("section");
    element.className = "part";
    const header = document.createElement("header");
    const heading = document.createElement("h2");
    heading.textContent = title;
    const partial = document.createElement("p");
    partial.className = "partial";
    // Screen readers get finals only; changing words would interrupt them all the time.
    partial.setAttribute("aria-hidden", "true");
    const part = {
      id: crypto.getRandomValues(new Uint32Array(2)).join("-"),
      created: Date.now(),
      duration: 0,
      isWhole: true, // false while a recording is not recognised to its end
      utterances: [],
      ...kept,
      ...{ title, spoken, isOld: kept !== null, element, partial, partialWords: [], cancel: null },
      recording: null, // the file that is played
    };
    const remove = button("Delete", "plain", () => this.removePart(part, true));
    remove.setAttribute("aria-label", `Delete ${title}`);
    header.append(heading, remove);
    element.append(header, ...part.utterances.map(paragraph), partial);
    if (!part.isWhole) this.#sayIncomplete(part);
    if (kept) this.#root.append(element);
    else this.#keepingEndInView(() => this.#root.append(element));
    this.parts.push(part);
    this.#on.changed(null);
    return part;
  }

  #sayIncomplete({ element, duration }) {
    const note = document.createElement("div");
    note.className = "progress";
    note.textContent = `Incomplete: it ends at ${clock(duration)}.`;
    element.append(note);
  }

  removePart(part, byUser = false) {
    if (!this.parts.includes(part)) return;
    this.#remove([part], byUser);
  }

  // The page creates a part before the first word; a heading without words is removed.
  removeIfEmpty(part) {
    if (part.utterances.length === 0) this.removePart(part);
  }

  showPartial(part, words) {
    part.partialWords = words;
    this.#keepingEndInView(() => part.partial.replaceChildren(...wordElements(words)));
  }

  // A final without words withdraws the words of the last partial.
  addFinal(part, utterance) {
    this.showPartial(part, []);
    if (utterance.words.length === 0) return;
    part.utterances.push(utterance);
    this.#keepingEndInView(() => part.partial.before(paragraph(utterance)));
    this.#announce(line(shown(utterance)));
    this.changed(part);
  }

  changed(part) {
    if (this.parts.includes(part)) this.#on.changed(part);
  }

  // When a stream breaks off, the words of the last partial become final.
  keepPartial(part) {
    this.addFinal(part, { words: part.partialWords });
  }

  clear() {
    if (this.parts.length > 0) this.#remove(this.parts, true);
  }

  // Takes the last removal back.
  restore() {
    const parts = this.#removed;
    this.#removed = [];
    this.parts = [...this.parts, ...parts].sort((one, other) => one.created - other.created);
    this.#root.replaceChildren(...this.parts.map(({ element }) => element));
    this.#on.restored(parts);
  }

  #remove(parts, byUser) {
    for (const part of parts) {
      part.cancel?.();
      part.element.querySelector("audio")?.pause();
      part.element.remove();
    }
    this.parts = this.parts.filter((part) => !parts.includes(part));
    const withWords = parts.filter(({ utterances }) => utterances.length > 0);
    if (byUser && withWords.length > 0) this.#removed = withWords;
    this.#on.removed(parts, byUser && withWords.length > 0);
  }

  #announce(text) {
    const entry = document.createElement("p");
    entry.textContent = text;
    this.#announcer.append(entry);
    while (this.#announcer.children.length > 5) this.#announcer.firstChild.remove();
  }

  // Scrolls with new words, unless the user has scrolled back.
  #keepingEndInView(change) {
    const before = this.#root.getBoundingClientRect().bottom;
    change();
    const after = this.#root.getBoundingClientRect().bottom;
    if (before <= window.innerHeight && after > window.innerHeight) {
      window.scrollBy({ top: after - window.innerHeight + 16, behavior: "instant" });
    }
  }
}
