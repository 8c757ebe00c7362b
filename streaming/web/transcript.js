// What was said: the parts of the page, their words, and how they are shown.
// A part is one recording, from the microphone or from a file, and is what formats.js reads.

import { line } from "./formats.js";

// The bundled model is modest: most of the words that it hears rightly it is half sure of.
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

  // A part for the microphone: the last one goes on, unless a file has come in between.
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
    // Screen readers are told finals alone; words that still change would never let them finish.
    partial.setAttribute("aria-hidden", "true");
    element.append(heading, partial);
    const part = { title, spoken, duration: 0, utterances: [], element, partial, guess: [] };
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

  // The page makes a part before anything is heard; a heading alone should not stay.
  removeIfEmpty(part) {
    if (part.utterances.length === 0) this.removePart(part);
  }

  showPartial(part, words) {
    part.guess = words;
    this.#keepingEndInView(() => part.partial.replaceChildren(...spans(words)));
  }

  // A final without words only takes back what a partial showed.
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

  // When a stream breaks off, the words on the page are the best there will ever be.
  keepPartial(part) {
    this.addFinal(part, part.guess);
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
    const said = document.createElement("p");
    said.textContent = text;
    this.#announcer.append(said);
    while (this.#announcer.children.length > 5) this.#announcer.firstChild.remove();
  }

  // Follows the speaker, but never pulls away somebody who has scrolled back to read.
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
  const sure = confidence === undefined ? "" : `, sure to ${Math.round(confidence * 100)} %`;
  element.dataset.detail = `${start.toFixed(2)} to ${end.toFixed(2)} s${sure}`;
  element.tabIndex = -1; // word-details.js makes one of them the way in by Tab
  return element;
}
