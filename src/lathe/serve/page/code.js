// Blocks of code, with colours that need no knowledge of the language beyond its words.
import {copyText, icon, make} from './dom.js';
import {mark} from './inline.js';

const kWords = new Set(`
  abstract and as assert async auto await bool break case catch char class const continue def default
  del delete do double elif else enum except export extends false final finally float fn for from func
  function go goto if impl import in include inline int interface is lambda let long loop match mod
  mut namespace new nil None not null nullptr or package pass private protected pub public raise
  return select self short signed sizeof static string struct super switch template then this throw
  trait true True False try type typedef typename union unsafe unsigned use using var virtual void
  while with yield SELECT FROM WHERE JOIN GROUP ORDER BY INSERT UPDATE CREATE TABLE
`.trim().split(/\s+/));
const kComment = /\/\*[\s\S]*?(?:\*\/|$)|\/\/[^\n]*|(?<![^\s])#[^\n]*|--[ \t][^\n]*/;
const kString = /"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\.|[^`\\])*`?/;
const kNumber = /\b\d[\w.]*/, kWord = /[A-Za-z_]\w*/;
const kPieces = new RegExp([kComment, kString, kNumber, kWord].map((form) => `(${form.source})`).join('|'), 'g');
const kPlain = new Set(['text', 'txt', 'plain', 'markdown', 'md', 'output', 'console']);
const kLongest = 30000;

function colourOf([, comment, string, number, word]) {
  if (comment) return 'comment';
  if (string) return 'string';
  if (number) return 'number';
  return kWords.has(word) ? 'word' : null;
}

function coloured(text) {
  const element = make('code');
  let done = 0;
  for (const match of text.matchAll(kPieces)) {
    const colour = colourOf(match);
    if (!colour) continue;
    element.append(text.slice(done, match.index), make('span', {class: colour}, match[0]));
    done = match.index + match[0].length;
  }
  element.append(text.slice(done));
  return element;
}

async function copy(button, text) {
  if (!await copyText(text)) return;
  button.classList.add('done');
  setTimeout(() => button.classList.remove('done'), 1200);
}

// `lines` begin with the fence; the last one is the closing fence unless the text ends before it.
export function code(lines) {
  const fence = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(lines[0]);
  const closed = lines.length > 1 && new RegExp(`^ {0,3}${fence[1][0]}{${fence[1].length},}\\s*$`).test(lines.at(-1));
  const text = lines.slice(1, closed ? -1 : undefined).join('\n'), language = fence[2].trim().split(/\s/)[0];
  const body = language && !kPlain.has(language) && text.length < kLongest ? coloured(text) : make('code', {}, text);
  const button =
      make('button', {class: 'plain small copy', 'aria-label': 'Copy this code', title: 'Copy'}, icon('copy'));
  button.addEventListener('click', () => copy(button, text));
  return make(
      'div', {class: 'code', data: {language: language || 'text'}}, mark(lines[0]), button,
      make('pre', {tabindex: '0'}, body), closed ? mark(lines.at(-1)) : null);
}
