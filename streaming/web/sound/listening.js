// A session: one microphone and one stream, started and ended together.

import { openMicrophone } from "./microphone.js";
import { StreamClient } from "../server/stream-client.js";

// `settings` has words and second_pass. `on` has the handlers of StreamClient, block(samples, seconds)
// with the seconds recorded so far, and lost() for a microphone that is disconnected.
export async function startListening({ deviceId, settings, token, on }) {
  let client;
  let recorded = 0; // samples; word times count samples too, not wall-clock time
  let stopping = false;

  const microphone = await openMicrophone(deviceId, accept, on.lost);
  const rate = microphone.sampleRate;
  // Created before the first block: blocks are messages, which wait until this function yields.
  client = new StreamClient({ sample_rate: rate, ...settings }, token, { ...on, end });

  function accept(samples) {
    recorded += samples.length;
    on.block(samples, recorded / rate);
    client.send(samples);
  }

  async function stop() {
    if (stopping) return;
    stopping = true;
    await microphone.stop();
    client.finish();
  }

  function end(result) {
    // The server may end the stream first.
    if (!stopping) microphone.stop();
    stopping = true;
    on.end({ ...result, duration: result.duration ?? recorded / rate });
  }

  return { stop };
}
