// A chat is a tree of messages: every message follows one, and several may follow the same one, as branches. `chosen` says
// which of them is shown. What begins the chat follows ''.

export const newId = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join('');

export function newChat(settings) {
  const now = new Date().toISOString();
  return {
    id: newId(),
    title: '',
    created: now,
    changed: now,
    settings: structuredClone(settings),
    nodes: [],
    chosen: {}
  };
}

export const branches = (chat, parent) => chat.nodes.filter((node) => node.parent === parent);
export const nodeOf = (chat, id) => chat.nodes.find((node) => node.id === id);

// The messages that are shown, from the first.
export function shownPath(chat) {
  const path = [];
  for (let parent = '';;) {
    const next = branches(chat, parent);
    if (!next.length) return path;
    path.push(next.find((node) => node.id === chat.chosen[parent]) ?? next.at(-1));
    parent = path.at(-1).id;
  }
}

// A message and those before it.
export function pathTo(chat, node) {
  const path = [];
  for (let at = node; at; at = nodeOf(chat, at.parent)) path.unshift(at);
  return path;
}

export function choose(chat, node) { chat.chosen[node.parent] = node.id; }

export function addNode(chat, parent, role, more) {
  const node = {id: newId(), parent, role, text: '', created: new Date().toISOString(), ...more};
  chat.nodes.push(node);
  choose(chat, node);
  if (!chat.title && role === 'user') chat.title = titleOf(node);
  touch(chat);
  return node;
}

export function touch(chat) { chat.changed = new Date().toISOString(); }

function titleOf(node) {
  const words = (node.text || node.attachments?.[0]?.name || '').trim().replace(/\s+/g, ' ');
  return words.length > 60 ? words.slice(0, 58) + '…' : words;
}

// A new chat that goes as far as this message and knows no other branches.
export function copyUpTo(chat, node) {
  const copy = newChat(chat.settings);
  let parent = '';
  for (const each of pathTo(chat, node)) {
    const {id, parent: before, pair, vote, ...rest} = structuredClone(each);
    parent = addNode(copy, parent, each.role, rest).id;
  }
  return copy;
}

// What a model reads of a message: attached files stand before the words.
export function contentOf(node) {
  const files = (node.attachments ?? []).map((file) => {
    let fence = '```';
    while (file.text.includes(fence)) fence += '`';
    return `${file.name}\n${fence}\n${file.text}\n${fence}\n\n`;
  });
  return files.join('') + node.text;
}

// The messages of a request whose answer follows `node`.
export function messagesFor(chat, node) {
  const system = chat.settings.system?.trim() ? [{role: 'system', content: chat.settings.system}] : [];
  return [...system, ...pathTo(chat, node).map((each) => ({role: each.role, content: contentOf(each)}))];
}

export function matches(chat, words) {
  const all = chat.nodes.map((node) => contentOf(node)).join('\n').toLowerCase() + chat.title.toLowerCase();
  return words.every((word) => all.includes(word));
}
