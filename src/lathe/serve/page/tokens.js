// An answer as its tokens: how likely each was, and what else could have stood there.
import {byId, make} from './dom.js';

const percent = (logprob) => {
  const share = Math.exp(logprob) * 100;
  return share >= 10 ? `${Math.round(share)} %` : share >= 0.1 ? `${share.toFixed(1)} %` : `${share.toPrecision(1)} %`;
};
// Five steps from certain to unlikely, as classes of the style.
const stepOf = (logprob) => [0.9, 0.5, 0.2, 0.05].findIndex((limit) => Math.exp(logprob) >= limit);
const visible = (token) => token.replaceAll(' ', '␣').replaceAll('\n', '⏎').replaceAll('\t', '⇥') || '(end)';

let pinned = null;  // the token whose card stays until it is closed

export function closeCard() {
  const card = byId('token-card'), had = pinned;
  card.hidden = true;
  pinned?.classList.remove('pinned');
  pinned = null;
  return had;
}

function rowOf(other, isChosen, choose) {
  const cannot = isChosen || other.token === '' || other.token.includes('\uFFFD');
  const row = make(
      'button', {
        class: isChosen ? 'chosen' : '',
        disabled: cannot,
        title: isChosen ? 'This one was chosen' : 'Go on from here with this one',
        on: {
          click: () => {
            closeCard();
            choose(other);
          }
        }
      },
      make('code', {}, visible(other.token)),
      make('meter', {min: '0', max: '1', value: String(Math.exp(other.logprob))}),
      make('span', {}, percent(other.logprob)));
  return make('li', {}, row);
}

function showCard(span, token, choose) {
  const card = byId('token-card');
  const others = token.top.some((other) => other.token === token.token) ? token.top : [token, ...token.top];
  const hint = others.length > 1 ? 'Click a token, then another one, to go on from there.' : '';
  card.replaceChildren(
      make('p', {}, make('code', {}, visible(token.token)), ` ${percent(token.logprob)}`),
      make('ul', {}, ...others.map((other) => rowOf(other, other.token === token.token, choose))),
      make('small', {}, hint));
  card.hidden = false;
  const at = span.getClientRects()[0] ?? span.getBoundingClientRect(), size = card.getBoundingClientRect();
  const below = at.bottom + size.height + 12 < innerHeight;
  card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`;
  card.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - size.height - 6)}px`;
}

function pin(span, token, choose) {
  closeCard();
  showCard(span, token, choose);
  pinned = span;
  span.classList.add('pinned');
  byId('token-card').classList.add('pinned');
  byId('token-card').querySelector('button:not(:disabled)')?.focus();
}

function spanOf(token, choose) {
  const step = stepOf(token.logprob);
  const span = make(
      'span', {class: `token p${step < 0 ? 4 : step}`, tabindex: '-1', data: {logprob: String(token.logprob)}},
      token.text);
  if (token.text === '') span.dataset.token = visible(token.token);
  span.addEventListener('pointerenter', () => {
    if (pinned) return;
    byId('token-card').classList.remove('pinned');
    showCard(span, token, choose);
  });
  span.addEventListener('pointerleave', () => {
    if (!pinned) closeCard();
  });
  span.addEventListener('click', () => pin(span, token, choose));
  span.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') {
      event.preventDefault();
      pin(span, token, choose);
    }
    const next = {ArrowRight: 'nextElementSibling', ArrowLeft: 'previousElementSibling'}[event.key];
    if (next && span[next]) {
      event.preventDefault();
      span[next].focus();
    }
  });
  return span;
}

// Shows the text of `node` as tokens; what no token is known of stands before them. A text that grows gets spans behind
// those that are there. choose(i, other) is called for another token in place of the i-th of node.tokens.
export function showTokens(container, node, choose) {
  const own =
      node.tokens.map((token, i) => ({token, i})).filter(({token}) => token.kind === 'text' && token.token !== '');
  let spans = container.querySelectorAll(':scope > .token').length;
  if (spans === 0 || spans > own.length) {
    const known = node.tokens.reduce((sum, token) => sum + (token.kind === 'text' ? token.text.length : 0), 0);
    container.replaceChildren(node.text.slice(0, Math.max(0, node.text.length - known)));
    spans = 0;
  }
  container.append(...own.slice(spans).map(({token, i}) => spanOf(token, (other) => choose(i, other))));
  container.querySelector('.token')?.setAttribute('tabindex', '0');
}
