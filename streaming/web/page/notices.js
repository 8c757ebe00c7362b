// Messages over the lower edge of the page, which the user dismisses. They move nothing.

export class Notices {
  #root;

  constructor(root) {
    this.#root = root;
  }

  // `action` is {label, run}; a notice replaces the one with the same key.
  show(message, { action = null, key = message, isError = true } = {}) {
    this.dismiss(key);
    const notice = document.createElement("div");
    notice.className = isError ? "notice wrong" : "notice";
    notice.dataset.key = key;
    notice.setAttribute("role", isError ? "alert" : "status");
    const text = document.createElement("p");
    text.textContent = message;
    notice.append(text);
    if (action) notice.append(button(action.label, "plain", () => (notice.remove(), action.run())));
    const dismiss = button("×", "dismiss", () => notice.remove());
    dismiss.setAttribute("aria-label", "Dismiss");
    notice.append(dismiss);
    this.#root.append(notice);
  }

  dismiss(key) {
    for (const notice of this.#root.children) if (notice.dataset.key === key) notice.remove();
  }
}

export function button(label, className, run) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.className = className;
  element.addEventListener("click", run);
  return element;
}
