// The page: its buttons and its state.

import { CustomWords } from "./page/custom-words.js";
import { connectExports, refreshExports } from "./transcript/exports.js";
import { connectFiles } from "./page/files.js";
import { shiftWords } from "./transcript/formats.js";
import { startListening } from "./sound/listening.js";
import { namedMicrophones } from "./sound/microphone.js";
import { TokenField } from "./server/token.js";
import { Transcript } from "./transcript/transcript.js";
import { Waveform } from "./sound/waveform.js";
import { showWordDetails } from "./transcript/word-details.js";

const find = (selector) => document.querySelector(selector);
const button = find("#listen");
const device = find("#device");

const tokenField = new TokenField(find("#token"));
const customWords = new CustomWords(find("#words"), find("#words-error"));
const waveform = new Waveform(find("#waveform"));
const transcript = new Transcript(find("#transcript"), find("#announcer"), () => {
  find("#empty").hidden = transcript.parts.length > 0;
  refreshExports(transcript);
});
connectExports(transcript);
connectFiles(transcript, tokenField);
showWordDetails(find("#transcript"), find("#tip"));

let listening = null; // the result of startListening, while it runs
let part = null; // the part of the transcript that is being spoken
let between = false; // starting or finishing: the button does nothing

button.addEventListener("click", () => {
  if (between) return;
  if (listening) stop();
  else start();
});

async function start() {
  if (listening || between) return; // the token field calls it too
  customWords.clearError();
  show("Waiting for the microphone");
  setBetween(true);
  device.disabled = true;

  part = transcript.spokenPart();
  const start = part.duration; // its clock continues from the last session
  tick(start);

  try {
    listening = await startListening({
      deviceId: device.value,
      settings: { words: customWords.lines, second_pass: find("#second-pass").checked },
      token: tokenField.value,
      on: {
        ready() {
          if (!between) show("Listening"); // otherwise it is stopped already
        },
        block(samples, seconds) {
          waveform.push(samples);
          tick(start + seconds);
        },
        partial: (words) => transcript.showPartial(livePart(), shiftWords(words, start)),
        final: (words) => transcript.addFinal(livePart(), shiftWords(words, start)),
        lost: () => stop("The microphone was disconnected. Finishing"),
        end(end) {
          transcript.keepPartial(livePart());
          part.duration = start + end.duration;
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
  else if (code === "busy") show(`The server is busy: ${message}`, true);
  else if (code === "bad_words") {
    show("Not listening: a custom word is invalid.", true);
    customWords.showError(message);
  } else if (code === "unauthorised") {
    show("Not listening: the server requires a token.", true);
    tokenField.ask(start);
  } else show(message, true);
}

// Not `disabled`, which would take the keyboard focus from the button.
function setBetween(value) {
  between = value;
  button.setAttribute("aria-disabled", value);
}

function show(state, isError = false) {
  find("#state").textContent = state;
  find("#state").classList.toggle("wrong", isError);
}

function tick(seconds) {
  const whole = Math.floor(seconds);
  const text = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
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
