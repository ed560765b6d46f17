// The plugin `deadlines`: says in time that a contract, a domain name, an API key or a licence
// runs out. For what no machine can be asked about: the dates stand in the settings.

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    deadlines: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'What runs out, and on which day.',
      items: {
        type: 'object',
        properties: {
          name: { type: 'string', minLength: 1, maxLength: 100 },
          date: { type: 'string', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', description: 'The last good day, in UTC.' },
        },
        required: ['name', 'date'],
        additionalProperties: false,
      },
    },
    'warn-days': { type: 'integer', minimum: 0, default: 30, description: 'Warns when fewer days are left.' },
    'fail-days': { type: 'integer', minimum: 0, default: 7, description: 'Fails when fewer days are left.' },
  },
  required: ['deadlines'],
  additionalProperties: false,
};

const severity = ['pass', 'warn', 'fail'];
const day = 24 * 60 * 60 * 1000;

// The start of a day in UTC. A date that the calendar does not have is refused: `Date` would take
// the 31st of February for some day in March.
function start({ name, date }) {
  const time = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== date) {
    throw { reason: 'bad-settings', message: `\`${date}\` of \`${name}\` is not a day of the calendar` };
  }
  return time;
}

function judge(left, warn, fail) {
  if (left < 0 || left < fail) return 'fail';
  return left < warn ? 'warn' : 'pass';
}

function say(left) {
  if (left < 0) return `ran out ${-left} day${left === -1 ? '' : 's'} ago`;
  if (left === 0) return 'runs out today';
  return `${left} day${left === 1 ? '' : 's'} left`;
}

export const checker = {
  describe() {
    return {
      name: 'deadlines',
      version: '0.1.0',
      summary: 'says in time that something runs out on a known day',
      settingsSchema: JSON.stringify(schema),
      wants: [],
      details: [],
    };
  },

  run({ settings }) {
    const { deadlines, 'warn-days': warn = 30, 'fail-days': fail = 7 } = JSON.parse(settings);
    const today = Math.floor(Date.now() / day) * day;
    const found = deadlines
      .map((deadline) => ({ name: deadline.name, left: Math.round((start(deadline) - today) / day) }))
      .map(({ name, left }) => ({ name, left, status: judge(left, warn, fail) }))
      .sort((a, b) => a.left - b.left);
    const [next] = found;
    return {
      status: severity[Math.max(...found.map(({ status }) => severity.indexOf(status)))],
      message: `${next.name}: ${say(next.left)}`,
      observations: found.map(({ name, left }) => ({
        name: 'days-left',
        value: left,
        unit: 'd',
        labels: [['name', name]],
        warn: `${warn}:`,
        fail: `${fail}:`,
      })),
      parts: found.map(({ name, left, status }) => ({ name, status, message: say(left) })),
      details: [],
    };
  },
};
