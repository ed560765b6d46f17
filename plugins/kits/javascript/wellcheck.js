// What a plugin for wellcheck in JavaScript or TypeScript imports: `plugin` makes one of a
// description and a function, `get` and `fetch` make requests, `report` and `fault` answer.
//
// Made for QuickJS as `wellcheck plugin build` uses it: there are no `console`, timers or Web APIs,
// and nothing is asynchronous. Types are in `wellcheck.d.ts`.

import { fetch as send } from 'wellcheck:check/http';

/** There is no whole answer. Left uncaught, it is a report: the target fails, with this message. */
export class HttpError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = 'HttpError';
    this.kind = kind;
  }
}

/** The run cannot say how the target is. */
export class Fault extends Error {
  constructor(reason, message) {
    super(message);
    this.name = 'Fault';
    this.reason = reason;
  }
}

/** For `throw`: `reason` is `bad-settings`, `inconclusive` or `internal`. */
export const fault = (reason, message) => new Fault(reason, message);

/** Gets a URL. */
export const get = (url, options = {}) => fetch(url, options);

/** Sends a request and waits for the whole answer. An answer of any status is one. */
export function fetch(url, { method = 'GET', headers = {}, body, json, timeoutMs } = {}) {
  const pairs = Array.isArray(headers) ? headers.slice() : Object.entries(headers);
  let bytes = new Uint8Array(0);
  if (json !== undefined) {
    pairs.push(['content-type', 'application/json']);
    bytes = encode(JSON.stringify(json));
  } else if (body !== undefined) {
    bytes = typeof body === 'string' ? encode(body) : body;
  }
  const request = { method, url, headers: pairs.map(([name, value]) => [name, String(value)]), body: bytes };
  let answer;
  try {
    answer = send({ ...request, timeoutMs: timeoutMs === undefined ? null : timeoutMs });
  } catch (error) {
    const failed = error && error.payload;
    if (!failed) throw error;
    throw new HttpError(failed.kind, failed.message);
  }
  return new Response(answer);
}

/** An answer, whole. */
export class Response {
  constructor({ status, headers, body }) {
    this.status = status;
    this.headers = headers;
    this.body = body instanceof Uint8Array ? body : Uint8Array.from(body);
  }

  /** The first header of this name. */
  header(name) {
    const found = this.headers.find(([known]) => known === name.toLowerCase());
    return found && found[1];
  }

  /** The body as text; what is not UTF-8 is replaced. */
  text() {
    return decode(this.body);
  }

  /** The body as JSON. What is none is an `HttpError`: the target fails. */
  json() {
    try {
      return JSON.parse(this.text());
    } catch {
      throw new HttpError('body', 'the answer is not JSON');
    }
  }

  /** This answer, if it has that status; else an `HttpError`: the target fails. */
  expect(status = 200) {
    if (this.status !== status) throw new HttpError('status', `answered ${this.status}, expected ${status}`);
    return this;
  }
}

/** A report: `report('pass', 'all is well', { value: 7, age: { value: 3, unit: 's' } })`. */
export function report(status, message, observations = {}, { parts = [], details = {} } = {}) {
  return {
    status,
    message,
    observations: (Array.isArray(observations) ? observations : Object.entries(observations).map(named)).map(whole),
    parts,
    details: Array.isArray(details) ? details : Object.entries(details).map(([name, text]) => [name, String(text)]),
  };
}

export const pass = (message, observations, more) => report('pass', message, observations, more);
export const warn = (message, observations, more) => report('warn', message, observations, more);
export const fail = (message, observations, more) => report('fail', message, observations, more);

const named = ([name, value]) => ({ name, ...(typeof value === 'object' ? value : { value }) });
const whole = ({ name, value, unit = null, labels = [], warn = null, fail = null }) => ({
  name,
  value,
  unit,
  labels: Array.isArray(labels) ? labels : Object.entries(labels),
  warn,
  fail,
});

/**
 * Makes the plugin of this file: `export const checker = plugin({ name, ..., run(settings) { ... } })`.
 * `settings` are the properties of a JSON Schema; one without a `default` is required, the others are
 * filled in before `run` sees them.
 */
export function plugin({ name, version = '0.1.0', summary = '', settings, wants = [], details = {}, run }) {
  return {
    describe() {
      return {
        name,
        version,
        summary,
        settingsSchema: settings === undefined ? null : JSON.stringify(schema(settings)),
        wants: wants.map(([grant, value, why]) => ({ grant, value, why })),
        details: Object.entries(details),
      };
    },

    run({ check, settings: text }) {
      try {
        return run(withDefaults(settings, JSON.parse(text)), { check });
      } catch (error) {
        if (error instanceof HttpError) return fail(error.message);
        // The host takes what is thrown for the error of a result, if it has its form.
        if (error instanceof Fault) throw { reason: error.reason, message: error.message };
        throw error;
      }
    },
  };
}

// A whole schema stands as it is; properties alone become one.
function schema(settings) {
  if (settings.type === 'object' && typeof settings.properties === 'object') return settings;
  const required = Object.keys(settings).filter((key) => settings[key].default === undefined && !settings[key].optional);
  const properties = {};
  for (const [key, { optional, ...property }] of Object.entries(settings)) properties[key] = property;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties,
    required,
    additionalProperties: false,
  };
}

function withDefaults(settings = {}, given) {
  const filled = { ...given };
  for (const [key, property] of Object.entries(schema(settings).properties)) {
    if (filled[key] === undefined && property.default !== undefined) filled[key] = property.default;
  }
  return filled;
}

// UTF-8, where the engine has no TextEncoder.
function encode(text) {
  const bytes = [];
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Uint8Array.from(bytes);
}

function decode(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++];
    const more = first < 0x80 ? 0 : first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xc2 && first < 0xe0 ? 1 : -1;
    let code = more < 0 ? 0xfffd : more === 0 ? first : first & (0x3f >> more);
    for (let left = more; left > 0; left--) {
      if (at >= bytes.length || (bytes[at] & 0xc0) !== 0x80) {
        code = 0xfffd;
        break;
      }
      code = (code << 6) | (bytes[at++] & 0x3f);
    }
    const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    text += String.fromCodePoint(isCharacter ? code : 0xfffd);
  }
  return text;
}

/** Texts as UTF-8 bytes and back, for `wellcheck:check/state`. */
export const utf8 = { encode, decode };
