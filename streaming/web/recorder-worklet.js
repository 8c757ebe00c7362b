// Runs on the audio thread: turns what the microphone gives into blocks of 16-bit samples.
// A block is 100 ms: short beside the recogniser's 120 ms chunks, and ten messages a second.

const BLOCK_SECONDS = 0.1;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blockLength = Math.round(sampleRate * BLOCK_SECONDS);
    this.stopped = false;
    this.begin();
    this.port.onmessage = () => this.stop();
  }

  begin() {
    // The wire wants little endian. Every machine that a browser runs on today is little endian,
    // so the array's own bytes are the message.
    this.block = new Int16Array(this.blockLength);
    this.filled = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (this.stopped) return false;
    if (channels.length === 0) return true;
    for (let i = 0; i < channels[0].length; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      const sample = Math.round((sum / channels.length) * 32768);
      this.block[this.filled] = Math.max(-32768, Math.min(32767, sample));
      this.filled += 1;
      if (this.filled === this.blockLength) this.hand(this.block);
    }
    return true;
  }

  hand(samples) {
    this.port.postMessage({ samples }, [samples.buffer]);
    this.begin();
  }

  stop() {
    this.stopped = true;
    if (this.filled > 0) this.hand(this.block.slice(0, this.filled));
    this.port.postMessage({ ended: true });
  }
}

registerProcessor("recorder", Recorder);
