// The plugin `quorum`: decides on the outcomes of other checks. It passes while enough of them are
// healthy: two of three replicas, one of two providers. It remembers when that last was so.

import checks from 'wellcheck:check/checks';
import state from 'wellcheck:check/state';

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    checks: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      uniqueItems: true,
      items: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' },
      description: 'The checks that count.',
    },
    'at-least': { type: 'integer', minimum: 1, description: 'How many of them have to be healthy.' },
    'max-age': {
      type: 'number',
      exclusiveMinimum: 0,
      description: 'A run that ended longer ago, in seconds, does not count as healthy.',
    },
  },
  required: ['checks', 'at-least'],
  additionalProperties: false,
};

const healthy = ['pass', 'warn'];

// What a check says, as one of the parts. A part knows no `unknown`: it is not healthy either.
function look(name, maxAge) {
  let standing;
  try {
    standing = checks.latest(name);
  } catch (error) {
    // A denial is the host's to show; it makes the run a fault, whatever is reported here.
    if (error.payload === 'missing') throw { reason: 'bad-settings', message: `there is no check \`${name}\`` };
    return { name, status: 'fail', message: 'may not be asked' };
  }
  const { state: found, reason, message, ageMs } = standing;
  // Nobody knows yet: it has not run, or its plugin is being made ready.
  const waits = found === 'unknown' && ['pending', 'compiling'].includes(reason);
  if (waits) return { name, status: 'fail', message, waits };
  if (found === 'unknown') return { name, status: 'fail', message: `unknown${message && `: ${message}`}` };
  if (healthy.includes(found) && maxAge !== undefined && (ageMs === null || ageMs > maxAge * 1000)) {
    const age = ageMs === null ? 'it has not run' : `${Math.round(ageMs / 1000)} s old`;
    return { name, status: 'fail', message: `stale: ${found}, but ${age}` };
  }
  return { name, status: found, message };
}

// When enough were healthy last: now, or what an earlier run has left. A text is kept as its bytes;
// a date in ISO notation has one for each character.
function lastHealthy(now) {
  const key = 'last-healthy';
  try {
    if (now) state.set(key, Uint8Array.from(now, (c) => c.charCodeAt(0)));
    const bytes = state.get(key);
    return bytes === null ? 'never' : String.fromCharCode(...bytes);
  } catch (error) {
    throw { reason: 'internal', message: `state: ${error.payload}` };
  }
}

export const checker = {
  describe() {
    return {
      name: 'quorum',
      version: '0.1.0',
      summary: 'passes while enough other checks are healthy',
      settingsSchema: JSON.stringify(schema),
      wants: [
        { grant: 'checks', value: 'the names in `checks`', why: 'to decide on them' },
        { grant: 'state', value: '4KiB', why: 'to remember when they last were healthy' },
      ],
      details: [],
    };
  },

  run({ settings }) {
    const { checks: names, 'at-least': atLeast, 'max-age': maxAge } = JSON.parse(settings);
    if (atLeast > names.length) {
      throw { reason: 'bad-settings', message: `${atLeast} of ${names.length} checks can never be healthy` };
    }
    const parts = names.map((name) => look(name, maxAge));
    const count = parts.filter(({ status }) => healthy.includes(status)).length;
    const others = parts.filter(({ status }) => !healthy.includes(status)).map(({ name }) => name);
    const enough = count >= atLeast;
    const waiting = parts.filter(({ waits }) => waits).map(({ name }) => name);
    if (!enough && count + waiting.length >= atLeast) {
      throw { reason: 'inconclusive', message: `waiting for the first outcome of ${waiting.join(', ')}` };
    }
    const number = (name, value, fail = null) => ({ name, value, unit: null, labels: [], warn: null, fail });
    return {
      status: enough ? 'pass' : 'fail',
      message:
        `${count} of ${names.length} are healthy, ${enough ? `${atLeast} are enough` : `expected ${atLeast} or more`}` +
        (others.length ? ` (not: ${others.join(', ')})` : ''),
      observations: [number('healthy', count, `${atLeast}:`), number('total', names.length)],
      parts,
      details: [['last-healthy', lastHealthy(enough && new Date().toISOString())]],
    };
  },
};
