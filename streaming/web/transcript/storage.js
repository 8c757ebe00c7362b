// The transcripts that the browser keeps: one record of its local storage for each part.

const PREFIX = "rill-part-";
export const MAX_CHARACTERS = 4_000_000; // browsers give a site about five million

export class Storage {
  #area = null;

  constructor() {
    try {
      this.#area = window.localStorage;
    } catch {
      // the user's settings forbid it
    }
  }

  get isAllowed() {
    return this.#area !== null;
  }

  // The parts that can be read, oldest first, and the keys of the others.
  load() {
    const parts = [];
    const damaged = [];
    for (const key of this.#keys()) {
      try {
        parts.push(unpacked(key.slice(PREFIX.length), JSON.parse(this.#area.getItem(key))));
      } catch {
        damaged.push(key);
      }
    }
    return { parts: parts.sort((one, other) => one.created - other.created), damaged };
  }

  // False if there is no room: the record stays as it was.
  save(part) {
    if (!this.#area) return true; // said once, when the page opens
    const key = PREFIX + part.id;
    const text = JSON.stringify(packed(part));
    const old = this.#area.getItem(key)?.length ?? 0;
    if (this.characters - old + text.length > MAX_CHARACTERS) return false;
    try {
      this.#area.setItem(key, text);
      return true;
    } catch {
      return false; // the browser has less room than others
    }
  }

  remove(part) {
    this.#area?.removeItem(PREFIX + part.id);
  }

  removeKeys(keys) {
    for (const key of keys) this.#area.removeItem(key);
  }

  get characters() {
    return this.#keys().reduce((sum, key) => sum + this.#area.getItem(key).length, 0);
  }

  #keys() {
    return Object.keys(this.#area ?? {}).filter((key) => key.startsWith(PREFIX));
  }
}

// Words as short lists: [word, start and end in ms, confidence in thousandths].
function packed({ title, spoken, created, duration, isWhole, utterances, partialWords }) {
  const all = partialWords.length > 0 ? [...utterances, { words: partialWords }] : utterances;
  return {
    title,
    spoken,
    created,
    duration,
    isWhole,
    utterances: all.map(({ words, written }) => [
      packWords(words),
      written ? packWords(written) : null,
    ]),
  };
}

function packWords(words) {
  return words.map(({ word, start, end, confidence }) => [
    word,
    Math.round(start * 1000),
    Math.round(end * 1000),
    Math.round(confidence * 1000),
  ]);
}

// Throws for a record of another shape.
function unpacked(id, { title, spoken, created, duration, isWhole, utterances }) {
  const numbers = [created, duration];
  if (typeof title !== "string" || !numbers.every(Number.isFinite)) throw new TypeError("no part");
  const read = utterances.map(([words, written]) => ({
    words: unpackWords(words),
    written: written ? unpackWords(written) : undefined,
  }));
  return {
    id,
    title,
    spoken: spoken === true,
    created,
    duration,
    isWhole: isWhole !== false,
    utterances: read,
  };
}

function unpackWords(words) {
  if (words.length === 0) throw new TypeError("an utterance without words");
  return words.map(([word, start, end, confidence]) => {
    if (typeof word !== "string" || ![start, end, confidence].every(Number.isFinite)) {
      throw new TypeError("no word");
    }
    return { word, start: start / 1000, end: end / 1000, confidence: confidence / 1000 };
  });
}
