// Small helpers: elements of the page, and answers of the server.

export const $ = (id) => document.getElementById(id);

export function make(tag, className = "", parent = null, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  if (className) element.className = className;
  parent?.append(element);
  return element;
}

export async function getJSON(path) {
  const response = await fetch(path);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `the server answered ${response.status}`);
  return answer;
}

// Names and values, one a line.
export function factList(facts) {
  const list = make("dl");
  for (const [name, value] of Object.entries(facts)) {
    const row = make("div", "", list);
    make("dt", "", row, { textContent: name });
    make("dd", "", row, { textContent: value });
  }
  return list;
}

export function problem(text) {
  $("status").textContent = text;
}
