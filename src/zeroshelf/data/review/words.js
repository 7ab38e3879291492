// Small things that every module needs: elements, numbers, and names made safe to show.

export const $ = (id) => document.getElementById(id);
const english = new Intl.NumberFormat("en");
export const number = (n) => english.format(n);
export const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
export const percent = (p) => (p > 0 && p < 0.01 ? "< 1 %" : p < 1 && p > 0.99 ? "> 99 %" : `${Math.round(100 * p)} %`);
export const bytes = (size) => (size < 1e6 ? `${Math.max(1, Math.round(size / 1e3))} kB` : size < 1e9 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(1)} GB`);
// An absolute path as Windows writes it has a drive or a share first; elsewhere "\\" is part of a name.
export const slashes = (path) => (path.startsWith("/") ? path : path.replaceAll("\\", "/"));
export const baseName = (path) => path.slice(path.lastIndexOf("/") + 1);

/** A text without characters that hide, break or turn the line around: names are not trusted. */
export const visible = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (c) => {
  const code = c.codePointAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + (code - 0xdc00).toString(16);
  if (code === 0x200d || code === 0x200c) return c;  // they join the parts of an emoji or a letter
  return code < 32 ? String.fromCharCode(0x2400 + code) : "\ufffd";
});

/** An element; texts become text nodes, never HTML. */
export function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

export function button(name, ...children) {
  const element = make("button", name, ...children);
  element.type = "button";
  return element;
}
