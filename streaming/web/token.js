// The token some servers ask for. Kept while the tab lives and no longer.

const KEY = "rill-token";

export class TokenField {
  #form;
  #input;
  #retries = [];

  constructor(form) {
    this.#form = form;
    this.#input = form.querySelector("input");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
  }

  get value() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  // Shows the field; `retry` is called when a token was entered.
  ask(retry) {
    this.#retries.push(retry);
    this.#form.hidden = false;
    this.#form.querySelector(".error").textContent = this.value
      ? "The server does not take the token that you gave."
      : "";
    this.#input.focus();
  }

  #save() {
    sessionStorage.setItem(KEY, this.#input.value.trim());
    this.#form.hidden = true;
    const retries = this.#retries;
    this.#retries = [];
    for (const retry of retries) retry();
  }
}
