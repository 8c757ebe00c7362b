// Formats the cases of test_caption_formats.py with the page's functions: the module's path is the
// argument, cases come as a JSON list of parts on standard input, results go to standard output.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { toJson, toSrt, toText, toVtt } = await import(pathToFileURL(process.argv[2]));
const cases = JSON.parse(readFileSync(0, "utf-8"));
const results = cases.map((parts) => ({
  srt: toSrt(parts),
  vtt: toVtt(parts),
  txt: toText(parts),
  json: toJson(parts),
}));
process.stdout.write(JSON.stringify(results));
