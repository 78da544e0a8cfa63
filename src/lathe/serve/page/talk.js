// The chat that is shown: sending, answers that are being written, branches, two answers side by side.
import {writeAnswer} from './answer.js';
import {sendVote} from './api.js';
import {addNode, branches, choose, copyUpTo, messagesFor, newId, nodeOf, shownPath, touch} from './chats.js';
import {byId, make, notice} from './dom.js';
import {MessageView} from './message.js';
import {reveal} from './reveal.js';
import {parametersOf} from './settings.js';

const kSaveEach = 1000;  // ms, while an answer is written

const isPair = (nodes) => nodes.length === 2;

// The request that writes a node. What the node holds already is the beginning of the answer.
function bodyFor(chat, node) {
  const messages = messagesFor(chat, nodeOf(chat, node.parent)),
        body = {model: node.model, messages, ...node.parameters};
  if (!node.text) return body;
  return {...body, messages: [...messages, {role: 'assistant', content: node.text}], continue_final_message: true};
}

export class Talk {
  // hooks: save(chat), opened(chat), models() (a promise of their names).
  constructor(chat, hooks) {
    this.chat = chat;
    this.hooks = hooks;
    this.compare = false;
    this.views = new Map();    // of nodes
    this.running = new Map();  // nodes that are written, with their chat and what stops them
  }

  open(chat) {
    this.chat = chat;
    this.views.clear();
    this.hooks.opened(chat);
    this.render();
    this.toEnd();
  }

  isWriting() { return [...this.running.values()].some(({chat}) => chat === this.chat); }

  stop(of = this.chat) {
    for (const {chat, stop} of this.running.values())
      if (chat === of) stop.abort();
  }

  send(text, attachments) {
    if (this.isWriting()) return false;
    const last = shownPath(this.chat).at(-1);
    this.answer(addNode(this.chat, last?.id ?? '', 'user', attachments.length ? {text, attachments} : {text}));
    return true;
  }

  // One answer, or two by the two models, whose sides are drawn.
  answer(question) {
    const {settings} = this.chat;
    if (!this.compare) {
      this.write([addNode(this.chat, question.id, 'assistant', {model: settings.model})]);
      return;
    }
    const models = [settings.model, settings.other], pair = newId();
    if (crypto.getRandomValues(new Uint8Array(1))[0] % 2) models.reverse();
    this.write(models.map((model) => addNode(this.chat, question.id, 'assistant', {model, pair})));
  }

  async write(nodes) {
    const {chat} = this;
    for (const node of nodes) this.running.set(node, {chat, stop: new AbortController()});
    this.render();
    this.toEnd();
    this.hooks.save(chat);
    await Promise.all(nodes.map((node) => this.writeOne(chat, node)));
    if (chat === this.chat)
      byId('spoken').textContent = nodes.length > 1 ? 'Both answers are there.' : nodes[0].text.slice(0, 4000);
  }

  async writeOne(chat, node) {
    const {stop} = this.running.get(node);
    try {
      node.model ??= (await this.hooks.models())[0];
      node.parameters = parametersOf(chat.settings);
      await this.writeAndDraw(chat, node, bodyFor(chat, node), stop.signal);
    } catch (error) { node.error = error.message; }
    this.running.delete(node);
    touch(chat);
    this.hooks.save(chat);
    if (chat === this.chat) this.keepAtEnd(() => this.render());
  }

  async writeAndDraw(chat, node, body, signal) {
    let saved = performance.now(), chunks = 0, isOver = false;
    const draw = (count) => {
      if (chat === this.chat) this.keepAtEnd(() => this.views.get(node)?.update(count));
      if (performance.now() - saved < kSaveEach) return;
      saved = performance.now();
      this.hooks.save(chat);
    };
    const drawing = reveal({text: () => node.text, version: () => chunks, isOver: () => isOver, signal, draw});
    await writeAnswer(node, body, signal, () => ++chunks);
    isOver = true;
    await drawing;
  }

  keepAtEnd(change) {
    const talk = byId('talk'), was = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 80;
    change();
    if (was) this.toEnd();
  }

  toEnd() { byId('talk').scrollTop = byId('talk').scrollHeight; }

  regenerate(node) {
    const question = nodeOf(this.chat, node.parent);
    if (question && !this.isWriting()) this.answer(question);
  }

  // Another question makes another answer; another answer stands as people wrote it.
  edit(node, text) {
    if (this.isWriting()) return;
    const {attachments, model} = node;
    if (node.role === 'user')
      return this.answer(addNode(this.chat, node.parent, 'user', attachments ? {text, attachments} : {text}));
    addNode(this.chat, node.parent, 'assistant', {text, model, finish: 'stopped'});
    this.hooks.save(this.chat);
    this.render();
  }

  walk(node, step) {
    const all = branches(this.chat, node.parent), next = all[all.indexOf(node) + step];
    if (!next) return;
    choose(this.chat, next);
    this.hooks.save(this.chat);
    this.render();
    // The button that was pressed belongs to the branch that is gone: its like in the other one gets the focus.
    const buttons = [...this.views.get(next).element.querySelectorAll('.walk button:not(:disabled)')];
    (step < 0 ? buttons.at(0) : buttons.at(-1))?.focus();
  }

  copyChat(node) {
    this.open(copyUpTo(this.chat, node));
    this.hooks.save(this.chat);
    notice('This is a new chat that goes as far as there.');
  }

  goOn(node) {
    if (!this.isWriting()) this.write([node]);
  }

  // A branch that has another token at the i-th place, and goes on from there.
  takeToken(node, i, other) {
    if (this.isWriting()) return;
    const tokens = structuredClone(node.tokens),
          behind = tokens.slice(i).reduce((sum, token) => sum + (token.kind === 'text' ? token.text.length : 0), 0);
    const {token, logprob} = tokens[i], top = tokens[i].top;
    if (!top.some((each) => each.token === token)) top.push({token, logprob});
    this.write([addNode(this.chat, node.parent, 'assistant', {
      model: node.model,
      thought: node.thought,
      text: node.text.slice(0, node.text.length - behind) + other.token,
      tokens: [...tokens.slice(0, i), {...other, text: other.token, kind: 'text', top}],
    })]);
  }

  // The two answers at the end of the chat, if it ends with two.
  pairAtEnd() {
    const last = shownPath(this.chat).at(-1);
    return last?.pair ? branches(this.chat, last.parent).filter((node) => node.pair === last.pair) : [];
  }

  // Whether the answers of a pair are still without their names. One that failed is none to choose from.
  isBlind(pair) {
    if (!isPair(pair) || pair[0].vote) return false;
    return this.isWriting() || (pair.some((node) => node.text) && !pair.some((node) => node.error));
  }

  // `side`: 0 left, 1 right; null: neither is better.
  async vote(side) {
    const pair = this.pairAtEnd();
    if (!this.isBlind(pair) || this.isWriting()) return;
    pair.forEach((node, i) => {
      node.vote = side === null ? 'tie' : side === i ? 'better' : 'worse';
    });
    choose(this.chat, pair[side ?? 0]);
    this.hooks.save(this.chat);
    this.render();
    const names = `Left was ${pair[0].model}, right was ${pair[1].model}.`;
    if (side === null) return notice(names);
    const chosen = pair[side], rejected = pair[1 - side];
    try {
      await sendVote({
        prompt: messagesFor(this.chat, nodeOf(this.chat, chosen.parent)),
        chosen: chosen.text,
        rejected: rejected.text,
        model_chosen: chosen.model,
        model_rejected: rejected.model
      });
      notice(`${names} The server keeps your vote.`);
    } catch (error) { notice(`${names} Your vote is not kept: ${error.message}.`); }
  }

  viewOf(node) {
    if (!this.views.has(node)) this.views.set(node, new MessageView(node, this));
    return this.views.get(node);
  }

  showNode(node, blind) {
    const all = branches(this.chat, node.parent), view = this.viewOf(node);
    // Two that stand side by side are no branches to walk between.
    const branchesToWalk = this.pairAtEnd().includes(node) && isPair(all) ? 1 : all.length;
    view.show({
      writing: this.running.has(node),
      busy: this.isWriting(),
      blind,
      branch: all.indexOf(node),
      branches: branchesToWalk,
      probabilities: this.chat.settings.probabilities === true
    });
    return view.element;
  }

  render() {
    const path = shownPath(this.chat), pair = this.pairAtEnd(), blind = this.isBlind(pair);
    const single = isPair(pair) ? path.slice(0, -1) : path;
    const elements = single.map((node) => this.showNode(node));
    if (isPair(pair))
      elements.push(make(
          'div', {class: 'pair'},
          ...pair.map((node, i) => this.showNode(node, blind ? ['Left', 'Right'][i] : undefined))));
    byId('messages').replaceChildren(...elements);
    const writing = this.isWriting();
    byId('hello').hidden = path.length > 0;
    byId('votes').hidden = !blind || writing;
    byId('stop').hidden = !writing;
    byId('send').hidden = writing;
  }
}
