// A session: one microphone and one stream, started and ended together.

import { LiveStream } from "../server/live-stream.js";
import { openMicrophone } from "./microphone.js";

// `settings` has words and second_pass. `on` has the handlers of LiveStream, block(samples, seconds,
// sampleRate) with the seconds recorded so far, and lost() for a microphone that is disconnected.
export async function startListening({ deviceId, settings, token, on }) {
  let stream;
  let recorded = 0; // samples; word times count samples too, not wall-clock time
  let stopping = false;
  let ended = false;

  const microphone = await openMicrophone(deviceId, accept, on.lost);
  const rate = microphone.sampleRate;
  // Created before the first block: blocks are messages, which wait until this function yields.
  stream = new LiveStream({ sample_rate: rate, ...settings }, token, { ...on, end });

  function accept(samples) {
    if (ended) return; // the last block of a microphone that is being closed
    recorded += samples.length;
    on.block(samples, recorded / rate, rate);
    stream.send(samples);
  }

  async function stop() {
    if (stopping) return;
    stopping = true;
    await microphone.stop();
    stream.finish();
  }

  function end(result) {
    ended = true;
    // The server may end the stream first.
    if (!stopping) microphone.stop();
    stopping = true;
    on.end({ ...result, duration: recorded / rate });
  }

  return { stop };
}
