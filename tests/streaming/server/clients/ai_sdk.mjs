// The AI SDK's transcribe: node ai_sdk.mjs http://HOST/v1 FILE
import fs from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_transcribe as transcribe } from "ai";

const [baseURL, file] = process.argv.slice(2);
const openai = createOpenAI({ baseURL, apiKey: "none" });
const results = [];
for (const [model, options] of [
  ["whisper-1", undefined],
  ["whisper-1", { timestampGranularities: ["word"], language: "en", temperature: 0.2 }],
  ["gpt-4o-transcribe", { timestampGranularities: ["segment"], prompt: "Kubernetes" }],
]) {
  const { text, segments, durationInSeconds } = await transcribe({
    model: openai.transcription(model),
    audio: fs.readFileSync(file),
    providerOptions: options && { openai: options },
  });
  results.push({ text, segments: segments.length, seconds: durationInSeconds });
}
console.log(JSON.stringify(results));
