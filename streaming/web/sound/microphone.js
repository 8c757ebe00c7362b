// The microphones: their list, and an open one that delivers blocks of samples.

const LAST_BLOCK_WITHIN_MS = 500;

// Browsers reveal names only after the user has allowed a microphone; before that, the list is empty.
export async function namedMicrophones() {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(
    // Chromium lists the default device a second time under these ids.
    ({ kind, label, deviceId }) =>
      kind === "audioinput" && label && deviceId !== "default" && deviceId !== "communications",
  );
}

// onBlock(Int16Array) is called about ten times a second; onLost() when the device is disconnected.
export async function openMicrophone(deviceId, onBlock, onLost) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers allow the microphone only over https or on localhost.");
  }
  const stream = await askForStream(deviceId);
  const [track] = stream.getAudioTracks();
  // Created after the permission, because a page that records may start audio without a click.
  const context = new AudioContext();
  let recorder;
  try {
    await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    recorder = new AudioWorkletNode(context, "recorder", { outputChannelCount: [1] });
    await context.resume();
  } catch (error) {
    track.stop();
    context.close();
    throw error;
  }

  const ended = new Promise((resolve) => {
    recorder.port.onmessage = ({ data }) => (data.ended ? resolve() : onBlock(data.samples));
  });
  track.addEventListener("ended", onLost);
  // The recorder writes no output, but some browsers run only nodes that reach the destination.
  context.createMediaStreamSource(stream).connect(recorder).connect(context.destination);

  return {
    sampleRate: context.sampleRate,

    // Resolves after the last block, which is shorter than the others.
    async stop() {
      track.removeEventListener("ended", onLost);
      recorder.port.postMessage("stop");
      await Promise.race([ended, pause(LAST_BLOCK_WITHIN_MS)]);
      track.stop();
      await context.close();
    },
  };
}

async function askForStream(deviceId) {
  const audio = {
    deviceId: deviceId ? { exact: deviceId } : undefined,
    channelCount: 1,
    // Both are made for telephone calls. The model is trained on unprocessed speech.
    echoCancellation: false,
    noiseSuppression: false,
    autoGainControl: true,
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Error(REFUSALS[error.name] ?? `The microphone cannot be opened: ${error.message}`);
  }
}

const REFUSALS = {
  NotAllowedError: "The browser was not allowed to use the microphone.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "The microphone is used by another program, or does not respond.",
  OverconstrainedError: "This microphone is not available. Choose another.",
};

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
