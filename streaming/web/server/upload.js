// Uploads a recording. Its utterances come one after another, recognised in offline mode.

import { EventStream } from "./event-stream.js";

export class UploadError extends Error {
  constructor(message, { unauthorised = false, cancelled = false } = {}) {
    super(message);
    this.unauthorised = unauthorised;
    this.cancelled = cancelled;
  }
}

// `on` has sent(share), with the share of the file that is sent, and utterance({words, written}).
// `signal` cancels. Resolves with the duration in seconds. After a rejection with an UploadError the
// utterances stay valid. It is an XMLHttpRequest, because fetch does not say how much is sent.
export function transcribeFile(file, { token, words }, on, signal) {
  const form = new FormData();
  form.set("file", file);
  form.set("stream", "true");
  form.set("timestamp_granularities[]", "word");
  for (const word of words) form.append("keywords[]", word);

  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const events = new EventStream();
    let read = 0; // characters of the answer
    let end = null; // {duration} or {error}, once it has come

    request.open("POST", new URL("v1/audio/transcriptions", document.baseURI));
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = ({ loaded, total }) => on.sent(total > 0 ? loaded / total : 1);
    request.upload.onload = () => on.sent(1);
    request.onprogress = readOn;
    request.onload = () => {
      if (request.status !== 200) return reject(refusal(request));
      readOn();
      if (end?.error) return reject(new UploadError(end.error.message));
      if (!end) return reject(new UploadError("The connection to the server was lost."));
      resolve(end.duration);
    };
    request.onerror = () => reject(new UploadError("The connection to the server was lost."));
    request.onabort = () => reject(new UploadError("Cancelled.", { cancelled: true }));
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) reject(new UploadError("Cancelled.", { cancelled: true }));
    else request.send(form);

    function readOn() {
      if (request.status !== 200) return;
      const text = request.responseText.slice(read);
      read += text.length;
      for (const event of events.push(text)) {
        if (event.type === "transcript.text.delta") on.utterance(event);
        else if (event.type === "transcript.text.done" || event.type === "error") end = event;
      }
    }
  });
}

function refusal({ status, responseText }) {
  let message = `The server answered ${status}.`;
  try {
    message = JSON.parse(responseText).error.message;
  } catch {
    // a proxy's answer; the status says enough
  }
  const busy = [429, 503].includes(status) ? "The server is busy: " : "";
  return new UploadError(busy + message, { unauthorised: status === 401 });
}
