// The download formats, equal to those of `rill transcribe` (asr/formats, which
// tests/streaming/web/test_caption_formats.py compares them with). Parts are {title, duration,
// utterances}, an utterance is {words, written}: lists of {word, start, end, confidence}, as spoken
// and as written. Without `written` the written tokens are the words.

import { cuesOf } from "./cues.js";

// One line per utterance; titles only if there are several parts.
export function toText(parts) {
  const bodies = parts.map(({ title, utterances }) => {
    const body = utterances.map((utterance) => line(shown(utterance)) + "\n").join("");
    return parts.length > 1 ? `${title}\n\n${body}` : body;
  });
  return bodies.join("\n");
}

export function toSrt(parts) {
  const blocks = cuesOf(oneAfterAnother(parts)).map(
    (cue, index) => `${index + 1}\n${span(cue, ",")}\n${cue.lines.join("\n")}\n`,
  );
  return blocks.join("\n");
}

export function toVtt(parts) {
  const blocks = cuesOf(oneAfterAnother(parts)).map(
    (cue) => `\n${span(cue, ".")}\n${cue.lines.map(escaped).join("\n")}\n`,
  );
  return "WEBVTT\n" + blocks.join("");
}

// One JSON object per line and part.
export function toJson(parts) {
  const lines = parts.map(({ title, duration, utterances }) => {
    const words = utterances.flatMap((utterance) => utterance.words);
    return JSON.stringify({
      file: title,
      text: line(words),
      formatted: line(utterances.flatMap(shown)),
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

// Subtitles have one clock, so the parts are timed as if they were played one after another.
function oneAfterAnother(parts) {
  let start = 0;
  return parts.flatMap(({ duration, utterances }) => {
    const shifted = utterances.map((utterance) => shiftWords(shown(utterance), start));
    start += duration;
    return shifted;
  });
}

// The tokens of an utterance that people read.
export function shown({ words, written }) {
  return written ?? words;
}

export function shiftUtterance({ words, written }, seconds) {
  return { words: shiftWords(words, seconds), written: written && shiftWords(written, seconds) };
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
  return `${clock(cue.start, decimalMark)} --> ${clock(cue.end, decimalMark)}`;
}

function clock(milliseconds, decimalMark) {
  const minutes = Math.floor(milliseconds / 60_000);
  const rest = milliseconds % 60_000;
  const two = (number) => String(number).padStart(2, "0");
  return (
    `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(Math.floor(rest / 1000))}` +
    `${decimalMark}${String(rest % 1000).padStart(3, "0")}`
  );
}

// WebVTT has tags.
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function rounded(number) {
  return Math.round(number * 1000) / 1000;
}
