// Lets the server write a node of a chat, and notes what came and how long it took.
import {streamAnswer} from './stream.js';

// A chunk's tokens with the parts of its text. The text became certain with its last token: earlier ones keep what is
// surely theirs (a token may hold a part of a character, or a mark that no text shows).
function takeTokens(node, entries, text, kind) {
  node.tokens ??= [];
  let rest = text;
  entries.forEach((entry, i) => {
    const own = i === entries.length - 1                                ? rest :
        !entry.token.includes('\uFFFD') && rest.startsWith(entry.token) ? entry.token :
                                                                          '';
    rest = rest.slice(own.length);
    node.tokens.push({
      text: own,
      token: entry.token,
      kind,
      logprob: entry.logprob,
      top: entry.top_logprobs.map((other) => ({token: other.token, logprob: other.logprob})),
    });
  });
}

function takeCalls(node, deltas) {
  node.calls ??= [];
  for (const delta of deltas) {
    const call = (node.calls[delta.index] ??= {name: '', arguments: ''});
    call.name += delta.function?.name ?? '';
    call.arguments += delta.function?.arguments ?? '';
  }
}

function takeChoice(node, choice) {
  const delta = choice.delta ?? {};
  if (delta.content) node.text += delta.content;
  if (delta.reasoning_content) node.thought = (node.thought ?? '') + delta.reasoning_content;
  if (delta.tool_calls) takeCalls(node, delta.tool_calls);
  if (choice.logprobs?.content)
    takeTokens(
        node, choice.logprobs.content, delta.content ?? delta.reasoning_content ?? '',
        delta.reasoning_content && !delta.content ? 'thought' : 'text');
  if (choice.finish_reason) node.finish = choice.finish_reason;
}

// `body` is the request; changed() is called after each chunk. Never throws: what went wrong is node.error, and an answer
// that was stopped has node.finish === 'stopped'.
export async function writeAnswer(node, body, signal, changed) {
  const start = performance.now();
  let first = null, pieces = 0;
  delete node.error;
  node.finish = 'stopped';  // until it ends: whoever leaves the page meanwhile finds it so
  try {
    await streamAnswer(body, signal, (chunk) => {
      const choice = chunk.choices[0];
      if (choice) {
        if (choice.delta && (choice.delta.content || choice.delta.reasoning_content || choice.delta.tool_calls)) {
          first ??= performance.now();
          ++pieces;
        }
        takeChoice(node, choice);
      }
      if (chunk.ignored) node.ignored = chunk.ignored;
      if (chunk.usage) Object.assign(node, {usage: chunk.usage, seed: chunk.seed});
      changed();
    });
  } catch (error) {
    if (!signal.aborted) {
      node.error = error.message;
      delete node.finish;
    }
  }
  const end = performance.now(), tokens = node.usage?.completion_tokens ?? pieces;
  node.timing = {
    first_ms: first === null ? null : Math.round(first - start),
    total_ms: Math.round(end - start),
    tokens_per_second: first === null ? null : Math.round(tokens / (end - start) * 10000) / 10,
  };
}
