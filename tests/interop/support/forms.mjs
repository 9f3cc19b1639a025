// Reads the forms of a server-rendered page, as far as a browser without JavaScript needs them.
// Enough for pages that we write ourselves; no general HTML parser.

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The form that holds the element with this id, or undefined. */
export function formWith(html, id) {
  return formsOf(html).find((form) => form.controls.some((control) => control.id === id));
}

/** Does an element with this id exist? */
export function hasElement(html, id) {
  return [...html.matchAll(/<[a-z][^>]*>/gi)].some(([tag]) => attributesOf(tag).id === id);
}

/** What a browser would submit when the button `buttonId` is pressed after `typed` (by element id) was filled in. */
export function submission(form, buttonId, typed) {
  const button = form.controls.find((control) => control.id === buttonId);
  const fields = new URLSearchParams();
  for (const control of form.controls) {
    if (control.name === undefined || 'disabled' in control) continue;
    if (control.id in typed) fields.append(control.name, typed[control.id]);
    else if (control === button || isSuccessful(control)) fields.append(control.name, control.value ?? '');
  }
  return {
    action: button.formaction ?? form.action ?? '',
    method: (button.formmethod ?? form.method ?? 'get').toUpperCase(),
    fields,
  };
}

function formsOf(html) {
  return [...html.matchAll(/(<form\b[^>]*>)(.*?)<\/form>/gis)].map(([, tag, content]) => ({
    ...attributesOf(tag),
    controls: [...content.matchAll(/<(input|button)\b[^>]*>/gi)].map(([control, kind]) => ({
      type: kind.toLowerCase() === 'button' ? 'submit' : 'text',
      ...attributesOf(control),
    })),
  }));
}

/** Buttons count only when pressed, boxes only when ticked. */
function isSuccessful(control) {
  const type = control.type.toLowerCase();
  if (type === 'checkbox' || type === 'radio') return 'checked' in control;
  return !['submit', 'button', 'reset', 'image'].includes(type);
}

function attributesOf(tag) {
  const pattern = /\s([a-z][\w:-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi;
  const pairs = [...tag.matchAll(pattern)].map(([, name, double, single, bare]) => [
    name.toLowerCase(),
    decode(double ?? single ?? bare ?? ''),
  ]);
  return Object.fromEntries(pairs);
}

function decode(text) {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name.toLowerCase()] ?? whole;
  });
}
