// The custom words, one per line, and the server's error message about one of them.

export class CustomWords {
  #box;
  #error;

  constructor(box, error) {
    this.#box = box;
    this.#error = error;
    box.addEventListener("input", () => this.clearError());
  }

  // Two spaces within a line separate a word from its phones, so they are kept.
  get lines() {
    return this.#box.value
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  }

  // Shows the message, and selects the line that it names.
  showError(message) {
    this.#error.textContent = message;
    this.#box.setAttribute("aria-invalid", "true");
    this.#box.focus();
    const bad = this.lines.find((line) => message.includes(`'${line.split("  ")[0]}'`));
    if (!bad) return;
    const at = this.#box.value.indexOf(bad);
    this.#box.setSelectionRange(at, at + bad.length);
  }

  clearError() {
    this.#error.textContent = "";
    this.#box.removeAttribute("aria-invalid");
  }
}
