// Server-sent events as they arrive, in pieces of any size.

export class EventStream {
  #rest = "";

  // The events that are complete after this piece of text: parsed JSON objects.
  push(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop();
    const data = blocks.filter((block) => block.startsWith("data: "));
    return data.map((block) => JSON.parse(block.slice(6)));
  }
}
