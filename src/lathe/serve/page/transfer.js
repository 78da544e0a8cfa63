// Chats to files and back.
import {addNode, newChat, newId} from './chats.js';
import {make} from './dom.js';

const kFormat = 'lathe-chats', kMostBytes = 200 << 20;

export function saveFile(chats, name) {
  const all = {format: kFormat, version: 1, exported: new Date().toISOString(), chats};
  const address = URL.createObjectURL(new Blob([JSON.stringify(all, null, 1)], {type: 'application/json'}));
  make('a', {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

const text = (value) => typeof value === 'string' ? value : '';
const list = (value) => Array.isArray(value) ? value : [];
const object = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
const number = (value) => Number.isFinite(value) ? value : undefined;

// Files may come from anywhere: only what a message is made of is taken, each of its own type.
function nodeFrom(given) {
  const node = {
    id: text(given.id),
    parent: text(given.parent),
    role: given.role === 'user' ? 'user' : 'assistant',
    text: text(given.text),
    created: text(given.created)
  };
  for (const key of ['thought', 'model', 'error', 'finish', 'vote', 'pair', 'ignored'])
    if (text(given[key])) node[key] = given[key];
  for (const key of ['parameters', 'timing', 'usage'])
    if (given[key]) node[key] = object(given[key]);
  if (number(given.seed) !== undefined) node.seed = given.seed;
  if (given.attachments)
    node.attachments = list(given.attachments).map((file) => ({name: text(file?.name), text: text(file?.text)}));
  if (given.calls)
    node.calls = list(given.calls).map((call) => ({name: text(call?.name), arguments: text(call?.arguments)}));
  if (given.tokens) node.tokens = list(given.tokens).map(tokenFrom);
  return node;
}

function tokenFrom(given) {
  const other = (each) => ({token: text(each?.token), logprob: number(each?.logprob) ?? 0});
  return {...other(given), text: text(given?.text), kind: text(given?.kind), top: list(given?.top).map(other)};
}

// Every message follows one that is there, and none follows itself, however far around.
function keepTree(nodes) {
  const kept = new Map();
  for (const node of nodes)
    if (node.id && !kept.has(node.id) && (node.parent === '' || kept.has(node.parent))) kept.set(node.id, node);
  return [...kept.values()];
}

function chatFrom(given, settings) {
  const chat = newChat({...settings, ...settingsFrom(object(given.settings))});
  chat.title = text(given.title);
  chat.created = text(given.created) || chat.created;
  chat.nodes = keepTree(list(given.nodes).map((node) => nodeFrom(object(node))));
  for (const [parent, child] of Object.entries(object(given.chosen))) chat.chosen[parent] = text(child);
  return chat;
}

function settingsFrom(given) {
  const out = {parameters: object(given.parameters)};
  for (const key of ['system', 'stop', 'extra', 'model', 'other'])
    if (typeof given[key] === 'string') out[key] = given[key];
  return out;
}

// {"messages": […]}, as requests and data for training have them.
function chatFromMessages(messages, settings) {
  const chat = newChat(settings);
  let parent = '';
  for (const each of messages.map(object)) {
    if (each.role === 'system')
      chat.settings.system = text(each.content);
    else
      parent = addNode(chat, parent, each.role === 'user' ? 'user' : 'assistant', {text: text(each.content)}).id;
  }
  return chat;
}

// The chats of a file, with new ids. Throws an Error that says what the file should be.
export async function readFile(file, settings) {
  if (file.size > kMostBytes) throw new Error(`${file.name} is larger than 200 MB; export fewer chats at a time.`);
  let all;
  try {
    all = JSON.parse(await file.text());
  } catch { throw new Error(`${file.name} is not JSON; choose a file that this page exported.`); }
  const chats = Array.isArray(all?.messages) ? [chatFromMessages(all.messages, settings)] :
      all?.format === kFormat                ? list(all.chats).map((chat) => chatFrom(object(chat), settings)) :
                                               [];
  if (!chats.some((chat) => chat.nodes.length))
    throw new Error(`${file.name} has no chats; choose a file that this page exported, or one with "messages".`);
  for (const chat of chats) chat.id = newId();
  return chats.filter((chat) => chat.nodes.length);
}
