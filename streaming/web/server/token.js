// The access token of the server. It is kept until the tab is closed.

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

  // Shows the field; `retry` is called once a token is entered.
  ask(retry) {
    this.#retries.push(retry);
    this.#form.hidden = false;
    this.#form.querySelector(".error").textContent = this.value
      ? "The server does not accept this token."
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
