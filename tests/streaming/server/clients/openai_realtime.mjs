// OpenAI's Realtime client as a browser runs it: node openai_realtime.mjs http://HOST/v1 KEY PCM
// `onURL` leads it to a server without TLS.
import fs from "node:fs";
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket;
const [baseURL, apiKey, file] = process.argv.slice(2);
const pcm = fs.readFileSync(file);
const onURL = (url) => {
  url.protocol = "ws:";
};
const client = new OpenAI({ baseURL, apiKey });
const realtime = new OpenAIRealtimeWebSocket({ model: "gpt-realtime", onURL }, client);
const types = [];

realtime.on("event", (event) => types.push(event.type));
realtime.on("error", (error) => {
  console.log(JSON.stringify({ error: error.message }));
  process.exit(0);
});
realtime.on("session.created", () => {
  realtime.send({
    type: "session.update",
    session: { type: "transcription", audio: { input: { turn_detection: null } } },
  });
  for (let at = 0; at < pcm.length; at += 4800) {
    const audio = pcm.subarray(at, at + 4800).toString("base64");
    realtime.send({ type: "input_audio_buffer.append", audio });
  }
  realtime.send({ type: "input_audio_buffer.commit" });
});
realtime.on("conversation.item.input_audio_transcription.completed", (event) => {
  console.log(JSON.stringify({ transcript: event.transcript, types }));
  realtime.close();
});
