// Live captions of the microphone, for a browser source of OBS: they start by themselves.

import { startListening } from "../sound/listening.js";
import { namedMicrophones, openMicrophone } from "../sound/microphone.js";
import { line, shown } from "../transcript/formats.js";
import { readParameters } from "./parameters.js";

const KEPT_UTTERANCES = 8; // more than the lines that can be seen
const AGAIN_AFTER_MS = 5_000;
const HOLD_SECONDS = 8;
const NEEDS_TOKEN = "This server requires a token: add token=… to the address.";

const root = document.querySelector("#captions");
const problem = document.querySelector("#problem");
let running = null; // the paragraph of the utterance that is being spoken
let hiding;

try {
  run(readParameters(location.search, document.documentElement.style));
} catch (error) {
  say(error.message);
}

async function run({ device, words, token, silence, hold = HOLD_SECONDS }) {
  const settings = { words: words ? words.split(",").map((word) => word.trim()) : [] };
  if (silence) settings.silence = Number(silence);
  const again = () => setTimeout(start, AGAIN_AFTER_MS);
  start();

  async function start() {
    try {
      const session = await startListening({
        deviceId: device ? await deviceNamed(device) : "",
        settings,
        token,
        on: {
          ready: () => say(null),
          interrupted() {},
          block() {},
          partial: (partial) => show(line(partial), hold),
          final(utterance) {
            show(line(shown(utterance)), hold);
            running = null;
          },
          lost: () => session.stop(), // the microphone was pulled out; it may come back
          end({ code, message }) {
            running = null;
            say(code === "unauthorised" ? NEEDS_TOKEN : message);
            if (!["unauthorised", "bad_words", "bad_message"].includes(code)) again();
          },
        },
      });
    } catch (error) {
      say(error.message); // of the microphone; it may be plugged in later
      again();
    }
  }
}

// Browsers tell the names of microphones to a page that has opened one.
async function deviceNamed(part) {
  const first = await openMicrophone("", () => {}, () => {});
  await first.stop();
  const microphones = await namedMicrophones();
  const found = microphones.find(({ label }) => label.toLowerCase().includes(part.toLowerCase()));
  if (found) return found.deviceId;
  const names = microphones.map(({ label }) => label).join(", ");
  throw new Error(`device: no microphone has “${part}” in its name. There are: ${names}.`);
}

// Each utterance begins a line of its own, so that older lines never wrap anew.
function show(text, hold) {
  if (text === "") {
    running?.remove();
    return;
  }
  if (!running?.isConnected) {
    running = document.createElement("p");
    running.append(document.createElement("span"));
    root.append(running);
  }
  running.firstChild.textContent = text;
  while (root.children.length > KEPT_UTTERANCES) root.firstChild.remove();
  clearTimeout(hiding);
  if (Number(hold) > 0) hiding = setTimeout(() => root.replaceChildren(), 1000 * Number(hold));
}

function say(message) {
  problem.textContent = message ?? "";
  problem.hidden = !message;
}
