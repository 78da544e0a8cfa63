// Text files that go with the next message.
import {byId, iconButton, make, notice} from './dom.js';

const kMostBytes = 1 << 20;

let attached = [];

function show() {
  const list = byId('attached');
  list.hidden = attached.length === 0;
  list.replaceChildren(
      ...attached.map((file) => make('li', {}, file.name, iconButton('close', `Leave out ${file.name}`, () => {
                                       attached = attached.filter((each) => each !== file);
                                       show();
                                       byId('prompt').focus();
                                     }))));
}

async function textOf(file) {
  if (file.size > kMostBytes) throw new Error(`${file.name} is larger than 1 MB; attach a part of it.`);
  try {
    const text = new TextDecoder('utf-8', {fatal: true}).decode(await file.arrayBuffer());
    if (!text.includes('\0')) return text;
  } catch {
    // Not UTF-8: a picture, a program …
  }
  throw new Error(`${file.name} is not a text in UTF-8; convert it first.`);
}

async function attach(files) {
  for (const file of files) {
    try {
      attached.push({name: file.name, text: await textOf(file)});
    } catch (error) { notice(error.message); }
  }
  show();
}

// What is attached; nothing is afterwards.
export function takeAttached() {
  const all = attached;
  attached = [];
  show();
  return all;
}
export const hasAttached = () => attached.length > 0;

export function beginAttachments() {
  byId('files').addEventListener('change', async (event) => {
    await attach([...event.target.files]);
    event.target.value = '';
    byId('prompt').focus();
  });
  addEventListener('dragover', (event) => {
    if (event.dataTransfer.types.includes('Files')) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    attach([...event.dataTransfer.files]);
  });
}
