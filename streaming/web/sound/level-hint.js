// What is wrong with the microphone's level, if anything: silence or clipping.

const SILENT_PEAK = 33; // of 32768: -60 dB
const CLIPPED_PEAK = 32_700;
const SILENT_FROM_START_SECONDS = 4;
const SILENT_SECONDS = 30; // later: a noise gate makes pauses silent
const CLIPPED_BLOCKS = 3; // within CLIPPED_SECONDS
const CLIPPED_SECONDS = 5;
const MIN_CLIPPED_SAMPLES = 3; // in a block; a single one is a click

const SILENT = "The microphone is silent. Is it muted, or is another one in use?";
const CLIPPED = "The microphone is too loud, which distorts words. Turn its level down, or move away.";

export class LevelHint {
  #rate;
  #now = 0; // samples
  #loudAt = 0; // the last sample above SILENT_PEAK
  #clippedAt = [];

  constructor(sampleRate) {
    this.#rate = sampleRate;
  }

  // The hint after this block (Int16Array), or null.
  push(samples) {
    let peak = 0;
    let clipped = 0;
    for (const sample of samples) {
      const size = Math.abs(sample);
      if (size > peak) peak = size;
      if (size >= CLIPPED_PEAK) clipped += 1;
    }
    this.#now += samples.length;
    if (peak > SILENT_PEAK) this.#loudAt = this.#now;
    if (clipped >= MIN_CLIPPED_SAMPLES) this.#clippedAt.push(this.#now);
    while (this.#now - this.#clippedAt[0] > CLIPPED_SECONDS * this.#rate) this.#clippedAt.shift();

    if (this.#clippedAt.length >= CLIPPED_BLOCKS) return CLIPPED;
    const allowed = this.#loudAt === 0 ? SILENT_FROM_START_SECONDS : SILENT_SECONDS;
    if (this.#now - this.#loudAt >= allowed * this.#rate) return SILENT;
    return null;
  }
}
