// Words to captions, as asr/formats (breaks.py, cues.py, timing.py) does it: the same costs, words
// and rules. tests/streaming/web/test_caption_formats.py compares the two. All numbers are integers.

export const RULES = {
  lineLetters: 42,
  lines: 2,
  minMs: 1000,
  maxMs: 7000,
  lettersPerSecond: 20,
  minGapMs: 83,
  maxLagMs: 2000,
};

const CLAUSE = 15, SEGMENT = 25, PHRASE = 60;
const LIGHT = 50, NUMBER = 50, BEFORE_PHRASE = 20;
const NAME = 3000, WITHIN_TOKEN = 6000;
const FULL_PAUSE_MS = 800;
const CUE = 50, LINE = 10;
const SENTENCE_WITHIN = 20;
const SHORT_LETTERS = 15, SHORT = 4;
const FREE_PAUSE_MS = 500, MAX_PAUSE_MS = 2000;

const SENTENCE_END = /[.?!…。？！]+["'”’)\]»]*$/;
const CLAUSE_END = /[,;:—–，；：、]+["'”’)\]»]*$/;
const ABBREVIATION = /^["'“‘(\[«]*(?:[a-z]\.(?:[a-z]\.)*|(?:mr|mrs|ms|dr|prof|st|jr|sr|vs)\.)$/i;
const TITLE = /^(?:mr|mrs|ms|dr|prof|st|[a-z])\.$/i;
const CAPITAL = /^["'“‘(\[«]*[A-ZÀ-ÖØ-ÞĀĂĄĆĈĊČĎĐĒĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŘŚŞŠŢŤŪŮŰŲŹŻŽ]/;
const LOWER_CASE = /[a-zß-öø-ÿ]/;
const DIGITS = /^["'“‘(\[«]*[$€£¥#]?[0-9]/;

const wordsOf = (text) => new Set(text.split(/\s+/));
const I_FORMS = wordsOf("i i'm i've i'll i'd i’m i’ve i’ll i’d");
const PARTICLES = wordsOf("of the van von de der den del la le du da di al bin ibn");
const LIGHT_WORDS = wordsOf(
  `a an the this that these those my your his her its our their some any no every each
  of in on at to for with from by about into onto over under after before between through
  during without within against toward towards upon among across behind beyond near as than
  and or but nor so yet because although though while if unless until since when where which
  who whom whose what how why whether
  i you he she it we they i'm you're he's she's it's we're they're
  is are was were am be been being has have had do does did will would shall should can could
  may might must not don't doesn't didn't won't isn't aren't wasn't weren't can't couldn't
  very too more most quite rather just mr mrs ms dr st`,
);
const PHRASE_STARTS = wordsOf(
  `and or but nor so because although though while if unless until since when where which who
  whom whose that whether after before for with from by in on at to of into about through
  without than as`,
);

// Utterances of {word, start, end} in seconds, in order, to cues of {lines, start, end}: lines of
// text and milliseconds.
export function cuesOf(utterances) {
  return timed(division(tokensOf(utterances)));
}

// The shown tokens, none longer than a line; times never go back.
function tokensOf(utterances) {
  const room = RULES.lineLetters;
  const tokens = [];
  let earliest = 0;
  for (const words of utterances) {
    words.forEach((word, place) => {
      const start = Math.max(earliest, roundHalfToEven(word.start * 1000));
      const end = Math.max(start, roundHalfToEven(word.end * 1000));
      earliest = start;
      const letters = [...word.word]; // code points, as Python counts them
      const pieces = Math.max(1, Math.ceil(letters.length / room));
      for (let number = 0; number < pieces; number++) {
        const piece = letters.slice(number * room, (number + 1) * room);
        tokens.push({
          text: piece.join(""),
          letters: piece.length,
          start: start + Math.floor(((end - start) * number) / pieces),
          end: start + Math.floor(((end - start) * (number + 1)) / pieces),
          endsSegment: place + 1 === words.length && number + 1 === pieces,
          glued: number > 0,
        });
      }
    });
  }
  return tokens;
}

function endsSentence(text) {
  return SENTENCE_END.test(text) && !ABBREVIATION.test(text);
}

// The cost of a break before each token, and after the last.
function breakCosts(tokens) {
  if (tokens.length === 0) return [0];
  const cased = tokens.some(({ text }) => LOWER_CASE.test(text));
  const costs = [0];
  for (let place = 1; place < tokens.length; place++) costs.push(breakCost(tokens, place, cased));
  return [...costs, 0];
}

function breakCost(tokens, place, cased) {
  const before = tokens[place - 1];
  const after = tokens[place];
  if (after.glued) return WITHIN_TOKEN;
  if (endsSentence(before.text)) return 0;
  if (cased && isWithinName(tokens, place)) return NAME;
  const clauseEnds = CLAUSE_END.test(before.text);
  let cost = clauseEnds ? CLAUSE : before.endsSegment ? SEGMENT : PHRASE;
  const pause = Math.min(Math.max(0, after.start - before.end), FULL_PAUSE_MS);
  cost -= Math.floor((cost * pause) / FULL_PAUSE_MS);
  if (clauseEnds) return cost;
  if (LIGHT_WORDS.has(before.text.toLowerCase())) return cost + LIGHT;
  if (DIGITS.test(before.text)) return cost + NUMBER;
  if (PHRASE_STARTS.has(after.text.toLowerCase())) return Math.max(0, cost - BEFORE_PHRASE);
  return cost;
}

function isWithinName(tokens, place) {
  const before = tokens[place - 1].text;
  const isParticle = (number) => PARTICLES.has(tokens[number]?.text);
  const named = (number) => isName(tokens, number);
  if (CLAUSE_END.test(before)) return false;
  if (TITLE.test(before) && named(place)) return true;
  if (named(place - 1)) {
    if (named(place) || DIGITS.test(tokens[place].text)) return true;
    const goesOn = named(place + 1) || (isParticle(place + 1) && named(place + 2));
    return isParticle(place) && goesOn;
  }
  if (!isParticle(place - 1)) return false;
  if (named(place - 2)) return named(place) || (isParticle(place) && named(place + 1));
  return isParticle(place - 2) && named(place - 3) && named(place);
}

function isName(tokens, place) {
  if (place < 0 || place >= tokens.length) return false;
  const { text } = tokens[place];
  const plain = text.toLowerCase().replace(/[.,;:?!]+$/, "");
  if (!CAPITAL.test(text) || I_FORMS.has(plain)) return false;
  if (!LIGHT_WORDS.has(plain)) return true;
  if (place === 0) return false;
  const before = tokens[place - 1];
  return !(before.endsSegment || endsSentence(before.text));
}

// The cheapest division of the tokens into cues, by dynamic programming.
function division(tokens) {
  const count = tokens.length;
  const breaks = breakCosts(tokens);
  const letters = runningSums(tokens.map((token) => token.letters + (token.glued ? 0 : 1)));
  const sentences = runningSums(tokens.map(({ text }) => (endsSentence(text) ? 1 : 0)));
  const pauses = tokens.slice(1).map((token, place) => token.start - tokens[place].end);
  const pauseCosts = pauses.map((pause, place) =>
    breaks[place + 1] >= NAME ? 0 : Math.floor(Math.max(0, pause - FREE_PAUSE_MS) / 10),
  );
  const pauseSums = [0, ...runningSums(pauseCosts)];
  const width = (start, end) => letters[end] - letters[start] - (tokens[start].glued ? 0 : 1);

  function isTooMuch(start, end) {
    return (
      (pauses[end - 2] >= MAX_PAUSE_MS && breaks[end - 1] < NAME) ||
      tokens[end - 1].end - tokens[start].start > RULES.maxMs ||
      width(start, end) > RULES.lines * (RULES.lineLetters + 1) ||
      readingMs(width(start, end)) > RULES.maxMs
    );
  }

  function cueCost(start, end) {
    const wide = width(start, end);
    let cost = CUE + breaks[end] + pauseSums[end] - pauseSums[start + 1];
    cost += SHORT * Math.max(0, SHORT_LETTERS - wide);
    cost += SENTENCE_WITHIN * (sentences[end - 1] - sentences[start]);
    if (end < count) {
      const room = tokens[end].start - tokens[start].start;
      cost += Math.floor(Math.max(0, readingMs(wide) - room) / 10);
    }
    return cost;
  }

  // The best lines for these tokens: where each ends, and the cost; null where they do not fit.
  function layout(start, end, lines) {
    const room = RULES.lineLetters;
    if (width(start, end) <= room) return { ends: [end], cost: 0 };
    if (lines === 1) return null;
    let best = null;
    for (let middle = end - 1; middle > start; middle--) {
      const first = width(start, middle);
      if (first > room) continue;
      if (width(middle, end) > (lines - 1) * (room + 1)) break;
      const rest = layout(middle, end, lines - 1);
      if (rest === null) continue;
      const second = width(middle, rest.ends[0]);
      const unequal = Math.floor(Math.abs(first - second) / 2);
      let cost = LINE + Math.floor(breaks[middle] / 2) + unequal + rest.cost;
      cost -= SENTENCE_WITHIN * (sentences[middle] - sentences[middle - 1]);
      if (best === null || cost < best.cost) best = { ends: [middle, ...rest.ends], cost };
    }
    return best;
  }

  const costs = [0, ...Array(count).fill(Infinity)];
  const cameFrom = Array(count + 1).fill(null);
  for (let start = 0; start < count; start++) {
    for (let end = start + 1; end <= count; end++) {
      if (end > start + 1 && isTooMuch(start, end)) break;
      const lines = layout(start, end, RULES.lines);
      if (lines === null) continue;
      const cost = costs[start] + cueCost(start, end) + lines.cost;
      if (cost < costs[end]) {
        costs[end] = cost;
        cameFrom[end] = { start, ends: lines.ends };
      }
    }
  }
  const found = [];
  for (let end = count; end > 0; end = cameFrom[end].start) {
    const { start, ends } = cameFrom[end];
    const starts = [start, ...ends];
    const used = tokens.slice(start, end);
    found.push({
      lines: ends.map((lineEnd, number) => lineText(tokens.slice(starts[number], lineEnd))),
      start: used[0].start,
      end: Math.max(...used.map((token) => token.end)),
      letters: ends.reduce((sum, lineEnd, n) => sum + width(starts[n], lineEnd), ends.length - 1),
    });
  }
  return found.reverse();
}

// The cues with the times at which they are shown.
function timed(cues) {
  let free = 0;
  return cues.map((cue, place) => {
    const start = Math.max(cue.start, free);
    const following = cues[place + 1]?.start ?? Infinity;
    let end = Math.max(Math.min(cue.end, following), start + readingMs(cue.letters));
    end = Math.min(end, Math.max(following + RULES.maxLagMs, start + RULES.minMs));
    end = Math.min(end, start + RULES.maxMs);
    if (0 < following - end && following - end < RULES.minGapMs) {
      end = following - start <= RULES.maxMs ? following : following - RULES.minGapMs;
    }
    free = Math.max(end, start + 1);
    return { lines: cue.lines, start, end: free };
  });
}

function readingMs(letters) {
  return Math.max(RULES.minMs, Math.ceil((letters * 1000) / RULES.lettersPerSecond));
}

function lineText(tokens) {
  return tokens.map(({ text, glued }, n) => (n === 0 || glued ? text : ` ${text}`)).join("");
}

function runningSums(numbers) {
  const sums = [0];
  for (const number of numbers) sums.push(sums.at(-1) + number);
  return sums;
}

// As Python's round.
function roundHalfToEven(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1;
  return rest < 0.5 ? floor : floor + 1;
}
