// The last six seconds of audio as bars, newest on the right.

const SECONDS = 6;
const BARS_PER_BLOCK = 5; // a block is 100 ms
const BARS = SECONDS * 10 * BARS_PER_BLOCK;

export class Waveform {
  #canvas;
  #peaks = new Float32Array(BARS);
  #reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  // Draws only when a block arrives: ten times a second, and never while the page is idle.
  push(samples) {
    this.#peaks.copyWithin(0, BARS_PER_BLOCK);
    const length = Math.ceil(samples.length / BARS_PER_BLOCK);
    for (let bar = 0; bar < BARS_PER_BLOCK; bar += 1) {
      let peak = 0;
      const end = Math.min(samples.length, (bar + 1) * length);
      for (let i = bar * length; i < end; i += 1) peak = Math.max(peak, Math.abs(samples[i]));
      this.#peaks[BARS - BARS_PER_BLOCK + bar] = peak / 32768;
    }
    this.#draw();
  }

  clear() {
    this.#peaks.fill(0);
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const scale = window.devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    const context = this.#canvas.getContext("2d");
    context.scale(scale, scale);
    context.fillStyle = getComputedStyle(this.#canvas).color;
    if (this.#reducedMotion.matches) this.#drawLevel(context, width, height);
    else this.#drawBars(context, width, height);
  }

  #drawBars(context, width, height) {
    const step = width / BARS;
    context.fillRect(0, height / 2 - 0.5, width, 1);
    this.#peaks.forEach((peak, index) => {
      const bar = scaled(peak) * height;
      context.fillRect(index * step, (height - bar) / 2, Math.max(0.75, step * 0.6), bar);
    });
  }

  // With reduced motion, a level of the last half second without scrolling.
  #drawLevel(context, width, height) {
    const level = Math.max(...this.#peaks.slice(-5 * BARS_PER_BLOCK));
    context.fillRect(0, height / 2 - 0.5, width, 1);
    context.fillRect(0, height / 2 - 3, scaled(level) * width, 6);
  }
}

// Speech is far below full scale; the square root makes it visible and keeps 1 at 1.
function scaled(peak) {
  return Math.sqrt(peak);
}
