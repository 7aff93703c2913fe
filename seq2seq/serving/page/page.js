"use strict";

const PAUSE = 300; // ms without a key pressed, before the text is translated
const ALTERNATIVES = 3;
// What Python's str.split() divides words at, since the server counts words by it.
const SPACE = /([\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+)/;

const byId = (id) => document.getElementById(id);
const source = byId("source"), target = byId("target"), text = byId("text");
const translation = byId("translation");

let languages = []; // as /languages has them
let limit = Infinity; // characters of a text
let request = null; // the AbortController of the last one
let timer = 0;
let shown = { text: "", words: [], links: [], detected: null };
let current = -1; // the word of the translation that is looked at

// What is asked, and when

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `The server answered ${response.status}.`);
  return answer;
}

function translateSoon() {
  clearTimeout(timer);
  timer = setTimeout(translate, PAUSE);
}

async function translate() {
  clearTimeout(timer);
  request?.abort(); // an answer to what the text was before is not shown any more
  const q = text.value;
  if (!q.trim()) return show({ translatedText: "" });
  if (sizeOf(q) > limit) return refuse(sizeOf(q));
  const mine = request = new AbortController();
  translation.setAttribute("aria-busy", "true");
  try {
    const answer = await ask("translate", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        q,
        source: source.value,
        target: target.value,
        alternatives: ALTERNATIVES,
        alignment: true,
        confidence: true,
        notes: true,
        api_key: byId("key").value || undefined,
      }),
      signal: mine.signal,
    });
    if (mine === request) show(answer);
  } catch (error) {
    if (mine === request && error.name !== "AbortError") fail(error.message);
  }
}

// Files

async function translateFile(file) {
  if (!file || byId("choose").hidden) return;
  fail("");
  const note = byId("file-note");
  note.textContent = `Translating ${file.name} …`;
  const form = new FormData();
  form.append("source", source.value);
  form.append("target", target.value);
  if (byId("key").value) form.append("api_key", byId("key").value);
  form.append("file", file);
  try {
    const answer = await upload("translate_file", form, (share) => {
      byId("file-progress").hidden = false;
      if (share < 1) byId("file-progress").value = share;
      else byId("file-progress").removeAttribute("value"); // it is translated, for a time unknown
    });
    const link = document.createElement("a");
    const key = answer.translatedFileUrl.split("/").pop();
    link.href = `download_file/${key}`; // below the page, wherever a proxy has put it
    link.download = decodeURIComponent(key).replace(/^[^.]*\./, "");
    link.textContent = link.download;
    note.replaceChildren("Translated: ", link);
  } catch (error) {
    note.textContent = "";
    fail(error.message);
  } finally {
    byId("file-progress").hidden = true;
  }
}

// `fetch` does not tell how much of a request is sent.
function upload(path, form, onShare) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => onShare(loaded / total));
    request.addEventListener("error", () => reject(new Error("The server cannot be reached.")));
    request.addEventListener("load", () => {
      if (request.status === 200) resolve(request.response);
      else reject(new Error(request.response?.error || `The server answered ${request.status}.`));
    });
    request.send(form);
  });
}

// How a sentence was translated: asked for only when somebody opens it

let explanation = null; // the AbortController of the last one

function closeHow() {
  explanation?.abort();
  byId("how").open = false;
  byId("how").hidden = !shown.text.trim();
  byId("which").hidden = true;
  byId("steps").replaceChildren();
}

function frameOf(page) {
  const frame = document.createElement("iframe");
  frame.title = "The translation, step by step";
  frame.sandbox = "allow-scripts"; // it reaches nothing of this page
  frame.srcdoc = page;
  return frame;
}

async function explain(sentence) {
  explanation?.abort();
  const mine = explanation = new AbortController();
  byId("how-note").textContent = "Looking into the model …";
  try {
    const answer = await ask("explain", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        q: text.value,
        source: source.value,
        target: target.value,
        sentence,
        api_key: byId("key").value || undefined,
      }),
      signal: mine.signal,
    });
    byId("sentence").replaceChildren(...answer.sentences.map((part, index) =>
      new Option(part, index + 1)));
    byId("sentence").value = sentence;
    byId("which").hidden = answer.sentences.length < 2;
    byId("steps").replaceChildren(frameOf(answer.page));
    byId("how-note").textContent = "";
  } catch (error) {
    if (mine === explanation && error.name !== "AbortError") {
      byId("how-note").textContent = error.message;
    }
  }
}

// What is shown

function show(answer) {
  fail("");
  const parts = answer.translatedText.split(SPACE);
  const words = [];
  translation.replaceChildren(...parts.map((part, place) => {
    if (place % 2 || !part) return part;
    const span = document.createElement("span");
    span.className = "word";
    span.textContent = part;
    span.dataset.number = words.length;
    words.push(span);
    return span;
  }));
  translation.lang = target.value;
  shown = {
    text: answer.translatedText,
    words,
    links: answer.alignment ?? [],
    detected: answer.detectedLanguage ?? null,
  };
  lookAt(-1);
  showConfidence(answer.confidence ?? null);
  showNotes(answer.notes ?? []);
  showOthers(answer.alternatives ?? []);
  showDetected();
  byId("copy").hidden = !shown.text || !navigator.clipboard;
  closeHow();
}

function refuse(size) {
  show({ translatedText: "" });
  fail(`The text is longer than what is translated at once: ${withLimit(size)} characters.`);
}

function fail(message) {
  translation.removeAttribute("aria-busy");
  byId("error").textContent = message;
  byId("error").hidden = !message;
}

function showConfidence(value) {
  byId("sure").hidden = value === null;
  byId("meter").value = value ?? 0;
  byId("percent").textContent = `${Math.round(100 * (value ?? 0))}%`;
}

function showNotes(notes) {
  byId("notes").replaceChildren(...notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
}

function showOthers(others) {
  byId("others").hidden = !others.length;
  byId("alternatives").replaceChildren(...others.map((other) => {
    const item = document.createElement("li");
    item.lang = target.value;
    item.textContent = other;
    return item;
  }));
}

function showDetected() {
  const option = source.querySelector('option[value="auto"]');
  if (option) {
    const found = shown.detected;
    option.textContent = found ? `Auto: ${nameOf(found.language)}` : "Automatic";
  }
  text.lang = sourceLanguage() ?? "";
  byId("swap").disabled = !canSwap();
}

function showText(marked = new Set()) {
  const parts = text.value.split(SPACE);
  let word = -1;
  byId("mirror").replaceChildren(...parts.map((part, place) => {
    if (place % 2 || !part) return part;
    word += 1;
    if (!marked.has(word)) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  }), "\u200b"); // so that a line end at the end has its line
  const size = sizeOf(text.value);
  const isOver = size > limit;
  byId("count").textContent =
    size ? `${isOver ? withLimit(size) : size.toLocaleString()} characters` : "";
  byId("count").classList.toggle("over", isOver);
  byId("clear").hidden = !size;
  return parts.filter((part, place) => part && place % 2 === 0);
}

const sizeOf = (string) => [...string].length; // as the server counts: emoji are one
const withLimit = (size) => `${size.toLocaleString()} / ${limit.toLocaleString()}`;

// Words and what they come from

const bare = (word) => word.replace(/^\p{P}+(?=.)|(?<=.)\p{P}+$/gu, "");

function lookAt(number) {
  shown.words[current]?.classList.remove("shown");
  current = number in shown.words ? number : -1;
  const word = shown.words[current];
  const from = new Set(shown.links.filter(([, to]) => to === current).map(([place]) => place));
  const words = showText(from);
  const note = byId("word");
  note.replaceChildren();
  if (!word) return;
  word.classList.add("shown");
  const bold = document.createElement("b");
  bold.textContent = bare(word.textContent);
  const origin = [...from].sort((a, b) => a - b).map((place) => words[place]).join(" ");
  note.append(bold, origin ? " ← " : " comes from no word of the text", bare(origin));
}

// Languages

const sourceLanguage = () => source.value === "auto" ? shown.detected?.language : source.value;
const targetsOf = (code) => languages.find((one) => one.code === code)?.targets ?? [];
const nameOf = (code) => languages.find((one) => one.code === code)?.name
  ?? new Intl.DisplayNames(["en"], { type: "language" }).of(code);
const canSwap = () => targetsOf(target.value).includes(sourceLanguage());

function fill(select, codes, wanted) {
  select.replaceChildren(...codes.map((code) =>
    new Option(code === "auto" ? "Automatic" : nameOf(code), code)));
  select.value = codes.includes(wanted) ? wanted : codes[0];
}

function fillTargets(wanted = target.value) {
  const all = languages.flatMap((one) => one.targets);
  const codes = source.value === "auto" ? [...new Set(all)] : targetsOf(source.value);
  fill(target, codes, wanted);
  showDetected();
}

function swap() {
  const [from, to] = [sourceLanguage(), target.value];
  source.value = to;
  fillTargets(from);
  text.value = shown.text;
  textChanged();
  translate();
}

function textChanged() {
  shown.links = []; // they are those of another text
  lookAt(-1);
}

// Events

text.addEventListener("input", () => { textChanged(); translateSoon(); });
source.addEventListener("change", () => { shown.detected = null; fillTargets(); translate(); });
target.addEventListener("change", () => { showDetected(); translate(); });
byId("swap").addEventListener("click", swap);
byId("key").addEventListener("input", translateSoon);
byId("clear").addEventListener("click", () => {
  text.value = "";
  textChanged();
  translate();
  text.focus();
});
byId("copy").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  await navigator.clipboard.writeText(shown.text);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  translateFile(event.target.files[0]);
  event.target.value = ""; // so that the same file may be chosen again
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  const isFile = event.dataTransfer.types.includes("Files") && !byId("choose").hidden;
  document.body.classList.toggle("dropping", isFile);
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  translateFile(event.dataTransfer.files[0]);
});
byId("how").addEventListener("toggle", () => { if (byId("how").open) explain(1); });
byId("sentence").addEventListener("change", (event) => explain(Number(event.target.value)));
window.addEventListener("message", (event) => {
  const frame = byId("steps").querySelector("iframe");
  if (event.source !== frame?.contentWindow || !(event.data?.height > 0)) return;
  frame.style.height = `${event.data.height + 2}px`;
});
const wordOf = (event) => Number(event.target.dataset.number ?? -1);
translation.addEventListener("pointerover", (event) => lookAt(wordOf(event)));
translation.addEventListener("click", (event) => lookAt(wordOf(event)));
translation.addEventListener("pointerleave", (event) => {
  if (event.pointerType === "mouse") lookAt(-1);
});
translation.addEventListener("focus", () => { if (current < 0) lookAt(0); });
translation.addEventListener("blur", () => lookAt(-1));
translation.addEventListener("keydown", (event) => {
  const last = shown.words.length - 1;
  const next = {
    ArrowRight: Math.min(current + 1, last),
    ArrowLeft: Math.max(current - 1, 0),
    Home: 0,
    End: last,
  }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  lookAt(next);
});

async function start() {
  try {
    const [known, settings] = await Promise.all([ask("languages"), ask("frontend/settings")]);
    languages = known;
    const first = settings.language.source.code;
    const codes = known.filter((one) => one.targets.length).map((one) => one.code);
    fill(source, first === "auto" ? ["auto", ...codes] : codes, first);
    fillTargets(settings.language.target.code);
    limit = settings.charLimit;
    byId("choose").hidden = !settings.filesTranslation;
    byId("file").accept = settings.supportedFilesFormat.join();
    byId("key-field").hidden = !settings.keyRequired;
    showText();
    if (text.value) translate(); // what a browser has kept over a reload
  } catch (error) {
    fail(error.message);
  }
}

start();
