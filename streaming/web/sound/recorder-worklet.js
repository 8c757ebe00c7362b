// Runs on the audio thread: converts the microphone's samples into blocks of 16-bit samples.
// A block is 100 ms: shorter than a chunk of 120 ms, and ten messages a second.

const BLOCK_SECONDS = 0.1;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blockLength = Math.round(sampleRate * BLOCK_SECONDS);
    this.stopped = false;
    this.startBlock();
    this.port.onmessage = () => this.stop();
  }

  startBlock() {
    // The protocol is little endian, and so is every machine that browsers run on.
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
      if (this.filled === this.blockLength) this.post(this.block);
    }
    return true;
  }

  post(samples) {
    this.port.postMessage({ samples }, [samples.buffer]);
    this.startBlock();
  }

  stop() {
    this.stopped = true;
    if (this.filled > 0) this.post(this.block.slice(0, this.filled));
    this.port.postMessage({ ended: true });
  }
}

registerProcessor("recorder", Recorder);
