// The plugin `token-expiry`: says in time that a JSON Web Token runs out.
//
// The token stands in the settings; it is decoded, not verified, and no part of it is ever in a
// message. All text is handled as spans with an end: nothing reads beyond what the host gave.

#include "gen/plugin.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char SCHEMA[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\","
    " \"properties\": {"
    "  \"token\": {\"type\": \"string\", \"description\": \"The token, as it is sent.\"},"
    "  \"warn-hours\": {\"type\": \"number\", \"minimum\": 0, \"default\": 72, \"description\": \"Warns when fewer hours are left.\"},"
    "  \"fail-hours\": {\"type\": \"number\", \"minimum\": 0, \"default\": 24, \"description\": \"Fails when fewer hours are left.\"}},"
    " \"required\": [\"token\"], \"additionalProperties\": false}";

// What is left of a text.
typedef struct {
  const char *at, *end;
} span;

static bool more(span s) { return s.at < s.end; }
static bool is(span s, char c) { return more(s) && *s.at == c; }

static void skip_space(span *s) {
  while (more(*s) && strchr(" \t\r\n", *s->at) && *s->at) s->at++;
}

// Takes a JSON string and gives what stands between its quotes, escapes and all.
static bool take_string(span *s, span *content) {
  if (!is(*s, '"')) return false;
  const char *start = ++s->at;
  while (more(*s) && *s->at != '"') {
    if (*s->at == '\\') s->at++;
    if (more(*s)) s->at++;
  }
  if (!more(*s)) return false;
  *content = (span){start, s->at++};
  return true;
}

// Takes any JSON value and gives its text. Brackets are counted, not matched: what the host has
// parsed is well-formed, and of a token's payload only one number matters.
static bool take_value(span *s, span *value) {
  size_t depth = 0;
  span ignored;
  value->at = s->at;
  while (more(*s)) {
    char c = *s->at;
    if (c == '"') {
      if (!take_string(s, &ignored)) return false;
    } else if (c == '{' || c == '[') {
      depth++, s->at++;
    } else if (c == '}' || c == ']') {
      if (depth == 0) break;
      depth--, s->at++;
    } else if (c == ',' && depth == 0) {
      break;
    } else {
      s->at++;
    }
  }
  value->end = s->at;
  return depth == 0 && value->at < value->end;
}

enum search { FOUND, ABSENT, BROKEN };

// Looks for a member of a JSON object. Only an object that is read to its end has none.
static enum search member(span object, const char *name, span *value) {
  skip_space(&object);
  if (!is(object, '{')) return BROKEN;
  do {
    span key;
    object.at++;
    skip_space(&object);
    if (is(object, '}')) break;
    if (!take_string(&object, &key)) return BROKEN;
    skip_space(&object);
    if (!is(object, ':')) return BROKEN;
    object.at++;
    skip_space(&object);
    if (!take_value(&object, value)) return BROKEN;
    size_t length = (size_t)(key.end - key.at);
    if (length == strlen(name) && memcmp(key.at, name, length) == 0) return FOUND;
  } while (is(object, ','));
  return is(object, '}') ? ABSENT : BROKEN;
}

static bool number(span s, double *value) {
  char text[40], *rest;
  size_t length = (size_t)(s.end - s.at);
  if (length >= sizeof text) return false;
  memcpy(text, s.at, length);
  text[length] = 0;
  *value = strtod(text, &rest);
  return rest > text && rest[strspn(rest, " \t\r\n")] == 0 && isfinite(*value);
}

// Decodes base64url into as many bytes as the text is long at most.
static bool decode(span s, char *bytes, size_t *length) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned bits = 0, held = 0;
  *length = 0;
  for (; more(s); s.at++) {
    const char *digit = *s.at ? strchr(alphabet, *s.at) : NULL;
    if (!digit) return false;
    bits = (bits << 6 | (unsigned)(digit - alphabet)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[(*length)++] = (char)(bits >> held);
    }
  }
  return true;
}

// Gives the part between the first two of exactly two dots.
static bool payload(span token, span *part) {
  const char *first = memchr(token.at, '.', (size_t)(token.end - token.at));
  if (!first) return false;
  const char *second = memchr(first + 1, '.', (size_t)(token.end - first - 1));
  if (!second || memchr(second + 1, '.', (size_t)(token.end - second - 1))) return false;
  *part = (span){first + 1, second};
  return true;
}

static double setting(span settings, const char *name, double otherwise) {
  span text;
  double value;
  return member(settings, name, &text) == FOUND && number(text, &value) ? value : otherwise;
}

static bool fault(exports_wellcheck_check_checker_fault_t *out, const char *message) {
  out->reason = WELLCHECK_CHECK_OUTCOME_REASON_BAD_SETTINGS;
  plugin_string_dup(&out->message, message);
  return false;
}

// Clocks of two machines may differ by so many seconds.
static const double LEEWAY = 300;

// Whether a claim of the token is a time that is still to come.
static bool is_to_come(span claims, const char *name, double now) {
  span text;
  double value;
  return member(claims, name, &text) == FOUND && number(text, &value) && value > now + LEEWAY;
}

static void range(plugin_option_string_t *out, double seconds) {
  char text[32];
  snprintf(text, sizeof text, "%.0f:", seconds);
  out->is_some = true;
  plugin_string_dup(&out->val, text);
}

static void say(char *text, size_t size, double seconds) {
  long long minutes = (long long)(fabs(seconds) / 60), hours = minutes / 60, days = hours / 24;
  const char *before = seconds < 0 ? "ran out" : "is good for", *after = seconds < 0 ? " ago" : "";
  if (days > 0)
    snprintf(text, size, "the token %s %lld d %lld h%s", before, days, hours % 24, after);
  else
    snprintf(text, size, "the token %s %lld h %lld min%s", before, hours, minutes % 60, after);
}

void exports_wellcheck_check_checker_describe(exports_wellcheck_check_checker_description_t *out) {
  memset(out, 0, sizeof *out);
  plugin_string_dup(&out->name, "token-expiry");
  plugin_string_dup(&out->version, "0.1.0");
  plugin_string_dup(&out->summary, "says in time that a JSON Web Token runs out");
  out->settings_schema.is_some = true;
  plugin_string_dup(&out->settings_schema.val, SCHEMA);
}

bool exports_wellcheck_check_checker_run(exports_wellcheck_check_checker_invocation_t *invocation,
                                         exports_wellcheck_check_checker_report_t *out,
                                         exports_wellcheck_check_checker_fault_t *err) {
  const char *text = (const char *)invocation->settings.ptr;
  span settings = {text, text + invocation->settings.len}, quoted, token, part, exp;
  if (member(settings, "token", &quoted) != FOUND || !take_string(&quoted, &token))
    return fault(err, "the setting `token` is missing");
  if (!payload(token, &part)) return fault(err, "the token is no JSON Web Token: it does not have three parts");

  size_t length;
  char *claims = malloc((size_t)(part.end - part.at) + 1);
  if (!claims) abort();
  if (!decode(part, claims, &length)) return fault(err, "the token is no JSON Web Token: its second part is not base64url");
  double now = (double)time(NULL);
  span all = {claims, claims + length};
  // Nobody is issued a token in the future: with such a clock nothing can be said.
  if (is_to_come(all, "iat", now)) {
    err->reason = WELLCHECK_CHECK_OUTCOME_REASON_INCONCLUSIVE;
    plugin_string_dup(&err->message, "the token was issued in the future, so that a clock is wrong, here or there");
    return false;
  }
  if (is_to_come(all, "nbf", now)) {
    memset(out, 0, sizeof *out);
    out->status = WELLCHECK_CHECK_OUTCOME_STATUS_FAIL;
    plugin_string_dup(&out->message, "the token is not good yet");
    return true;
  }
  switch (member(all, "exp", &exp)) {
    case BROKEN:
      return fault(err, "the token is no JSON Web Token: its second part is not a JSON object");
    case ABSENT:
      memset(out, 0, sizeof *out);
      plugin_string_dup(&out->message, "the token does not expire");
      return true;
    case FOUND:
      break;
  }
  double expires;
  if (!number(exp, &expires) || fabs(expires) > 1e15) return fault(err, "the token's `exp` is not a time");

  memset(out, 0, sizeof *out);
  double left = expires - now;
  double warn = setting(settings, "warn-hours", 72) * 3600, fail = setting(settings, "fail-hours", 24) * 3600;
  if (left < 0 || left < fail)
    out->status = WELLCHECK_CHECK_OUTCOME_STATUS_FAIL;
  else if (left < warn)
    out->status = WELLCHECK_CHECK_OUTCOME_STATUS_WARN;

  char message[100];
  say(message, sizeof message, left);
  plugin_string_dup(&out->message, message);
  wellcheck_check_outcome_observation_t *observation = calloc(1, sizeof *observation);
  if (!observation) abort();
  plugin_string_dup(&observation->name, "time-left");
  observation->value = left;
  observation->unit.is_some = true;
  plugin_string_dup(&observation->unit.val, "s");
  range(&observation->warn, warn);
  range(&observation->fail, fail);
  out->observations.ptr = observation;
  out->observations.len = 1;
  return true;
}
