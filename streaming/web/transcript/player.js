// The recording of a part, played at the word or the time that is clicked.

// Adds a player for the file. A recording that the browser cannot decode has none.
export function addPlayer(part, file) {
  part.recording = file;
  const audio = document.createElement("audio");
  audio.controls = true;
  audio.preload = "metadata";
  audio.src = URL.createObjectURL(file);
  audio.setAttribute("aria-label", `Recording ${part.title}`);
  audio.addEventListener("error", () => {
    audio.remove();
    part.recording = null;
    part.element.classList.remove("playable");
    URL.revokeObjectURL(audio.src);
  });
  part.element.querySelector("header").after(audio);
  part.element.classList.add("playable");
}

export function connectPlayback(root) {
  root.addEventListener("click", ({ target }) => {
    if (getSelection().isCollapsed) playAt(target.closest("[data-start]")); // not after a selection
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.classList.contains("word")) return;
    event.preventDefault();
    playAt(event.target);
  });
  // Media events do not bubble; they can be captured.
  root.addEventListener("play", ({ target }) => started(target), true);

  function playAt(place) {
    const audio = place?.closest(".part").querySelector("audio");
    if (!audio) return;
    audio.currentTime = Number(place.dataset.start);
    audio.play().catch(() => {}); // it may be deleted or paused before it starts
  }

  function started(audio) {
    for (const other of root.querySelectorAll("audio")) if (other !== audio) other.pause();
    const words = audio.closest(".part").getElementsByClassName("word");
    let playing = null;
    const follow = () => {
      const word = audio.paused ? null : wordAt(words, audio.currentTime);
      if (word !== playing) {
        playing?.classList.remove("playing");
        word?.classList.add("playing");
        playing = word;
      }
      if (!audio.paused && audio.isConnected) requestAnimationFrame(follow);
    };
    follow();
  }
}

// The word that is spoken at this time: the last one that starts before it, unless it has ended.
function wordAt(words, seconds) {
  let low = 0;
  let high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Number(words[middle].dataset.start) <= seconds) low = middle + 1;
    else high = middle;
  }
  const word = words[low - 1];
  return word && seconds < Number(word.dataset.end) ? word : null;
}
