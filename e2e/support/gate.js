// A promise that is kept from outside.

/** `opened` is kept when somebody calls `open`. */
export function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { opened, open };
}
