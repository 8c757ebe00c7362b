// The microphone: which there are, and one that is open and hands over blocks of samples.

const LAST_BLOCK_WITHIN_MS = 500;

// Names are known only once the visitor has allowed a microphone; before that the list is empty.
export async function namedMicrophones() {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(
    // Chromium lists the default one a second time, under these two ids.
    ({ kind, label, deviceId }) =>
      kind === "audioinput" && label && deviceId !== "default" && deviceId !== "communications",
  );
}

// onBlock(Int16Array) is called about ten times a second; onLost() when the device is unplugged.
export async function openMicrophone(deviceId, onBlock, onLost) {
  if (!navigator.mediaDevices) {
    throw new Error("The browser gives a page the microphone only over https or on localhost.");
  }
  const stream = await askForStream(deviceId);
  const [track] = stream.getAudioTracks();
  // Made after the permission: browsers let a page that records run its audio without a click.
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
  // The recorder writes nothing into its output, but some browsers run only what can be heard.
  context.createMediaStreamSource(stream).connect(recorder).connect(context.destination);

  return {
    sampleRate: context.sampleRate,

    // Resolves when the last block, shorter than the others, has been handed over.
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
    // Both bend the sound for the ears of somebody on the telephone. The recogniser was trained
    // on speech that no one had cleaned.
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
  NotReadableError: "The microphone is in use elsewhere, or it does not answer.",
  OverconstrainedError: "That microphone is no longer there. Choose another.",
};

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
