// Copy, download, clear and restore the transcript.

import { toJson, toSrt, toText, toVtt } from "./formats.js";

const WRITERS = {
  txt: [toText, "text/plain"],
  srt: [toSrt, "application/x-subrip"],
  vtt: [toVtt, "text/vtt"],
  json: [toJson, "application/json"],
};

const BUTTONS = document.querySelectorAll("[data-format]");
const COPY = document.querySelector("#copy");
const CLEAR = document.querySelector("#clear");
const WHICH = document.querySelector("#which");
const STATUS = document.querySelector("#taken");
const partOf = new WeakMap(); // by option; the option for everything has none

export function connectExports(transcript) {
  COPY.addEventListener("click", async () => {
    const done = await copy(toText(chosen(transcript)));
    STATUS.textContent = done ? "Copied." : "The browser did not allow copying.";
  });
  for (const button of BUTTONS) {
    const [write, type] = WRITERS[button.dataset.format];
    button.addEventListener("click", () => {
      const parts = chosen(transcript);
      const blob = new Blob([write(parts)], { type: `${type};charset=utf-8` });
      download(blob, `${fileName(parts)}.${button.dataset.format}`);
    });
  }
  CLEAR.addEventListener("click", () => {
    if (transcript.canRestore) transcript.restore();
    else transcript.clear();
  });
}

// Called when the transcript has changed.
export function refreshExports(transcript) {
  for (const button of [COPY, ...BUTTONS]) button.disabled = !transcript.hasWords;
  STATUS.textContent = "";
  CLEAR.disabled = !transcript.hasWords && !transcript.canRestore;
  CLEAR.textContent = transcript.canRestore ? "Restore" : "Clear";
  refreshChoice(transcript.parts);
}

function refreshChoice(parts) {
  document.querySelector("#which-label").hidden = parts.length < 2;
  const before = partOf.get(WHICH.selectedOptions[0]);
  const options = parts.map((part) => {
    const option = new Option(part.title, "", false, part === before);
    partOf.set(option, part);
    return option;
  });
  WHICH.replaceChildren(new Option("Everything"), ...options);
}

function chosen(transcript) {
  const part = partOf.get(WHICH.selectedOptions[0]);
  return part ? [part] : transcript.parts.filter(({ utterances }) => utterances.length > 0);
}

function fileName(parts) {
  if (parts.length === 1 && !parts[0].spoken) return parts[0].title.replace(/\.[^.]+$/, "");
  return `rill-${new Date().toISOString().slice(0, 10)}`;
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // some browsers read it later
}

async function copy(text) {
  // Only pages from https or localhost have navigator.clipboard; others use execCommand.
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyWithCommand(text);
  }
}

function copyWithCommand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  COPY.focus();
  return done;
}
