// Chats in the browser's own database (IndexedDB). Where there is none, in a private window, they live as long as the page.

const kStore = 'chats';

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

let database = null;

function open() {
  database ??= new Promise((resolve) => {
    const request = indexedDB.open('lathe', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(kStore, {keyPath: 'id'});
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  }).catch(() => null);  // browsers may forbid it altogether
  return database;
}

export const keepsChats = async () => await open() !== null;

async function withStore(mode, f) {
  const opened = await open();
  return opened ? done(f(opened.transaction(kStore, mode).objectStore(kStore))) : undefined;
}

// The newest first.
export async function allChats() {
  const chats = await withStore('readonly', (store) => store.getAll()) ?? [];
  return chats.sort((a, b) => b.changed.localeCompare(a.changed));
}

export const saveChat = (chat) => withStore('readwrite', (store) => store.put(chat));
export const dropChat = (chat) => withStore('readwrite', (store) => store.delete(chat.id));
