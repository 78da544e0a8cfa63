// The list of chats, with search; on a phone a drawer.
import {matches} from './chats.js';
import {byId, iconButton, make} from './dom.js';

function dateOf(chat) {
  const date = new Date(chat.changed), today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'}) : date.toLocaleDateString();
}

export class Sidebar {
  // hooks: chats(), current(), open(chat), drop(chat).
  constructor(hooks) {
    this.hooks = hooks;
    byId('search').addEventListener('input', () => this.show());
    byId('open-sidebar').addEventListener('click', () => this.toggle(true));
    byId('shade').addEventListener('click', () => this.toggle(false));
    matchMedia('(max-width: 800px)').addEventListener('change', () => this.toggle(false));
  }

  toggle(open) {
    document.body.classList.toggle('sidebar-open', open);
    byId('shade').hidden = !open;
    byId('open-sidebar').setAttribute('aria-expanded', String(open));
    if (open) byId('new-chat').focus();
  }

  isOpen() { return document.body.classList.contains('sidebar-open'); }

  show() {
    const words = byId('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.hooks.chats().filter((chat) => matches(chat, words));
    byId('chats').replaceChildren(...found.map((chat) => this.row(chat)));
    if (!found.length)
      byId('chats').append(
          make('li', {class: 'none'}, words.length ? 'No chat has these words.' : 'Chats are kept here.'));
  }

  row(chat) {
    const isCurrent = chat === this.hooks.current();
    const open = make(
        'button', {
          class: 'chat',
          'aria-current': isCurrent ? 'true' : undefined,
          on: {
            click: () => {
              this.toggle(false);
              this.hooks.open(chat);
            }
          }
        },
        make('span', {}, chat.title || 'Untitled'), make('small', {}, dateOf(chat)));
    return make(
        'li', {class: isCurrent ? 'current' : ''}, open,
        iconButton('close', `Delete ${chat.title || 'this chat'}`, () => this.hooks.drop(chat)));
  }
}
