// The page: its buttons and its state.

import { CustomWords } from "./page/custom-words.js";
import { connectFiles } from "./page/files.js";
import { keepTranscript } from "./page/keeping.js";
import { Notices } from "./page/notices.js";
import { TokenField } from "./server/token.js";
import { LevelHint } from "./sound/level-hint.js";
import { startListening } from "./sound/listening.js";
import { namedMicrophones } from "./sound/microphone.js";
import { Waveform } from "./sound/waveform.js";
import { connectExports, refreshExports } from "./transcript/exports.js";
import { shiftUtterance, shiftWords } from "./transcript/formats.js";
import { connectPlayback } from "./transcript/player.js";
import { Search } from "./transcript/search.js";
import { Transcript } from "./transcript/transcript.js";
import { showWordDetails } from "./transcript/word-details.js";
import { clock } from "./transcript/words.js";

const find = (selector) => document.querySelector(selector);
const button = find("#listen");
const device = find("#device");

const notices = new Notices(find("#notices"));
const tokenField = new TokenField(find("#token"));
const customWords = new CustomWords(find("#words"), find("#words-error"));
const waveform = new Waveform(find("#waveform"));
const search = new Search(find("#search"), find("#transcript"));
const keeper = keepTranscript(notices);
const transcript = new Transcript(find("#transcript"), find("#announcer"), {
  changed(part) {
    if (part) keeper.save(part);
    refresh();
  },
  removed(parts, canBeUndone) {
    keeper.remove(parts);
    refresh();
    if (!canBeUndone) return;
    const what = parts.length > 1 ? "The transcript is deleted." : `Deleted: ${parts[0].title}`;
    const action = { label: "Undo", run: () => transcript.restore() };
    notices.show(what, { action, key: "deleted", isError: false });
  },
  restored(parts) {
    for (const part of parts) keeper.save(part);
    notices.dismiss("deleted");
    refresh();
  },
});
connectExports(transcript);
connectFiles(transcript, tokenField, customWords, notices);
connectPlayback(find("#transcript"));
showWordDetails(find("#transcript"), find("#tip"));
keeper.open(transcript);

function refresh() {
  find("#empty").hidden = transcript.parts.length > 0;
  refreshExports(transcript);
  search.refresh(transcript.hasWords);
}

let listening = null; // the result of startListening, while it runs
let part = null; // the part of the transcript that is being spoken
let between = false; // starting or finishing: the button does nothing
let isConnected = false;

button.addEventListener("click", () => {
  if (between) return;
  if (listening) stop();
  else start();
});

async function start() {
  if (listening || between) return; // the token field calls it too
  customWords.clearError();
  notices.dismiss("listening");
  show("Waiting for the microphone");
  setBetween(true);
  device.disabled = true;

  part = transcript.spokenPart();
  const start = part.duration; // its clock continues from the last session
  tick(start);
  let level = null; // known with the first block
  isConnected = false;

  try {
    listening = await startListening({
      deviceId: device.value,
      settings: { words: customWords.lines, second_pass: find("#second-pass").checked },
      token: tokenField.value,
      on: {
        ready() {
          isConnected = true;
          if (!between) show("Listening"); // otherwise it is stopped already
        },
        interrupted() {
          isConnected = false;
          if (!between) show("The connection is lost. Recording goes on; connecting again …", true);
        },
        block(samples, seconds, sampleRate) {
          waveform.push(samples);
          tick(start + seconds);
          level ??= new LevelHint(sampleRate);
          const hint = level.push(samples);
          if (isConnected && !between) show(hint ?? "Listening", hint !== null);
        },
        partial: (words) => transcript.showPartial(livePart(), shiftWords(words, start)),
        final: (utterance) => transcript.addFinal(livePart(), shiftUtterance(utterance, start)),
        lost: () => stop("The microphone was disconnected. Finishing"),
        end(end) {
          transcript.keepPartial(livePart());
          part.duration = start + end.duration;
          transcript.changed(part);
          ended(end);
        },
      },
    });
  } catch (error) {
    ended({ code: "microphone", message: error.message });
    return;
  }
  find("#bar").classList.add("live");
  button.textContent = "Stop";
  setBetween(false);
  show("Connecting; you can already speak");
  listMicrophones();
}

// A new one if the page has been cleared.
function livePart() {
  if (!transcript.parts.includes(part)) part = transcript.spokenPart();
  return part;
}

function stop(state = "Finishing") {
  setBetween(true);
  find("#bar").classList.remove("live");
  show(state);
  listening.stop();
}

function ended({ code, message }) {
  listening = null;
  find("#bar").classList.remove("live");
  button.textContent = "Listen";
  setBetween(false);
  device.disabled = false;
  waveform.clear();
  transcript.removeIfEmpty(part);

  if (code === null) show(message ?? "Stopped");
  else if (code === "bad_words") {
    show("Not listening: a custom word is invalid.", true);
    customWords.showError(message);
  } else if (code === "unauthorised") {
    show("Not listening: the server requires a token.", true);
    tokenField.ask(start);
  } else {
    show("Stopped");
    const reason = code === "busy" ? `The server is busy: ${message}` : message;
    notices.show(reason, { key: "listening", action: { label: "Try again", run: start } });
  }
}

// Not `disabled`, which would take the keyboard focus from the button.
function setBetween(value) {
  between = value;
  button.setAttribute("aria-disabled", value);
}

function show(state, isError = false) {
  if (find("#state").textContent === state) return; // a live region repeats what is set again
  find("#state").textContent = state;
  find("#state").classList.toggle("wrong", isError);
}

function tick(seconds) {
  const text = clock(seconds);
  if (find("#elapsed").textContent !== text) find("#elapsed").textContent = text;
}

async function listMicrophones() {
  const chosen = device.value;
  const options = (await namedMicrophones()).map(
    ({ label, deviceId }) => new Option(label, deviceId, false, deviceId === chosen),
  );
  device.replaceChildren(new Option("Default", ""), ...options);
}

navigator.mediaDevices?.addEventListener("devicechange", listMicrophones);
listMicrophones();
