// What stands inside a line of Markdown: code, emphasis, links.
import {make} from './dom.js';

const kLongest = 20000, kDeepest = 6;  // bounds on what a text of a model can make the browser do

// Each is tried where its first letter stands; the parts between `marks` are read again.
const kForms = [
  {letter: '`', form: /(`+)([^`]|[^`][\s\S]{0,4000}?[^`])\1(?!`)/y, make: codeSpan},
  {letter: '*', form: /(\*\*)(?=\S)([\s\S]{0,4000}?[^\s*])\*\*(?!\*)/y, make: emphasis('strong')},
  {letter: '*', form: /(\*)(?=[^\s*])([\s\S]{0,4000}?[^\s*])\*(?!\*)/y, make: emphasis('em')},
  {
    letter: '_',
    form: /(?<![\p{L}\p{N}_])(__)(?=\S)([\s\S]{0,4000}?[^\s_])__(?![\p{L}\p{N}_])/uy,
    make: emphasis('strong')
  },
  {
    letter: '_',
    form: /(?<![\p{L}\p{N}_])(_)(?=[^\s_])([\s\S]{0,4000}?[^\s_])_(?![\p{L}\p{N}_])/uy,
    make: emphasis('em')
  },
  {letter: '~', form: /(~~)(?=\S)([\s\S]{0,4000}?[^\s~])~~(?!~)/y, make: emphasis('del')},
  {letter: '!', form: /(!\[)([^\[\]]{0,1000})(\]\(\s*<?([^\s()<>]{1,2000})>?(?:\s+"[^"]{0,500}")?\s*\))/y, make: link},
  {
    letter: '[',
    form: /(\[)([^\[\]]{1,1000})(\]\(\s*<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,500}\))?)>?(?:\s+"[^"]{0,500}")?\s*\))/y,
    make: link
  },
  {letter: 'h', form: /(?<![\p{L}\p{N}])https?:\/\/[^\s<>"'`|\\]{1,2000}[^\s<>"'`|\\.,;:!?)*_~\]]/uy, make: bareLink},
  {letter: '\\', form: /(\\)([!-\/:-@\[-`{-~])/y, make: escaped},
];
const kSpecial = /[`*_~!\[\\]|https?:/g;

// A mark of Markdown: in the text, but not to be seen.
export const mark = (text) => make('span', {class: 'mark'}, text);

function codeSpan(match) { return [mark(match[1]), make('code', {}, match[2]), mark(match[1])]; }

function emphasis(tag) {
  return (match, depth) => {
    const element = make(tag);
    addInline(element, match[2], depth + 1);
    return [mark(match[1]), element, mark(match[1])];
  };
}

function isSafe(address) {
  try {
    return ['http:', 'https:', 'mailto:'].includes(new URL(address).protocol);
  } catch {
    return false;  // relative: it would lead into this server
  }
}

const linkTo = (address, ...children) =>
    make('a', {href: address, target: '_blank', rel: 'noopener noreferrer nofollow'}, ...children);

// Pictures are links, too: loading one would tell its server who reads.
function link(match, depth) {
  const [all, before, text, behind, address] = match;
  if (!isSafe(address)) return [all];
  const element = linkTo(address);
  element.title = address;
  addInline(element, text || address, depth + 1);
  return text ? [mark(before), element, mark(behind)] : [mark(all), element];
}

function bareLink(match) { return [isSafe(match[0]) ? linkTo(match[0], match[0]) : match[0]]; }

function escaped(match) { return [mark(match[1]), match[2]]; }

function madeAt(text, at, depth) {
  for (const {letter, form, make: makeIt} of kForms) {
    if (text[at] !== letter) continue;
    form.lastIndex = at;
    const match = form.exec(text);
    if (match) return {nodes: makeIt(match, depth), end: at + match[0].length};
  }
  return null;
}

export function addInline(element, text, depth = 0) {
  if (depth > kDeepest || text.length > kLongest) return element.append(text);
  let done = 0;
  kSpecial.lastIndex = 0;
  const places = Array.from(text.matchAll(kSpecial), (match) => match.index);
  for (const place of places) {
    if (place < done) continue;
    const made = madeAt(text, place, depth);
    if (!made) continue;
    element.append(text.slice(done, place), ...made.nodes);
    done = made.end;
  }
  element.append(text.slice(done));
}
