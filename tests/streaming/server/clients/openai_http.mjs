// What OpenAI's documentation does with its package: node openai_http.mjs http://HOST/v1 FILE
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, file] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const ask = (fields) =>
  client.audio.transcriptions.create({ file: fs.createReadStream(file), model: "gpt-4o-transcribe", ...fields });

const results = {
  json: (await ask({})).text,
  text: await ask({ response_format: "text", prompt: "ZyntriQix, VortiQore V8, B.R.I.C.K." }),
  words: await ask({
    model: "whisper-1",
    response_format: "verbose_json",
    timestamp_granularities: ["word"],
  }),
  logprobs: (await ask({ include: ["logprobs"], chunking_strategy: { type: "server_vad" } })).logprobs,
  bytes: (await ask({ file: await toFile(fs.readFileSync(file), "a.flac") })).text,
  translation: (
    await client.audio.translations.create({ file: fs.createReadStream(file), model: "whisper-1" })
  ).text,
  models: (await client.models.list()).data.length,
};
let streamed = "";
for await (const event of await ask({ stream: true, response_format: "text" })) {
  if (event.type === "transcript.text.delta") streamed += event.delta;
  if (event.type === "transcript.text.done") results.done = event.text;
}
results.streamed = streamed;
results.error = await ask({ language: "de" }).catch((error) => ({
  status: error.status,
  name: error.constructor.name,
  param: error.param,
}));
console.log(JSON.stringify(results));
