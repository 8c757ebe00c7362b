// Search in the transcript: the words that match, written or spoken, and the way through them.

export class Search {
  #form;
  #input;
  #count;
  #root;
  #found = []; // lists of the elements of one match
  #current = -1;

  constructor(form, root) {
    this.#form = form;
    this.#input = form.querySelector("input");
    this.#count = form.querySelector("output");
    this.#root = root;
    this.#input.addEventListener("input", () => this.#search(0));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go(1);
    });
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.shiftKey) return;
      event.preventDefault();
      this.#go(-1);
    });
    form.querySelector("[data-step='-1']").addEventListener("click", () => this.#go(-1));
  }

  // Called when the transcript has changed. The view stays where it is.
  refresh(hasWords) {
    this.#form.hidden = !hasWords;
    if (this.#input.value) this.#search(this.#current, false);
  }

  #search(current, scroll = true) {
    this.#unmark("found", "current");
    const query = plain(this.#input.value);
    const paragraphs = query ? [...this.#root.querySelectorAll("p:not(.partial)")] : [];
    this.#found = paragraphs.flatMap((paragraph) => matches(paragraph, query));
    for (const match of this.#found) for (const word of match) word.classList.add("found");
    this.#current = Math.min(Math.max(current, 0), this.#found.length - 1);
    for (const button of this.#form.querySelectorAll("button")) {
      button.disabled = this.#found.length === 0;
    }
    this.#show(scroll);
    if (!query) this.#count.textContent = "";
    else if (this.#found.length === 0) this.#count.textContent = "Not found";
  }

  #go(step) {
    if (this.#found.length === 0) return;
    this.#current = (this.#current + step + this.#found.length) % this.#found.length;
    this.#show(true);
  }

  #show(scroll) {
    this.#unmark("current");
    const match = this.#found[this.#current];
    if (!match) return;
    for (const word of match) word.classList.add("current");
    this.#count.textContent = `${this.#current + 1} of ${this.#found.length}`;
    if (scroll) match[0].scrollIntoView({ block: "center", behavior: "instant" });
  }

  #unmark(...names) {
    for (const word of this.#root.querySelectorAll(".found")) word.classList.remove(...names);
  }
}

// The matches in a paragraph, first as it is written; the spoken words only where that has none.
function matches(paragraph, query) {
  const words = [...paragraph.querySelectorAll(".word")];
  const written = matchesIn(words, words.map((word) => plain(word.textContent)), query);
  if (written.length > 0) return written;
  return matchesIn(words, words.map((word) => plain(word.dataset.spoken ?? "")), query);
}

function matchesIn(words, texts, query) {
  const whole = texts.join(" ");
  const starts = [];
  let at = 0;
  for (const text of texts) {
    starts.push(at);
    at += text.length + 1;
  }
  const found = [];
  let end = 0;
  for (let from = whole.indexOf(query); from >= 0; from = whole.indexOf(query, end)) {
    end = from + query.length;
    const [first, last] = [from, end];
    found.push(words.filter((_, n) => starts[n] < last && starts[n] + texts[n].length > first));
  }
  return found;
}

// Small letters, without marks at the edges of words.
function plain(text) {
  return text
    .toLowerCase()
    .split(/\s+/)
    .map((word) => word.replace(/^[“"'(\[]+|[.,:;?!”"')\]]+$/g, ""))
    .filter((word) => word !== "")
    .join(" ");
}
