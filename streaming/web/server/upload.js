// Uploads a recording and returns its transcript, recognised in offline mode.

export class UploadError extends Error {
  constructor(message, unauthorised = false) {
    super(message);
    this.unauthorised = unauthorised;
  }
}

// Returns {duration, utterances}, as a part of the transcript has them.
export async function transcribeFile(file, token) {
  const form = new FormData();
  form.set("file", file);
  form.set("response_format", "verbose_json");
  form.set("timestamp_granularities[]", "word");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};

  let response;
  try {
    const url = new URL("v1/audio/transcriptions", document.baseURI);
    response = await fetch(url, { method: "POST", body: form, headers });
  } catch {
    throw new UploadError("The connection to the server was lost.");
  }
  if (!response.ok) throw await refusal(response);
  const transcript = await response.json();
  return { duration: transcript.duration, utterances: utterances(transcript) };
}

async function refusal(response) {
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `The server answered ${response.status}.`;
  const busy = [429, 503].includes(response.status) ? "The server is busy: " : "";
  return new UploadError(busy + message, response.status === 401);
}

// Words and segments are separate lists; a word belongs to the last segment that starts before it.
function utterances({ segments = [], words = [] }) {
  const all = [[]];
  let next = 0;
  for (const word of words) {
    const middle = (word.start + word.end) / 2;
    while (next < segments.length && segments[next].start <= middle) {
      all.push([]);
      next += 1;
    }
    all.at(-1).push(word);
  }
  return all.filter((utterance) => utterance.length > 0);
}
