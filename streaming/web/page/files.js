// Recordings that are dropped on the page or chosen: each becomes a part of the transcript.

import { transcribeFile } from "../server/upload.js";

const PICKER = document.querySelector("#file");
const ERRORS = document.querySelector("#file-errors");

export function connectFiles(transcript, tokenField) {
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
    ERRORS.replaceChildren();
    for (const file of files) {
      const part = transcript.addPart(file.name);
      const note = document.createElement("p");
      note.className = "progress";
      note.textContent = "Transcribing; a long recording takes a while …";
      part.element.append(note);
      queue = queue.then(() => transcribe(file, part, note));
    }
  }

  async function transcribe(file, part, note) {
    try {
      const { duration, utterances } = await transcribeFile(file, tokenField.value);
      part.duration = duration;
      for (const words of utterances) transcript.addFinal(part, words);
      note.textContent = "No speech was recognised.";
      if (utterances.length > 0) note.remove();
    } catch (error) {
      transcript.removePart(part);
      if (error.unauthorised) tokenField.ask(() => transcribeAll([file]));
      else showError(file.name, error.message);
    }
  }
}

function showError(name, message) {
  const item = document.createElement("li");
  // Messages about the file itself already start with its name.
  item.textContent = message.startsWith(name) ? message : `${name}: ${message}`;
  ERRORS.append(item);
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
