// A client as Vosk's example for Node: a file of 8 kHz without a config, as fast as it is read.
//     node vosk_node.mjs ws://127.0.0.1:8080 speech.wav
import { createReadStream } from "node:fs";
import WebSocket from "ws";

const [, , uri, path] = process.argv;
const answers = [];
const socket = new WebSocket(uri);

socket.on("open", () => {
  const file = createReadStream(path);
  file.on("data", (chunk) => socket.send(chunk));
  file.on("end", () => socket.send('{"eof" : 1}'));
});
socket.on("message", (data) => answers.push(JSON.parse(data)));
socket.on("close", () => {
  console.log(JSON.stringify(answers));
  process.exit();
});
