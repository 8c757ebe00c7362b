// A time of listening: one microphone and one stream, begun and ended together.

import { openMicrophone } from "./microphone.js";
import { StreamClient } from "./stream-client.js";

// `start` has words and second_pass. `on` has what StreamClient wants, block(samples, seconds)
// with the seconds heard so far, and lost() for a microphone that is unplugged.
export async function startListening({ deviceId, start, token, on }) {
  let client;
  let heard = 0; // samples: words' times are counted so too, and not with a clock
  let stopping = false;

  const microphone = await openMicrophone(deviceId, hear, on.lost);
  const rate = microphone.sampleRate;
  // Made before the first block can come: blocks are messages, and those wait for this function.
  client = new StreamClient({ sample_rate: rate, ...start }, token, { ...on, end });

  function hear(samples) {
    heard += samples.length;
    on.block(samples, heard / rate);
    client.send(samples);
  }

  async function stop() {
    if (stopping) return;
    stopping = true;
    await microphone.stop();
    client.finish();
  }

  function end(how) {
    // The server may end first, and then nobody needs the microphone.
    if (!stopping) microphone.stop();
    stopping = true;
    on.end({ ...how, duration: how.duration ?? heard / rate });
  }

  return { stop };
}
