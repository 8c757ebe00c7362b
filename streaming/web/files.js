// Recordings that are dropped or chosen: each becomes a part of the transcript.

import { transcribeFile } from "./upload.js";

const PICKER = document.querySelector("#file");
const ERRORS = document.querySelector("#file-errors");

export function connectFiles(transcript, tokenField) {
  document.querySelector("#choose").addEventListener("click", () => PICKER.click());
  PICKER.addEventListener("change", () => {
    const files = [...PICKER.files];
    PICKER.value = ""; // so that the same file can be chosen again
    readAll(files);
  });
  connectDrop(readAll);

  let queue = Promise.resolve();

  // One after the other: the server would read them no faster side by side.
  function readAll(files) {
    ERRORS.replaceChildren();
    for (const file of files) {
      const part = transcript.addPart(file.name);
      const note = document.createElement("p");
      note.className = "reading";
      note.textContent = "Being read; a long recording takes a while …";
      part.element.append(note);
      queue = queue.then(() => read(file, part, note));
    }
  }

  async function read(file, part, note) {
    try {
      const { duration, utterances } = await transcribeFile(file, tokenField.value);
      part.duration = duration;
      for (const words of utterances) transcript.addFinal(part, words);
      note.textContent = "No speech was found in it.";
      if (utterances.length > 0) note.remove();
    } catch (error) {
      transcript.removePart(part);
      if (error.unauthorised) tokenField.ask(() => readAll([file]));
      else complain(file.name, error.message);
    }
  }
}

function complain(name, message) {
  const item = document.createElement("li");
  // The server begins with the name where it is the file that is at fault.
  item.textContent = message.startsWith(name) ? message : `${name}: ${message}`;
  ERRORS.append(item);
}

function connectDrop(readAll) {
  // Entering a child tells the parent that it was left, so the depth is counted.
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
      readAll([...dataTransfer.files]);
    }),
  );
}
