// Elements. Everything that comes from a server becomes text, never markup.

/** An element with properties (`on…` are listeners, names with `-` attributes) and children: elements, texts, or nothing. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Sets an element's text when it is another one, so that what is selected or read out stays. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A list whose elements stay with their items: `create(item)` gives `{ element, update(item) }`, once for each key. Calling it with other
 * items updates, moves and removes.
 */
export function list(parent, keyOf, create) {
  let known = new Map();
  return (items) => {
    const next = new Map();
    let place = parent.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      const row = known.get(key) ?? create(item);
      row.update(item);
      next.set(key, row);
      if (row.element === place) place = place.nextElementSibling;
      else parent.insertBefore(row.element, place);
    }
    for (const [key, row] of known) if (!next.has(key)) row.element.remove();
    known = next;
  };
}
