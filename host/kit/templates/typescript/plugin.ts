// The plugin `{{name}}`: holds a number that a URL answers with against a limit.

import { fail, get, pass, plugin, type Report } from './wellcheck.js';

interface Settings {
  url: string;
  limit: number;
}

export const checker = plugin<Settings>({
  name: '{{name}}',
  version: '0.1.0',
  summary: 'holds a number that a URL answers with against a limit',
  settings: {
    url: { type: 'string', pattern: '^https?://', description: 'Answers with a number.' },
    limit: { type: 'number', default: 100, description: 'A number above it is a failure.' },
  },
  wants: [['http', 'the origin of `url`', 'to get the number']],

  run({ url, limit }): Report {
    const text = get(url).expect(200).text().trim();
    const value = Number(text);
    if (text === '' || Number.isNaN(value)) return fail(`found \`${text.slice(0, 40)}\`, expected a number`);
    if (value > limit) return fail(`${value} is above ${limit}`, { value });
    return pass(`${value} is within ${limit}`, { value });
  },
});
