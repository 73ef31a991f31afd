// One answer of the model: begins, grows, can be stopped, and knows afterwards how it went.
import { events, postJson } from "./api.js";
import { duration, whole } from "./dom.js";

const Reasons = {
  stop: "complete", length: "length limit reached", content_filter: "stopped by the content filter", stopped: "stopped by you",
};

/** Tokens that an answer to this prompt or these messages may have; at least one, so that the server says what is wrong with longer ones. */
export async function room(asked) {
  const { count, max_model_len } = await postJson("tokenize", asked);
  return Math.max(1, max_model_len - count);
}

export class Generation {
  #abort = new AbortController();
  #began = performance.now();
  #first = null;
  #last = null;

  text = "";
  tokens = 0;
  finish = null;

  /** Calls `grown(choice)` for each piece. Returns when the answer is over, for whatever reason but an error. */
  async run(path, body, grown) {
    const request = { ...body, stream: true, stream_options: { include_usage: true } };
    try {
      for await (const event of events(path, request, this.#abort.signal)) this.#take(event, grown);
    } catch (fault) {
      if (fault.name !== "AbortError") throw fault;
      this.finish = "stopped";
    }
  }

  stop() {
    this.#abort.abort();
  }

  /** In words: tokens, speed, time to the first, why it ended. */
  summary() {
    const parts = [`${whole(this.tokens)} token${this.tokens === 1 ? "" : "s"}`];
    const seconds = (this.#last - this.#first) / 1000;
    if (this.tokens > 1 && seconds > 0) parts.push(`${whole((this.tokens - 1) / seconds)} tokens/s`);
    if (this.#first) parts.push(`first after ${duration((this.#first - this.#began) / 1000)}`);
    parts.push(Reasons[this.finish] ?? this.finish ?? "cut off");
    return parts;
  }

  #take(event, grown) {
    if (event.usage) this.tokens = event.usage.completion_tokens;
    const [choice] = event.choices;
    if (!choice) return;
    const text = choice.delta?.content ?? choice.text ?? "";
    if (text) {
      this.#last = performance.now();
      this.#first ??= this.#last;
      this.text += text;
      if (!event.usage) this.tokens += 1; // until the server tells: pieces, which may hold several tokens
    }
    this.finish = choice.finish_reason ?? this.finish;
    if (text || choice.logprobs) grown(choice);
  }
}
