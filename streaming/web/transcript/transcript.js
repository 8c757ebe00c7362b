// The transcript: its parts, their words, and how they are displayed.
// A part is one recording, from the microphone or a file; formats.js converts parts.

import { line } from "./formats.js";

// Thresholds of the confidence. Correct words of the bundled model are often near 0.5.
const DOUBTFUL_BELOW = 0.35;
const UNSURE_BELOW = 0.5;

export class Transcript {
  parts = [];
  #cleared = [];
  #root;
  #announcer;
  #onChange;

  constructor(root, announcer, onChange) {
    this.#root = root;
    this.#announcer = announcer;
    this.#onChange = onChange;
  }

  get hasWords() {
    return this.parts.some(({ utterances }) => utterances.length > 0);
  }

  get canRestore() {
    return this.#cleared.length > 0 && !this.hasWords;
  }

  // The part for the microphone: the last one continues, unless a file follows it.
  spokenPart() {
    const last = this.parts.at(-1);
    if (last?.spoken) return last;
    const when = new Date().toLocaleString("en-GB", {
      day: "numeric",
      month: "long",
      hour: "2-digit",
      minute: "2-digit",
    });
    return this.addPart(`Spoken, ${when.replace(" at ", ", ")}`, true);
  }

  addPart(title, spoken = false) {
    const element = document.createElement("section");
    element.className = "part";
    const heading = document.createElement("h2");
    heading.textContent = title;
    const partial = document.createElement("p");
    partial.className = "partial";
    // Screen readers get finals only; changing words would interrupt them all the time.
    partial.setAttribute("aria-hidden", "true");
    element.append(heading, partial);
    const part = { title, spoken, duration: 0, utterances: [], element, partial, partialWords: [] };
    this.#keepingEndInView(() => this.#root.append(element));
    this.parts.push(part);
    this.#onChange();
    return part;
  }

  removePart(part) {
    part.element.remove();
    this.parts = this.parts.filter((other) => other !== part);
    this.#onChange();
  }

  // The page creates a part before the first word; a heading without words is removed.
  removeIfEmpty(part) {
    if (part.utterances.length === 0) this.removePart(part);
  }

  showPartial(part, words) {
    part.partialWords = words;
    this.#keepingEndInView(() => part.partial.replaceChildren(...spans(words)));
  }

  // A final without words withdraws the words of the last partial.
  addFinal(part, words) {
    this.showPartial(part, []);
    if (words.length === 0) return;
    const paragraph = document.createElement("p");
    paragraph.replaceChildren(...spans(words));
    part.utterances.push(words);
    this.#keepingEndInView(() => part.partial.before(paragraph));
    this.#announce(line(words));
    this.#onChange();
  }

  // When a stream breaks off, the words of the last partial become final.
  keepPartial(part) {
    this.addFinal(part, part.partialWords);
  }

  clear() {
    if (this.parts.length > 0) this.#cleared = this.parts;
    this.parts = [];
    this.#root.replaceChildren();
    this.#onChange();
  }

  restore() {
    this.parts = [...this.#cleared, ...this.parts];
    this.#cleared = [];
    this.#root.replaceChildren(...this.parts.map(({ element }) => element));
    this.#onChange();
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

function spans(words) {
  return words.flatMap((word, index) => (index > 0 ? [" ", span(word)] : [span(word)]));
}

function span({ word, start, end, confidence }) {
  const element = document.createElement("span");
  element.textContent = word;
  element.className = "word";
  if (confidence < DOUBTFUL_BELOW) element.classList.add("doubtful");
  else if (confidence < UNSURE_BELOW) element.classList.add("unsure");
  const percent = Math.round(confidence * 100);
  const detail = confidence === undefined ? "" : `, confidence ${percent} %`;
  element.dataset.detail = `${start.toFixed(2)} to ${end.toFixed(2)} s${detail}`;
  element.tabIndex = -1; // word-details.js makes one word the Tab stop
  return element;
}
