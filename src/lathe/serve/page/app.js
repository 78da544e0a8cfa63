// Starts the page and joins its parts.
import {listModels} from './api.js';
import {beginAttachments, hasAttached, takeAttached} from './attachments.js';
import {newChat} from './chats.js';
import {byId, icon, make, notice, oncePerFrame} from './dom.js';
import {lastSettings, SettingsPanel} from './settings.js';
import {Sidebar} from './sidebar.js';
import {allChats, dropChat, keepsChats, saveChat} from './store.js';
import {Talk} from './talk.js';
import {closeCard} from './tokens.js';
import {readFile, saveFile} from './transfer.js';

const kOpen = 'lathe-open', kTheme = 'lathe-theme';
const isNarrow = matchMedia('(max-width: 800px)');

let chats = [];         // all that are kept, the newest first
let isTouched = false;  // whether people did something before the chats were read
let asked = null;       // the names of the models, which are asked for once

const talk = new Talk(newChat(lastSettings()), {save, opened, models});
const panel = new SettingsPanel(() => talk.chat.settings, () => {
  talk.render();
  if (talk.chat.nodes.length) save(talk.chat);
});
const sidebar = new Sidebar({chats: () => chats, current: () => talk.chat, open: (chat) => talk.open(chat), drop});
const showChats = oncePerFrame(() => sidebar.show());

function models() {
  asked ??= listModels().catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

async function save(chat) {
  if (!chat.nodes.length || chat.isDropped) return;
  chats = [chat, ...chats.filter((each) => each !== chat)].sort((a, b) => b.changed.localeCompare(a.changed));
  if (chat === talk.chat) localStorage.setItem(kOpen, chat.id);
  showChats();
  try {
    await saveChat(chat);
  } catch (error) { notice(`This chat is not kept: ${error.message}. Export it, or delete others.`); }
}

function opened(chat) {
  isTouched = true;
  localStorage.setItem(kOpen, chat.id);
  panel.show();
  showModels().catch(tellModels);
  showChats();
}

function startChat() {
  takeAttached();
  talk.open(newChat({...lastSettings(), model: talk.chat.settings.model, other: talk.chat.settings.other}));
  sidebar.toggle(false);
  byId('prompt').focus();
}

async function drop(chat) {
  talk.stop(chat);
  chat.isDropped = true;
  chats = chats.filter((each) => each !== chat);
  if (chat === talk.chat) startChat();
  showChats();
  await dropChat(chat);
  notice('The chat is deleted.', {
    name: 'Undo',
    run: () => {
      delete chat.isDropped;
      save(chat);
    }
  });
}

async function showModels() {
  const names = await models(), {settings} = talk.chat;
  if (!names.includes(settings.model)) settings.model = names[0];
  if (!names.includes(settings.other)) settings.other = names.find((name) => name !== settings.model) ?? names[0];
  for (const [id, key] of [['model', 'model'], ['other-model', 'other']]) {
    byId(id).replaceChildren(...names.map((name) => make('option', {value: name}, name)));
    byId(id).value = settings[key];
    byId(id).onchange = () => {
      settings[key] = byId(id).value;
      panel.changed();
    };
  }
}

const tellModels = (error) => notice(`The models of the server cannot be used: ${error.message}`);

function send() {
  const field = byId('prompt');
  if ((!field.value.trim() && !hasAttached()) || talk.isWriting()) return;
  isTouched = true;
  talk.send(field.value, takeAttached());
  field.value = '';
  fitPrompt();
  field.focus();
}

// As high as its text, within the bounds of the style.
function fitPrompt() {
  const field = byId('prompt');
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight}px`;
}

function beginComposer() {
  const field = byId('prompt');
  field.addEventListener('input', fitPrompt);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  byId('send').addEventListener('click', send);
  byId('stop').addEventListener('click', () => {
    talk.stop();
    field.focus();
  });
  beginAttachments();
}

function beginKeys() {
  addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    const token = closeCard();
    if (token)
      token.focus();
    else if (talk.isWriting())
      talk.stop();
    else if (sidebar.isOpen())
      sidebar.toggle(false);
    else if (isNarrow.matches && !byId('panel').hidden)
      panel.toggle(false);
  });
  addEventListener('pointerdown', (event) => {
    if (!event.target.closest('#token-card, .token')) closeCard();
  });
  isNarrow.addEventListener('change', () => {
    if (isNarrow.matches) panel.toggle(false);
  });
}

function setCompare(on) {
  talk.compare = on;
  byId('compare').setAttribute('aria-pressed', String(on));
  byId('versus').hidden = !on;
}

function changeTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  localStorage.setItem(kTheme, root.dataset.theme);
}

async function importChats(event) {
  try {
    const read = await readFile(event.target.files[0], lastSettings());
    for (const chat of read) await save(chat);
    talk.open(read[0]);
    notice(read.length === 1 ? 'The chat is here.' : `${read.length} chats are here.`);
  } catch (error) { notice(error.message); }
  event.target.value = '';
}

function exportChats(some, name) {
  if (!some.length) return notice('There is nothing to export yet.');
  saveFile(some, `${name}-${new Date().toISOString().slice(0, 10)}.json`);
}

function beginButtons() {
  const icons =
      {'open-sidebar': 'menu', compare: 'compare', theme: 'theme', settings: 'settings', send: 'send', stop: 'stop'};
  for (const [id, name] of Object.entries(icons)) byId(id).prepend(icon(name));
  byId('attach').prepend(icon('attach'));
  byId('compare').append(make('span', {class: 'name'}, 'Compare'));
  byId('theme').append(make('span', {class: 'unseen'}, 'Light or dark'));
  byId('settings').append(make('span', {class: 'name'}, 'Settings'));
  byId('new-chat').addEventListener('click', startChat);
  byId('compare').addEventListener('click', () => setCompare(!talk.compare));
  byId('theme').addEventListener('click', changeTheme);
  byId('export').addEventListener('click', () => exportChats(talk.chat.nodes.length ? [talk.chat] : [], 'chat'));
  byId('export-all').addEventListener('click', () => exportChats(chats, 'chats'));
  byId('import').addEventListener('change', importChats);
  byId('vote-left').addEventListener('click', () => talk.vote(0));
  byId('vote-right').addEventListener('click', () => talk.vote(1));
  byId('vote-tie').addEventListener('click', () => talk.vote(null));
}

// The chat that was open when the page was left, unless people have begun another one meanwhile.
async function readChats() {
  if (!await keepsChats()) notice('This browser keeps no chats; export those that you want to see again.');
  chats = [...chats, ...(await allChats()).filter((chat) => !chats.some((each) => each.id === chat.id))];
  const last = chats.find((chat) => chat.id === localStorage.getItem(kOpen));
  if (last && !isTouched) talk.open(last);
  showChats();
}

// Another tab may have changed the chats while this one was not seen.
async function readAgain() {
  if (document.hidden || talk.running.size) return;
  const read = await allChats(), current = read.find((chat) => chat.id === talk.chat.id);
  chats = read.map((chat) => chat === current && chat.changed <= talk.chat.changed ? talk.chat : chat);
  if (current && current.changed > talk.chat.changed) talk.open(current);
  showChats();
}

document.addEventListener('visibilitychange', readAgain);
beginButtons();
beginComposer();
beginKeys();
talk.render();
showModels().catch(tellModels);
readChats();
byId('prompt').focus();
