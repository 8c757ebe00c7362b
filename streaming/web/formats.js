// The download formats, equal to those of `rill transcribe` (asr/transcript.py, which
// tests/streaming/web/test_caption_formats.py compares them with). Parts are {title, duration,
// utterances}, an utterance is a list of {word, start, end, confidence}; words of a file may have no
// confidence.

const MAX_CUE_SECONDS = 6;
const MAX_CUE_LETTERS = 80;
const CUE_PAUSE_SECONDS = 0.8;

// One line per utterance; titles only if there are several parts.
export function toText(parts) {
  const bodies = parts.map(({ title, utterances }) => {
    const body = utterances.map((words) => line(words) + "\n").join("");
    return parts.length > 1 ? `${title}\n\n${body}` : body;
  });
  return bodies.join("\n");
}

export function toSrt(parts) {
  const blocks = cues(parts).map(
    (cue, index) => `${index + 1}\n${span(cue, ",")}\n${line(cue)}\n`,
  );
  return blocks.join("\n");
}

export function toVtt(parts) {
  const blocks = cues(parts).map((cue) => `\n${span(cue, ".")}\n${line(cue)}\n`);
  return "WEBVTT\n" + blocks.join("");
}

// One JSON object per line and part.
export function toJson(parts) {
  const lines = parts.map(({ title, duration, utterances }) => {
    const words = utterances.flat();
    return JSON.stringify({
      file: title,
      text: line(words),
      formatted: line(words),
      duration: rounded(duration),
      words: words.map(({ word, start, end, confidence }) => ({
        word,
        start: rounded(start),
        end: rounded(end),
        ...(confidence === undefined ? {} : { confidence: rounded(confidence) }),
      })),
    });
  });
  return lines.map((text) => text + "\n").join("");
}

// Groups words into cues: at most 6 s and 80 letters, none across an utterance or a pause.
function cues(parts) {
  const all = [];
  for (const words of oneAfterAnother(parts)) {
    let cue = [];
    for (const word of words) {
      if (cue.length > 0 && isFull(cue, word)) {
        all.push(cue);
        cue = [];
      }
      cue.push(word);
    }
    if (cue.length > 0) all.push(cue);
  }
  return all;
}

function isFull(cue, word) {
  return (
    word.end - cue[0].start > MAX_CUE_SECONDS ||
    letters(line(cue)) + 1 + letters(word.word) > MAX_CUE_LETTERS ||
    word.start - cue.at(-1).end > CUE_PAUSE_SECONDS
  );
}

// Subtitles have one clock, so the parts are timed as if they were played one after another.
function oneAfterAnother(parts) {
  let start = 0;
  return parts.flatMap(({ duration, utterances }) => {
    const shifted = utterances.map((words) => shiftWords(words, start));
    start += duration;
    return shifted;
  });
}

export function shiftWords(words, seconds) {
  return words.map((word) => ({
    ...word,
    start: word.start + seconds,
    end: word.end + seconds,
  }));
}

export function line(words) {
  return words.map(({ word }) => word).join(" ");
}

function span(cue, decimalMark) {
  return `${clock(cue[0].start, decimalMark)} --> ${clock(cue.at(-1).end, decimalMark)}`;
}

function clock(seconds, decimalMark) {
  const milliseconds = roundHalfToEven(seconds * 1000);
  const minutes = Math.floor(milliseconds / 60_000);
  const rest = milliseconds % 60_000;
  const two = (number) => String(number).padStart(2, "0");
  return (
    `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(Math.floor(rest / 1000))}` +
    `${decimalMark}${String(rest % 1000).padStart(3, "0")}`
  );
}

// Code points, as Python counts them; `length` counts UTF-16 units.
function letters(text) {
  return [...text].length;
}

// As Python's round.
function roundHalfToEven(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}

function rounded(number) {
  return Math.round(number * 1000) / 1000;
}
