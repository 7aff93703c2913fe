"use strict";

// Shows what openapi.json describes: each path, its fields, a command for it, and a form to try it.

const byId = (id) => document.getElementById(id);
const base = new URL(".", location.href).href.replace(/\/$/, ""); // wherever a proxy has put it

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

// What a path is asked with

const fieldsOf = (operation) => {
  const content = operation.requestBody?.content ?? {};
  const schema = Object.values(content)[0]?.schema ?? { properties: {} };
  const required = schema.required ?? [];
  return Object.entries(schema.properties).map(([name, type]) =>
    ({ name, type, isRequired: required.includes(name), isFile: type.format === "binary" }));
};

function typeOf(type) {
  if (type.enum) return type.enum.join(" or ");
  if (type.anyOf) return type.anyOf.map(typeOf).join(", or ");
  if (type.type === "array") return `list of ${typeOf(type.items)}`;
  return type.format === "binary" ? "file" : { string: "text", integer: "number" }[type.type] ?? "true or false";
}

const EXAMPLES = {
  q: "Where is the station?", s: "Wo ist der Bahnhof?", source: "en", target: "de", file: "@report.docx",
};

function command(method, path, fields) {
  const option = fields.some((field) => field.isFile) ? "-F" : "-d";
  const given = fields.filter((field) => field.isRequired)
    .map((field) => ` ${option} '${field.name}=${EXAMPLES[field.name] ?? ""}'`);
  return `curl ${base}${path}${given.join("")}`;
}

// A form

function input(field) {
  const { name, type, isFile } = field;
  const attributes = { name, required: field.isRequired, autocomplete: "off" };
  if (isFile) return element("input", { ...attributes, type: "file" });
  if (type.enum || type.type === "boolean") {
    const values = type.enum ?? ["true", "false"];
    return element("select", attributes, ...["", ...values].map((value) => new Option(value, value)));
  }
  const value = field.isRequired ? EXAMPLES[name] ?? "" : "";
  return element("input", { ...attributes, type: name === "api_key" ? "password" : "text", value });
}

async function send(method, path, form) {
  const data = new FormData(form);
  for (const [name, value] of [...data]) {
    if (value === "" || value.name === "") data.delete(name);
  }
  const place = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(data.get(name) ?? ""));
  const started = performance.now();
  const response = await fetch(base + place, method === "POST" ? { method, body: data } : {});
  const kind = response.headers.get("content-type") ?? "";
  const isText = /json|text/.test(kind);
  const body = isText ? await response.text() : `${(await response.blob()).size} bytes`;
  const time = Math.round(performance.now() - started);
  return `${response.status} ${response.statusText}, ${time} ms\n\n${pretty(body, kind)}`;
}

function pretty(body, kind) {
  return kind.includes("json") ? JSON.stringify(JSON.parse(body), null, 2) : body;
}

// A path

function table(fields) {
  const rows = fields.map(({ name, type, isRequired }) => element("tr", {},
    element("th", { scope: "row" }, element("code", {}, name)),
    element("td", {}, typeOf(type)),
    element("td", {}, isRequired ? "required" : "")));
  return element("table", {}, element("tbody", {}, ...rows));
}

function section(path, method, operation) {
  const fields = [
    ...(operation.parameters ?? []).map(({ name, schema }) => ({ name, type: schema, isRequired: true })),
    ...fieldsOf(operation),
  ];
  const answer = element("pre", { tabIndex: 0, hidden: true, ariaLive: "polite" });
  const form = element("form", {}, ...fields.map((field) =>
    element("label", {}, field.name, input(field))), element("button", {}, "Send"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    answer.textContent = await send(method, path, form).catch((error) => error.message);
  });
  return element("details", { className: "path" },
    element("summary", {}, element("b", {}, method), " ", element("code", {}, path), " ",
      element("span", {}, operation.summary)),
    ...(fields.length ? [table(fields)] : []),
    element("pre", { tabIndex: 0 }, command(method, path, fields)),
    form, answer);
}

async function start() {
  try {
    const response = await fetch("openapi.json");
    const { info, paths } = await response.json();
    byId("about").textContent = `${info.title} ${info.version}. ${info.description}`;
    byId("paths").append(...Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) =>
        section(path, method.toUpperCase(), operation))));
    byId("paths").firstElementChild.open = true;
  } catch (error) {
    byId("error").textContent = error.message;
    byId("error").hidden = false;
  }
}

start();
