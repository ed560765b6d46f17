/** What a plugin for wellcheck in JavaScript or TypeScript imports. */

export type Status = 'pass' | 'warn' | 'fail';

/** A number that a run measured. */
export interface Observation {
  /** Letters, digits, `-` and `_`, the first a letter. */
  name: string;
  value: number;
  /** `s`, `B`, `%`, `1/s`, ... */
  unit?: string | null;
  labels?: Record<string, string> | [string, string][];
  /** A range outside of which it is worth a warning: `10`, `10:`, `~:10`, `10:20`, `@10:20`. */
  warn?: string | null;
  fail?: string | null;
}

/** Numbers by name, or observations in full. */
export type Observations = Record<string, number | Omit<Observation, 'name'>> | Observation[];

/** One of several things that a check looked at. */
export interface Part {
  name: string;
  status: Status;
  message: string;
}

export interface More {
  parts?: Part[];
  details?: Record<string, string> | [string, string][];
}

/** The answer of a run. */
export interface Report {
  status: Status;
  message: string;
  observations: Observation[];
  parts: Part[];
  details: [string, string][];
}

/** The target is as it should be. */
export function pass(message: string, observations?: Observations, more?: More): Report;
/** The target works, but somebody should look. */
export function warn(message: string, observations?: Observations, more?: More): Report;
/** The target is not as it should be, or cannot be reached. */
export function fail(message: string, observations?: Observations, more?: More): Report;
/** A report with a status that was computed. */
export function report(status: Status, message: string, observations?: Observations, more?: More): Report;

/** The run cannot say how the target is: `throw fault('inconclusive', 'nobody knows')`. */
export function fault(reason: 'bad-settings' | 'inconclusive' | 'internal', message: string): Fault;
export class Fault extends Error {
  constructor(reason: string, message: string);
  reason: string;
}

export interface Options {
  method?: string;
  headers?: Record<string, string> | [string, string][];
  body?: string | Uint8Array;
  /** Sent as JSON, in place of `body`. */
  json?: unknown;
  /** Milliseconds until the whole answer has to be there. */
  timeoutMs?: number;
}

/** An answer, whole. */
export class Response {
  status: number;
  /** Names in lower case, in the order in which they came. */
  headers: [string, string][];
  body: Uint8Array;
  /** The first header of this name. */
  header(name: string): string | undefined;
  /** The body as text; what is not UTF-8 is replaced. */
  text(): string;
  /** The body as JSON. What is none is an `HttpError`: the target fails. */
  json<T = any>(): T;
  /** This answer, if it has that status (200 unless given); else an `HttpError`: the target fails. */
  expect(status?: number): this;
}

/** There is no answer that would do. Left uncaught, it is a report: the target fails. */
export class HttpError extends Error {
  constructor(kind: string, message: string);
  /** A word: `refused`, `timeout`, `tls-expired`, `status`, `body`, ... */
  kind: string;
}

/** Gets a URL. An answer of any status is one; none is an `HttpError`. */
export function get(url: string, options?: Options): Response;
/** Sends a request and waits for the whole answer. Redirects are not followed. */
export function fetch(url: string, options?: Options): Response;

/** A setting, as JSON Schema has it. One without a `default` is required, unless it is `optional`. */
export interface Setting {
  type?: string | string[];
  description?: string;
  default?: unknown;
  optional?: boolean;
  [key: string]: unknown;
}

export interface Plugin<Settings> {
  name: string;
  version?: string;
  /** One line: what it checks. */
  summary: string;
  /** Settings by name, or a whole JSON Schema of the type `object`. */
  settings?: Record<string, Setting> | { type: 'object'; properties: Record<string, Setting>; [key: string]: unknown };
  /** What it needs: the grant's name, its value, and why. */
  wants?: [grant: string, value: string, why: string][];
  details?: Record<string, string>;
  /** Looks at the target once. */
  run(settings: Settings, context: { check: string }): Report;
}

/** What the file exports as `checker`. */
export interface Checker {
  describe(): object;
  run(invocation: { check: string; settings: string }): Report;
}

/** Makes the plugin of this file: `export const checker = plugin({ ... })`. */
export function plugin<Settings = any>(plugin: Plugin<Settings>): Checker;

/** Texts as UTF-8 bytes and back, for `wellcheck:check/state`. */
export const utf8: { encode(text: string): Uint8Array; decode(bytes: Uint8Array): string };
