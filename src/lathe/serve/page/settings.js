// What a request asks for beside the messages, and the panel in which people set it.
import {byId, iconButton, make, notice} from './dom.js';

const kLast = 'lathe-settings', kPresets = 'lathe-presets';

// Numbers of a request. An empty field leaves the choice to the model's own defaults.
const kNumbers = [
  {
    key: 'temperature',
    testid: 'temperature',
    name: 'Temperature',
    tip: '0 always takes the likeliest token',
    min: 0,
    max: 2
  },
  {key: 'max_tokens', testid: 'max-tokens', name: 'Longest answer', tip: 'in tokens', min: 1, whole: true},
  {key: 'seed', testid: 'seed', name: 'Seed', tip: 'the same seed gives the same answer', min: 0, whole: true},
];
const kMoreNumbers = [
  {key: 'top_p', name: 'Top p', tip: 'the likeliest tokens that have this share together', min: 0, max: 1},
  {key: 'top_k', name: 'Top k', tip: 'so many of the likeliest tokens', min: 0, whole: true},
  {key: 'min_p', name: 'Min p', tip: 'tokens with this share of the likeliest', min: 0, max: 1},
  {key: 'repetition_penalty', name: 'Repetition penalty', tip: '1 changes nothing', min: 0.01, max: 10},
  {key: 'frequency_penalty', name: 'Frequency penalty', tip: '0 changes nothing', min: -2, max: 2},
  {key: 'presence_penalty', name: 'Presence penalty', tip: '0 changes nothing', min: -2, max: 2},
];

const kOwnPresets = {
  'Model’s defaults': {parameters: {}},
  Exact: {parameters: {temperature: 0}},
  Balanced: {parameters: {temperature: 0.7, top_p: 0.95}},
  Inventive: {parameters: {temperature: 1.1, min_p: 0.05}},
};

const stored = (key) => {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch { return {}; }
};

export const lastSettings = () => ({system: '', parameters: {}, stop: '', extra: '', ...stored(kLast)});
const presets = () => ({...kOwnPresets, ...stored(kPresets)});

function extraOf(text) {
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new Error(
      'The other keys of the request are no JSON object; correct them in the settings, such as {"top_k": 20}.');
}

// The keys of a request. Throws where what people wrote as JSON is none.
export function parametersOf(settings) {
  const all = {...settings.parameters};
  const stops = (settings.stop ?? '').split('\n').filter(Boolean).map((line) => line.replaceAll('\\n', '\n'));
  if (stops.length) all.stop = stops;
  if (settings.probabilities) Object.assign(all, {logprobs: true, top_logprobs: 5});
  if (settings.extra?.trim()) Object.assign(all, extraOf(settings.extra));
  return all;
}

function isRight(field, {min = -Infinity, max = Infinity, whole}) {
  if (field.validity.badInput) return false;
  const value = Number(field.value);
  return field.value === '' || (value >= min && value <= max && (!whole || Number.isInteger(value)));
}

export class SettingsPanel {
  // changed() is called when people change something in get(), the settings of the chat that is shown.
  constructor(get, changed) {
    this.get = get;
    this.changed = () => {
      localStorage.setItem(kLast, JSON.stringify(get()));
      changed();
    };
    this.updates = [];  // each shows the settings in one field
    byId('panel').append(
        make(
            'div', {class: 'row head'}, make('h2', {}, 'Settings'),
            iconButton(
                'close', 'Close the settings',
                () => {
                  this.toggle(false);
                  byId('settings').focus();
                })),
        this.presetRow(),
        this.text('system', 'System prompt', 'Who the model is, and how it should answer', 5, 'system'),
        ...kNumbers.map((spec) => this.number(spec)),
        this.check('probabilities', 'Show probabilities', 'of each token, and of others in its place', 'show-logprobs'),
        make(
            'details', {}, make('summary', {}, 'More'), ...kMoreNumbers.map((spec) => this.number(spec)),
            this.text('stop', 'Stop texts', 'one a line; \\n is the end of a line', 2),
            this.text('extra', 'Other keys of the request', 'JSON, such as {"regex": "yes|no"} or {"tools": […]}', 3)));
    byId('settings').addEventListener('click', () => this.toggle());
    this.show();
  }

  show() {
    for (const update of this.updates) update();
  }

  toggle(open = byId('panel').hidden) {
    byId('panel').hidden = !open;
    byId('settings').setAttribute('aria-expanded', String(open));
  }

  field(name, tip, element) {
    element.id ||= `field-${name.toLowerCase().replaceAll(' ', '-')}`;
    return make('div', {class: 'field'}, make('label', {for: element.id
                }, name), element, make('small', {}, tip));
  }

  number(spec) {
    const element = make('input', {
      type: 'number',
      step: 'any',
      min: String(spec.min ?? ''),
      max: String(spec.max ?? ''),
      placeholder: 'default',
      'data-testid': spec.testid
    });
    element.addEventListener('input', () => {
      const right = isRight(element, spec), {parameters} = this.get();
      element.setAttribute('aria-invalid', String(!right));
      if (right && element.value !== '')
        parameters[spec.key] = Number(element.value);
      else
        delete parameters[spec.key];
      this.changed();
    });
    this.updates.push(() => {
      element.value = this.get().parameters[spec.key] ?? '';
      element.removeAttribute('aria-invalid');
    });
    return this.field(spec.name, spec.tip, element);
  }

  text(key, name, tip, rows, testid) {
    const element = make('textarea', {rows: String(rows), 'data-testid': testid, spellcheck: 'false'});
    element.addEventListener('input', () => {
      this.get()[key] = element.value;
      this.changed();
    });
    this.updates.push(() => {
      element.value = this.get()[key] ?? '';
    });
    return this.field(name, tip, element);
  }

  check(key, name, tip, testid) {
    const element = make('input', {type: 'checkbox', 'data-testid': testid, id: `field-${key}`});
    element.addEventListener('change', () => {
      this.get()[key] = element.checked;
      this.changed();
    });
    this.updates.push(() => {
      element.checked = this.get()[key] === true;
    });
    return make('div', {class: 'field check'}, element, make('label', {for: element.id
                }, name), make('small', {}, tip));
  }

  presetRow() {
    const list = make('select', {id: 'presets'}),
          name = make('input', {placeholder: 'Name', 'aria-label': 'Name of a new preset', maxlength: '60'});
    const fill = (chosen = '') => {
      list.replaceChildren(
          make('option', {value: ''}, 'Choose …'),
          ...Object.keys(presets()).map((each) => make('option', {value: each}, each)));
      list.value = chosen;
    };
    list.addEventListener('change', () => {
      if (presets()[list.value]) this.use(presets()[list.value]);
    });
    const keep = () => {
      const {system, parameters, stop, extra} = this.get();
      if (!name.value.trim()) return name.focus();
      localStorage.setItem(
          kPresets, JSON.stringify({...stored(kPresets), [name.value.trim()]: {system, parameters, stop, extra}}));
      fill(name.value.trim());
      name.value = '';
    };
    const drop = () => {
      const {[list.value]: gone, ...rest} = stored(kPresets);
      if (!gone) return notice('Choose a preset of your own to delete it.');
      localStorage.setItem(kPresets, JSON.stringify(rest));
      fill();
    };
    fill();
    return make(
        'div', {class: 'field'},
        make(
            'label',
            {for: 'presets'
            },
            'Preset'),
        make('div', {class: 'row'}, list, iconButton('close', 'Delete this preset', drop)),
        make('div', {class: 'row'}, name, make('button', {on: {click: keep}}, 'Save')));
  }

  // Presets that say nothing of a setting leave it as it is.
  use(preset) {
    Object.assign(this.get(), structuredClone(preset));
    this.show();
    this.changed();
  }
}
