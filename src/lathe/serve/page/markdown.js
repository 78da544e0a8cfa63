// Markdown to elements. No text is lost: the marks of Markdown stay in the element, hidden, so that its textContent is the
// source but for blanks. No HTML is ever read: a tag in the source is text as any other.
import {code} from './code.js';
import {make} from './dom.js';
import {addInline, mark} from './inline.js';

const kFence = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const kHeading = /^( {0,3})(#{1,6})(\s+.*|)$/;
const kRule = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const kQuote = /^( {0,3}> ?)+/;
const kItem = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;
const kTableLine = /^ *\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)?$/;
const kDeepest = 8;

const isBlank = (line) => /^\s*$/.test(line);
const beginsTable = (lines, i) => lines[i].includes('|') && i + 1 < lines.length && kTableLine.test(lines[i + 1]);

function kindAt(lines, i) {
  const line = lines[i];
  if (isBlank(line)) return 'blank';
  if (kFence.test(line)) return 'code';
  if (kHeading.test(line)) return 'heading';
  if (kRule.test(line)) return 'rule';
  if (kQuote.test(line)) return 'quote';
  if (kItem.test(line)) return 'list';
  if (beginsTable(lines, i)) return 'table';
  return 'paragraph';
}

function endOfCode(lines, i) {
  const fence = kFence.exec(lines[i])[1], closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}\\s*$`);
  for (let at = i + 1; at < lines.length; ++at)
    if (closing.test(lines[at])) return at + 1;
  return lines.length;
}

// A list goes on behind a blank line where the next line is indented or another item.
function endOfList(lines, i) {
  let at = i + 1;
  for (; at < lines.length; ++at) {
    const kind = kindAt(lines, at), indented = /^\s{2,}\S/.test(lines[at]);
    if (kind === 'blank') {
      if (at + 1 < lines.length && (kItem.test(lines[at + 1]) || /^\s{2,}\S/.test(lines[at + 1]))) continue;
      return at;
    }
    if (!indented && kind !== 'list' && kind !== 'paragraph') return at;
    if (kind === 'code') at = endOfCode(lines, at) - 1;
  }
  return at;
}

function endOf(kind, lines, i) {
  if (kind === 'code') return endOfCode(lines, i);
  if (kind === 'heading' || kind === 'rule') return i + 1;
  if (kind === 'list') return endOfList(lines, i);
  let at = kind === 'table' ? i + 2 : i + 1;
  while (at < lines.length &&
         (kind === 'table' ? lines[at].includes('|') && !isBlank(lines[at]) : kindAt(lines, at) === kind))
    ++at;
  return at;
}

function blocksOf(lines) {
  const blocks = [];
  for (let i = 0; i < lines.length;) {
    const kind = kindAt(lines, i);
    const end = kind === 'blank' ? i + 1 : endOf(kind, lines, i);
    if (kind !== 'blank') blocks.push({kind, lines: lines.slice(i, end)});
    i = end;
  }
  return blocks;
}

function withInline(element, text) {
  addInline(element, text);
  return element;
}

function heading(lines) {
  const [, , hashes, text] = kHeading.exec(lines[0]);
  return withInline(make(`h${Math.min(hashes.length + 2, 6)}`, {}, mark(hashes)), text.trim());
}

function quote(lines) {
  const element = make('blockquote');
  lines.forEach((line, i) => {
    const [marks] = kQuote.exec(line);
    element.append(mark(marks));
    addInline(element, line.slice(marks.length) + (i + 1 < lines.length ? '\n' : ''));
  });
  return element;
}

// Items are at the indentation of the first one; what is deeper belongs to the item above it.
function list(lines, depth) {
  const first = kItem.exec(lines[0]), ordered = /\d/.test(first[2]);
  const element =
      make(ordered ? 'ol' : 'ul', {start: ordered && first[2] !== '1.' ? String(parseInt(first[2])) : undefined});
  for (let i = 0; i < lines.length;) {
    const [all, indent, sign] = kItem.exec(lines[i]);
    let end = i + 1;
    while (end < lines.length && !(kItem.exec(lines[end])?.[1].length < indent.length + 2)) ++end;
    const inner = [
      lines[i].slice(all.length),
      ...lines.slice(i + 1, end).map((line) => line.replace(new RegExp(`^ {0,${all.length}}`), ''))
    ];
    element.append(item(sign, inner, depth));
    i = end;
  }
  return element;
}

function item(sign, lines, depth) {
  const element = make('li', {}, mark(sign));
  const task = /^\[([ xX])\] /.exec(lines[0]);
  if (task) {
    element.classList.add('task');
    element.append(
        mark(task[0]),
        make('input', {type: 'checkbox', disabled: true, checked: task[1] !== ' ', 'aria-label': 'Task'}));
    lines = [lines[0].slice(task[0].length), ...lines.slice(1)];
  }
  for (const block of blocksOf(lines)) element.append(elementOf(block, depth + 1));
  return element;
}

// The cells of a line, each with the text of the bars before it.
function cellsOf(line) {
  const cells = [], parts = line.trim().split(/(?<!\\)(\|)/);
  let bar = '';
  parts.forEach((part, i) => {
    if (part === '|')
      bar += part;
    else if (!(isBlank(part) && (i === 0 || i === parts.length - 1)))
      cells.push({bar, text: part.trim()}), bar = '';
  });
  return {cells, end: bar};
}

function tableRow(line, tag, columns, sides) {
  const {cells, end} = cellsOf(line), row = make('tr');
  // Cells beyond the last column stay in it, with their bars.
  const extra = cells.splice(columns).map((cell) => cell.bar + cell.text).join('');
  for (let i = 0; i < columns; ++i) {
    const cell = make(tag, {class: sides[i]}, cells[i] && mark(cells[i].bar));
    if (cells[i]) addInline(cell, cells[i].text);
    row.append(cell);
  }
  row.lastChild.append(extra, mark(end));
  return row;
}

function table(lines) {
  const signs = cellsOf(lines[1]).cells.map((cell) => cell.text);
  const sides = signs.map((sign) => sign.endsWith(':') ? (sign.startsWith(':') ? 'middle' : 'right') : undefined);
  const columns = Math.max(cellsOf(lines[0]).cells.length, 1);
  const head = tableRow(lines[0], 'th', columns, sides);
  head.lastChild.append(mark(lines[1]));
  const body = lines.slice(2).map((line) => tableRow(line, 'td', columns, sides));
  return make('div', {class: 'scrolls'}, make('table', {}, make('thead', {}, head), make('tbody', {}, ...body)));
}

function elementOf({kind, lines}, depth) {
  if (depth < kDeepest) {
    if (kind === 'code') return code(lines);
    if (kind === 'heading') return heading(lines);
    if (kind === 'rule') return make('div', {class: 'rule', role: 'separator'}, mark(lines[0]));
    if (kind === 'quote') return quote(lines);
    if (kind === 'list') return list(lines, depth);
    if (kind === 'table') return table(lines);
  }
  return withInline(make('p'), lines.join('\n'));
}

const shown = new WeakMap();  // the sources of a container's children

// Shows the source in the container. Blocks that are as they were stay: of a text that grows only the end is made anew.
export function showMarkdown(container, source) {
  const before = shown.get(container) ?? [], blocks = blocksOf(source.split('\n'));
  const sources = blocks.map((block) => block.lines.join('\n'));
  if (!before.length) container.replaceChildren();
  let same = 0;
  while (same < before.length && same < sources.length && before[same] === sources[same]) ++same;
  while (container.childNodes.length > same) container.lastChild.remove();
  container.append(...blocks.slice(same).map((block) => elementOf(block, 0)));
  shown.set(container, sources);
}

// Before something else is shown in it.
export function forgetMarkdown(container) { shown.delete(container); }
