// Requests to the server, with the key that it may want.
import {byId} from './dom.js';

const kKey = 'lathe-key';

// What the server refused, in its own words.
export class ServerError extends Error {
  constructor(status, message, param) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

let asking = null;

// Several requests may need a key at once; people are asked once. An Error where they give none.
function askForKey(wasWrong) {
  asking ??= new Promise((resolve, reject) => {
    const dialog = byId('key-dialog'), field = byId('key');
    byId('key-wrong').hidden = !wasWrong;
    const use = () => {
      if (!field.value.trim()) return;
      localStorage.setItem(kKey, field.value.trim());
      field.value = '';
      resolve();
      dialog.close();
    };
    dialog.onclose = () => {
      asking = null;
      reject(new Error('Without a key the server does not answer.'));  // has no effect where one was given
    };
    byId('use-key').onclick = use;
    field.onkeydown = (event) => {
      if (event.key !== 'Enter') return;
      event.preventDefault();  // the key would go on to the prompt, which gets the focus
      use();
    };
    dialog.showModal();
    field.focus();
  });
  return asking;
}

async function errorOf(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // Something between the browser and the server answered.
  }
  return new ServerError(
      response.status, error.message ?? `The server answered with status ${response.status}.`, error.param);
}

// A response whose status is good; ServerError otherwise. With a body it is a POST of JSON.
export async function request(path, body, signal) {
  for (;;) {
    const key = localStorage.getItem(kKey), headers = {};
    if (key) headers.Authorization = `Bearer ${key}`;
    if (body) headers['Content-Type'] = 'application/json';
    const response =
        await fetch(
            new URL(path, document.baseURI),
            {method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal})
            .catch((error) => {
              throw signal?.aborted ? error : new Error('The server does not answer. Is it still running?');
            });
    if (response.ok) return response;
    if (response.status !== 401) throw await errorOf(response);
    // Another tab or request may have found a better key meanwhile.
    if (localStorage.getItem(kKey) === key) await askForKey(key !== null);
  }
}

// The names of those that write answers; others make vectors of texts.
export async function listModels() {
  const {data} = await (await request('v1/models')).json();
  const names = data.filter((model) => model.writes).map((model) => model.id);
  if (!names.length) throw new Error('none of them writes answers; start the server with one that does.');
  return names;
}

// A preference, kept by the server for training.
export async function sendVote(record) { await request('v1/votes', record); }
