// How one message looks, and what can be done with it.
import {copyText, iconButton, make} from './dom.js';
import {forgetMarkdown, showMarkdown} from './markdown.js';
import {showTokens} from './tokens.js';

// Sets a text that mostly grows, without touching what is there.
function extend(element, text) {
  const node = element.firstChild;
  if (node && text.startsWith(node.data))
    node.appendData(text.slice(node.data.length));
  else
    element.textContent = text;
}

// The beginning of a text, which ends with a whole character.
function wholeCharacters(text, count) {
  const isHalf = count < text.length && /[\uD800-\uDBFF]/.test(text[count - 1] ?? '');
  return text.slice(0, isHalf ? count - 1 : count);
}

function fold(kind, title) {
  const summary = make('summary', {}, title), body = make('pre');
  const details = make('details', {class: `fold ${kind}`}, summary, body);
  return {details, summary, body};
}

function readable(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;  // not complete yet
  }
}

function factsOf(node) {
  const facts = [], {timing, usage} = node;
  if (usage) facts.push(`${usage.completion_tokens} tokens`);
  if (timing?.tokens_per_second) facts.push(`${timing.tokens_per_second} tokens/s`);
  if (timing?.first_ms !== null && timing?.first_ms !== undefined) facts.push(`first after ${timing.first_ms} ms`);
  if (node.seed !== undefined) facts.push(`seed ${node.seed}`);
  const ends = {length: 'cut at the limit', stopped: 'stopped'};
  if (ends[node.finish]) facts.push(ends[node.finish]);
  if (node.ignored) facts.push(`the server does not know ${node.ignored}`);
  return facts.join(' · ');
}

export class MessageView {
  // `acts` has what buttons do: regenerate, edit(node, text), walk(node, step), copyChat, goOn, takeToken(node, i, other).
  constructor(node, acts) {
    this.node = node;
    this.acts = acts;
    this.text = make('div', {class: 'text', data: {testid: 'text'}});
    this.who = make('div', {class: 'who'});
    this.files = make('div');
    this.folds = make('div');
    this.problem = make('p', {class: 'problem', role: 'alert', hidden: true});
    this.facts = make('span', {class: 'facts'});
    this.foot = make('footer');
    this.element = make(
        'article', {class: `message ${node.role}`, data: {testid: 'message', role: node.role}}, this.who, this.files,
        this.folds, this.text, this.problem, this.foot);
    for (const file of node.attachments ?? []) {
      const {details, body} = fold('file', file.name);
      body.textContent = file.text;
      this.files.append(details);
    }
  }

  // `place` says where it stands: whether it is `writing`, or anything is (`busy`); `blind`, the name that hides the model's;
  // `branch` of so many `branches`; whether to show `probabilities`.
  show(place) {
    this.place = place;
    const {node} = this, mine = node.role === 'user';
    this.who.textContent = mine ? 'You' : place.blind ?? node.model ?? 'Answer';
    this.element.setAttribute('aria-label', this.who.textContent);
    this.element.setAttribute('aria-busy', String(place.writing));
    this.element.classList.toggle('writing', place.writing);
    this.element.classList.toggle('better', node.vote === 'better');
    this.facts.textContent = place.writing || place.blind || mine ? '' : factsOf(node);
    this.foot.replaceChildren(...(place.blind ? [] : [this.walk(), this.buttons(), this.facts]));
    this.update(place.writing ? this.count : undefined);
  }

  walk() {
    const {branch, branches} = this.place, {node, acts} = this;
    if (branches < 2) return '';
    return make(
        'span', {class: 'walk', role: 'group', 'aria-label': 'Branches'},
        iconButton(
            'back', 'Earlier branch', () => acts.walk(node, -1),
            {'data-testid': 'branch-prev', disabled: branch === 0}),
        make('span', {data: {testid: 'branch-count'}}, `${branch + 1}/${branches}`),
        iconButton(
            'forth', 'Later branch', () => acts.walk(node, 1),
            {'data-testid': 'branch-next', disabled: branch === branches - 1}));
  }

  buttons() {
    const {node, acts, place} = this, row = make('span', {class: 'buttons'});
    if (place.busy) return row;
    row.append(
        iconButton('copy', 'Copy the text', () => copyText(node.text)),
        iconButton('edit', 'Edit', () => this.edit(), {'data-testid': 'edit'}));
    if (node.role === 'assistant')
      row.append(iconButton('again', 'Answer anew', () => acts.regenerate(node), {'data-testid': 'regenerate'}));
    row.append(iconButton('branch', 'Copy to a new chat up to here', () => acts.copyChat(node)));
    if (node.role === 'assistant' && node.text && ['length', 'stopped'].includes(node.finish))
      row.append(iconButton('go', 'Go on with this answer', () => acts.goOn(node)));
    return row;
  }

  // What has come of the answer, or so many characters of it. Cheap enough for every picture of the screen.
  update(count = this.node.text.length) {
    const {node, place} = this;
    this.count = place.writing ? count : undefined;
    if (node.thought) this.fold('thought', 'Thoughts', node.thought);
    (node.calls ?? [])
        .forEach(
            (call, i) =>
                this.fold(`call${i}`, `Calls ${call.name}`, place.writing ? call.arguments : readable(call.arguments)));
    this.problem.hidden = !node.error;
    this.problem.textContent = node.error ?? '';
    const way = node.role === 'user' ? 'plain' : place.probabilities && node.tokens?.length ? 'tokens' : 'markdown';
    if (way !== this.way) this.forget(way);
    if (way === 'plain')
      extend(this.text, node.text);
    else if (way === 'tokens')
      showTokens(this.text, node, (i, other) => this.acts.takeToken(node, i, other));
    else
      showMarkdown(this.text, wholeCharacters(node.text, count));
    this.text.classList.toggle('waiting', place.writing && !node.text);
  }

  forget(way) {
    this.way = way;
    forgetMarkdown(this.text);
    this.text.replaceChildren();
    this.text.classList.toggle('as-tokens', way === 'tokens');
  }

  fold(kind, title, text) {
    const known = (this.known ??= {});
    if (!known[kind]) {
      known[kind] = fold(kind, title);
      this.folds.append(known[kind].details);
    }
    known[kind].summary.textContent = title;
    extend(known[kind].body, text);
  }

  edit() {
    const field = make('textarea', {class: 'editor', 'aria-label': 'New text', rows: '3'});
    field.value = this.node.text;
    const close = () => {
      box.remove();
      this.text.hidden = this.foot.hidden = false;
    };
    const save = () => {
      if (!field.value.trim()) return;
      close();
      this.acts.edit(this.node, field.value);
    };
    const box = make(
        'div', {class: 'editing'}, field,
        make(
            'div', {class: 'row'},
            make('button', {class: 'strong', on: {click: save}}, this.node.role === 'user' ? 'Send' : 'Keep'),
            make('button', {on: {click: close}}, 'Cancel')));
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        save();
      }
      if (event.key === 'Escape') {
        event.stopPropagation();
        close();
      }
    });
    this.text.hidden = this.foot.hidden = true;
    this.text.after(box);
    field.focus();
  }
}
