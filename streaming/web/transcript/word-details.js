// The time and confidence of the word under the pointer or the keyboard focus.
// All words are a single Tab stop; arrow keys move between them.

export function showWordDetails(root, tip) {
  let shown = null;

  root.addEventListener("pointerover", ({ target }) => show(target.closest(".word")));
  root.addEventListener("pointerleave", () => show(focusedWord()));
  root.addEventListener("focusin", ({ target }) => {
    setTabStop(target);
    show(target.closest(".word"));
  });
  root.addEventListener("focusout", () => show(null));
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(null);
    const next = neighbour(event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  // Words may be removed under the pointer; their tip is hidden then.
  new MutationObserver(() => {
    if (shown && !shown.isConnected) show(null);
    if (!root.querySelector('.word[tabindex="0"]')) setTabStop(finalWords()[0]);
  }).observe(root, { childList: true, subtree: true });
  window.addEventListener("scroll", () => show(shown), { passive: true });

  function show(word) {
    shown = word;
    tip.hidden = !word;
    if (!word) return;
    tip.textContent = word.dataset.detail;
    const [line] = word.getClientRects();
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(line.left, room))}px`;
    tip.style.top = `${line.top - tip.offsetHeight - 4}px`;
    word.setAttribute("aria-description", word.dataset.detail);
  }

  function setTabStop(word) {
    for (const old of root.querySelectorAll('.word[tabindex="0"]')) old.tabIndex = -1;
    if (word) word.tabIndex = 0;
  }

  function neighbour(key) {
    const words = finalWords();
    const index = words.indexOf(document.activeElement);
    if (index < 0) return null;
    if (key === "ArrowRight") return words[index + 1];
    if (key === "ArrowLeft") return words[index - 1];
    if (key === "Home") return words[0];
    if (key === "End") return words.at(-1);
    return null;
  }

  function finalWords() {
    return [...root.querySelectorAll("p:not(.partial) > .word")];
  }

  function focusedWord() {
    return root.contains(document.activeElement) ? document.activeElement : null;
  }
}
