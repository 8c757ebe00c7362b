// The formats a transcript is downloaded in, the same as `rill transcribe` writes them
// (asr/transcript.py). Parts are {title, duration, utterances}, an utterance a list of
// {word, start, end, confidence}; a file's words may come without a confidence.

const LONGEST_CUE_SECONDS = 6;
const LONGEST_CUE_LETTERS = 80;
const CUE_PAUSE_SECONDS = 0.8;

// One line an utterance; titles only where there are several parts to tell apart.
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

// One object a line, one line a part.
export function toJson(parts) {
  const lines = parts.map(({ title, duration, utterances }) => {
    const words = utterances.flat();
    return JSON.stringify({
      file: title,
      text: line(words),
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

// Words grouped as subtitles: at most 6 s and 80 letters, none across an utterance or a pause.
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
    word.end - cue[0].start > LONGEST_CUE_SECONDS ||
    line(cue).length + 1 + word.word.length > LONGEST_CUE_LETTERS ||
    word.start - cue.at(-1).end > CUE_PAUSE_SECONDS
  );
}

// Subtitles have one clock, so several parts are timed as if they were played in their order.
function oneAfterAnother(parts) {
  let begin = 0;
  return parts.flatMap(({ duration, utterances }) => {
    const shifted = utterances.map((words) => shiftWords(words, begin));
    begin += duration;
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
  const milliseconds = Math.round(seconds * 1000);
  const minutes = Math.floor(milliseconds / 60_000);
  const rest = milliseconds % 60_000;
  const two = (number) => String(number).padStart(2, "0");
  return (
    `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(Math.floor(rest / 1000))}` +
    `${decimalMark}${String(rest % 1000).padStart(3, "0")}`
  );
}

function rounded(number) {
  return Math.round(number * 1000) / 1000;
}
