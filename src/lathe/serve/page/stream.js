// An answer of /v1/chat/completions as it comes.
import {request, ServerError} from './api.js';

// The data of the events in a stream of bytes.
async function* eventsOf(response) {
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, {stream: true})).split('\n');
    rest = lines.pop();
    for (const line of lines)
      if (line.startsWith('data: ')) yield line.slice(6);
  }
}

// Calls take(chunk) for each chunk of the answer; one with `ignored` names keys of the request that mean nothing there.
// Ends with the answer; aborting the signal ends it, and the server's work.
export async function streamAnswer(body, signal, take) {
  const asked = {...body, stream: true, stream_options: {include_usage: true}};
  const response = await request('v1/chat/completions', asked, signal);
  const ignored = response.headers.get('Lathe-Ignored');
  if (ignored) take({choices: [], ignored});
  for await (const data of eventsOf(response)) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ServerError(500, chunk.error.message);
    take(chunk);
  }
  throw new Error('The server went away in the middle of the answer.');
}
