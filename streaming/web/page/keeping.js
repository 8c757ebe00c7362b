// Keeps the transcript and its recordings over a reload, and says where that is not possible.

import { addPlayer } from "../transcript/player.js";
import { MAX_BYTES, Recordings } from "../transcript/recordings.js";
import { MAX_CHARACTERS, Storage } from "../transcript/storage.js";

const SAVE_AFTER_MS = 500; // a file's utterances come many at once

// save(part) and remove(parts) follow the changes; open(transcript) brings back what was kept.
export function keepTranscript(notices) {
  const storage = new Storage();
  const recordings = new Recordings();
  const recorded = new Set(); // the parts whose recordings are kept, or could not be
  const waiting = new Set();
  const note = document.querySelector("#kept");
  let timer = null;
  let transcript = null;
  let withRecordings = false;
  let unkept = null; // the title of the last recording that could not be kept

  function save(part) {
    waiting.add(part);
    timer ??= setTimeout(saveWaiting, SAVE_AFTER_MS);
  }

  function saveWaiting() {
    clearTimeout(timer);
    timer = null;
    for (const part of waiting) {
      if (!storage.save(part)) sayFull(part);
      else if (part.recording && storage.isAllowed) keepRecording(part);
    }
    waiting.clear();
    showUse();
  }

  async function keepRecording(part) {
    if (recorded.has(part)) return;
    recorded.add(part);
    if (await recordings.keep(part, part.recording)) return;
    unkept = part.title;
    showUse();
  }

  function sayFull({ title }) {
    notices.show(
      `The browser's storage for transcripts is full. Newer words of “${title}” are lost when ` +
        "this page is closed or reloaded. Download them, and delete older transcripts.",
      { key: "full" },
    );
  }

  function remove(parts) {
    for (const part of parts) {
      waiting.delete(part);
      recorded.delete(part);
      storage.remove(part);
      if (part.title === unkept) unkept = null;
    }
    recordings.remove(parts.map(({ id }) => id));
    notices.dismiss("full");
    // There may be room now.
    for (const part of transcript.parts) if (part.utterances.length > 0) save(part);
    showUse();
  }

  function open(opened) {
    transcript = opened;
    const { parts, damaged } = storage.load();
    for (const kept of parts) transcript.addPart(kept.title, { spoken: kept.spoken, kept });
    if (damaged.length > 0) {
      const action = { label: "Delete", run: () => (storage.removeKeys(damaged), showUse()) };
      const what = damaged.length > 1 ? `${damaged.length} kept transcripts` : "A kept transcript";
      notices.show(`${what} cannot be read.`, { key: "damaged", action });
    }
    // The words of a running utterance are kept too.
    window.addEventListener("pagehide", () => {
      for (const part of transcript.parts) if (part.partialWords.length > 0) waiting.add(part);
      saveWaiting();
    });
    showUse();
    openRecordings(transcript.parts.filter(({ isOld }) => isOld));
  }

  async function openRecordings(parts) {
    const files = await recordings.load(parts.map(({ id }) => id));
    for (const part of parts) {
      if (!files.has(part.id)) continue;
      recorded.add(part);
      addPlayer(part, files.get(part.id));
    }
    withRecordings = await recordings.isAllowed();
    showUse();
  }

  function showUse() {
    if (!storage.isAllowed) {
      note.textContent = "This browser keeps nothing: a reload loses the transcript.";
      return;
    }
    const percent = Math.ceil((100 * storage.characters) / MAX_CHARACTERS);
    const use = percent >= 50 ? ` ${percent} % of the room is used.` : "";
    const megabytes = MAX_BYTES / 2 ** 20;
    const what = withRecordings
      ? `the transcript and its recordings (the newest ${megabytes} MB) until you delete them.`
      : "the transcript until you delete it.";
    const lost = unkept === null ? "" : ` There is no room for the recording “${unkept}”.`;
    note.textContent = `This browser keeps ${what}${use}${lost}`;
  }

  return { save, remove, open };
}
