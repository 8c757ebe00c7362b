// The elements of words and of paragraphs.

import { shown } from "./formats.js";

// Thresholds of the confidence. Correct words of the bundled model are often near 0.5.
const DOUBTFUL_BELOW = 0.35;
const UNSURE_BELOW = 0.5;

export function wordElements(words) {
  return words.flatMap((word, index) => (index > 0 ? [" ", element(word)] : [element(word)]));
}

// An utterance that has ended: its time and its written tokens.
export function paragraph(utterance) {
  const tokens = shown(utterance);
  const time = document.createElement("span");
  time.className = "time";
  time.textContent = clock(tokens[0].start);
  time.dataset.start = tokens[0].start;
  const result = document.createElement("p");
  result.append(time, " ", ...wordElements(tokens));
  if (utterance.written) addSpoken(result, utterance.words);
  return result;
}

// 0:07, 12:34, 1:02:03
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  if (hours > 0) return `${hours}:${two(minutes)}:${two(whole % 60)}`;
  return `${minutes}:${two(whole % 60)}`;
}

function element({ word, start, end, confidence }) {
  const result = document.createElement("span");
  result.textContent = word;
  result.className = "word";
  if (confidence < DOUBTFUL_BELOW) result.classList.add("doubtful");
  else if (confidence < UNSURE_BELOW) result.classList.add("unsure");
  const percent = Math.round(confidence * 100);
  const detail = confidence === undefined ? "" : `, confidence ${percent} %`;
  result.dataset.detail = `${start.toFixed(2)} to ${end.toFixed(2)} s${detail}`;
  result.dataset.start = start;
  result.dataset.end = end;
  result.tabIndex = -1; // word-details.js makes one word the Tab stop
  return result;
}

// A token that stands for several spoken words, or for another one, has them in its detail.
function addSpoken(container, words) {
  let next = 0;
  for (const token of container.querySelectorAll(".word")) {
    const spoken = [];
    while (next < words.length && middle(words[next]) <= Number(token.dataset.end)) {
      spoken.push(words[next].word);
      next += 1;
    }
    token.dataset.spoken = spoken.join(" ");
    const plain = token.textContent.toLowerCase().replace(/[.,:;?!]+$/, "");
    if (spoken.length > 0 && plain !== token.dataset.spoken.toLowerCase()) {
      token.dataset.detail = `“${token.dataset.spoken}”, ${token.dataset.detail}`;
    }
  }
}

function middle({ start, end }) {
  return (start + end) / 2;
}
