// Recordings that are dropped on the page or chosen: each becomes a part of the transcript.

import { transcribeFile } from "../server/upload.js";
import { addPlayer } from "../transcript/player.js";
import { clock } from "../transcript/words.js";
import { button } from "./notices.js";

const PICKER = document.querySelector("#file");

export function connectFiles(transcript, tokenField, customWords, notices) {
  document.querySelector("#choose").addEventListener("click", () => PICKER.click());
  PICKER.addEventListener("change", () => {
    const files = [...PICKER.files];
    PICKER.value = ""; // so that the same file can be chosen again
    transcribeAll(files);
  });
  connectDrop(transcribeAll);

  let queue = Promise.resolve();

  // One after another, because the server would not be faster in parallel.
  function transcribeAll(files) {
    for (const file of files) {
      const part = transcript.addPart(file.name);
      const cancel = new AbortController();
      part.cancel = () => cancel.abort();
      part.isWhole = false;
      const progress = new Progress(part);
      addPlayer(part, file);
      queue = queue.then(() => transcribe(file, part, progress, cancel.signal));
    }
  }

  async function transcribe(file, part, progress, signal) {
    const again = { label: "Try again", run: () => transcribeAll([file]) };
    try {
      const on = {
        sent: (share) => progress.sent(share),
        utterance(utterance) {
          if (signal.aborted || utterance.words.length === 0) return;
          transcript.addFinal(part, utterance);
          part.duration = utterance.words.at(-1).end;
          progress.recognised(part.duration);
        },
      };
      const settings = { token: tokenField.value, words: customWords.lines };
      part.duration = await transcribeFile(file, settings, on, signal);
      part.isWhole = true;
      if (part.utterances.length > 0) progress.remove();
      else progress.end("No speech was recognised.");
    } catch (error) {
      const kept = part.utterances.length > 0;
      if (kept) progress.end(`Incomplete: it ends at ${clock(part.duration)}.`);
      else transcript.removePart(part);
      if (error.unauthorised) tokenField.ask(() => transcribeAll([file]));
      else if (!error.cancelled) notices.show(named(file.name, error.message), { action: again });
    } finally {
      part.cancel = null;
      transcript.changed(part);
    }
  }
}

// What is done of a recording, below its words, with a button that cancels.
class Progress {
  #row = document.createElement("div");
  #text = document.createElement("span");
  #bar = document.createElement("progress");
  #part;

  constructor(part) {
    this.#part = part;
    this.#row.className = "progress";
    this.#text.textContent = "Waiting";
    this.#bar.setAttribute("aria-label", `Progress of ${part.title}`);
    const cancel = button("Cancel", "plain", () => (this.end("Cancelled."), part.cancel?.()));
    this.#row.append(this.#bar, this.#text, cancel);
    part.element.append(this.#row);
  }

  sent(share) {
    if (share < 1) this.#show(`Uploading, ${Math.floor(share * 100)} %`, share);
    else this.#show("Recognising", null);
  }

  recognised(seconds) {
    const whole = this.#part.element.querySelector("audio")?.duration;
    if (whole > 0 && Number.isFinite(whole)) {
      const share = Math.min(1, seconds / whole);
      this.#show(`Recognising, ${clock(seconds)} of ${clock(whole)}`, share);
    } else this.#show(`Recognising, ${clock(seconds)}`, null);
  }

  #show(text, share) {
    this.#text.textContent = text;
    if (share === null) this.#bar.removeAttribute("value");
    else this.#bar.value = share;
  }

  end(text) {
    this.#row.replaceChildren(text);
  }

  remove() {
    this.#row.remove();
  }
}

// Messages about the file itself already start with its name.
function named(name, message) {
  return message.startsWith(name) ? message : `${name}: ${message}`;
}

function connectDrop(transcribeAll) {
  // Entering a child element fires dragleave on its parent, so the depth is counted.
  let depth = 0;
  const show = () => document.body.classList.toggle("dropping", depth > 0);
  const withFiles = (handle) => (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    handle(event);
    show();
  };
  window.addEventListener("dragenter", withFiles(() => (depth += 1)));
  window.addEventListener("dragleave", withFiles(() => (depth -= 1)));
  window.addEventListener("dragover", withFiles(() => {}));
  window.addEventListener(
    "drop",
    withFiles(({ dataTransfer }) => {
      depth = 0;
      transcribeAll([...dataTransfer.files]);
    }),
  );
}
