// Elements without HTML: text of models and people only ever becomes text nodes.

export const byId = (id) => document.getElementById(id);

// make('button', {class: 'plain', on: {click: f}}, 'Text', child): attributes as in HTML, `on` for listeners, `data` for data-*.
// An attribute that is true is there without a value; one that is false or undefined is left out.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on')
      for (const [event, f] of Object.entries(value)) element.addEventListener(event, f);
    else if (name === 'data')
      Object.assign(element.dataset, value);
    else if (value === true)
      element.setAttribute(name, '');
    else if (value !== false && value !== undefined)
      element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const kPaths = {
  menu: 'M4 6h16M4 12h16M4 18h16',
  compare: 'M4 5h7v14H4zM13 5h7v14h-7z',
  theme: 'M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5z',
  settings: 'M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4M9 15v4',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  attach:
      'M19 11l-7.5 7.5a4.5 4.5 0 0 1-6.4-6.400L13 4.300a3 3 0 0 1 4.3 4.300l-7.8 7.700a1.5 1.5 0 0 1-2.1-2.100L14 7.6',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  edit: 'M4 20h4L19 9l-4-4L4 16z',
  again: 'M20 5v5h-5M20 10a8 8 0 1 0 0 5',
  branch: 'M7 4v16M7 14c7 0 10-2 10-7M14 9l3-3 3 3',
  back: 'M14 6l-6 6 6 6',
  forth: 'M10 6l6 6-6 6',
  close: 'M6 6l12 12M18 6L6 18',
  go: 'M5 12h14M13 6l6 6-6 6',
};

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', kPaths[name]);
  svg.append(path);
  return svg;
}

// A button that shows an icon alone; its name is for screen readers, and in its tip.
export function iconButton(name, label, click, attributes = {}) {
  return make(
      'button', {class: 'plain small', 'aria-label': label, title: label, on: {click}, ...attributes}, icon(name));
}

// A line that goes away by itself, with something that can be done about it.
export function notice(text, action) {
  const line = make('div', {class: 'notice'}, text);
  if (action)
    line.append(make(
        'button', {
          class: 'plain',
          on: {
            click: () => {
              line.remove();
              action.run();
            }
          }
        },
        action.name));
  byId('notices').append(line);
  setTimeout(() => line.remove(), action ? 9000 : 6000);
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    notice('The browser lets a page copy only over https or from this machine; mark the text and copy it yourself.');
    return false;
  }
}

// Runs f at most once between two pictures of the screen, however often it is asked.
export function oncePerFrame(f) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      f();
    });
  };
}
