// The visitor's own words, one a line, and the server's complaint about one of them.

export class CustomWords {
  #box;
  #error;

  constructor(box, error) {
    this.#box = box;
    this.#error = error;
    box.addEventListener("input", () => this.forgive());
  }

  // Two spaces within a line have a meaning (phones stand behind them), so they stay.
  get lines() {
    return this.#box.value
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  }

  // Shows the complaint, and puts the cursor on the line that it names.
  blame(message) {
    this.#error.textContent = message;
    this.#box.setAttribute("aria-invalid", "true");
    this.#box.focus();
    const bad = this.lines.find((line) => message.includes(`'${line.split("  ")[0]}'`));
    if (!bad) return;
    const at = this.#box.value.indexOf(bad);
    this.#box.setSelectionRange(at, at + bad.length);
  }

  forgive() {
    this.#error.textContent = "";
    this.#box.removeAttribute("aria-invalid");
  }
}
