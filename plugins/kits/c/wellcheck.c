// The kit for plugins in C and C++: see wellcheck.h. Between it and the contract's own bindings,
// which are generated at each build.

#include "wellcheck.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings.h"

#ifndef WC_NAME
#error "the kit is compiled by `wellcheck plugin build`, which says the plugin's name and version"
#endif

// The contract's own limit, of observations, parts and details.
enum { MOST = 64 };

static wellcheck_check_outcome_observation_t observations[MOST];
static wellcheck_check_outcome_part_t parts[MOST];
static bindings_tuple2_string_string_t details[MOST];
static size_t observation_count, part_count, detail_count;

// An instance without memory cannot say anything: it ends, and the host says so.
static void *memory(size_t count, size_t size) {
  void *found = calloc(count ? count : 1, size);
  if (!found) abort();
  return found;
}

static char *copy(const void *bytes, size_t length) {
  char *text = memory(length + 1, 1);
  if (length) memcpy(text, bytes, length);
  return text;
}

static char *text_of(bindings_string_t text) { return copy(text.ptr, text.len); }

// Bytes of the character that begins here; none if it is not UTF-8, which the contract demands.
static size_t character(const uint8_t *at) {
  if (at[0] < 0x80) return 1;
  size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  // Longer than needed, halves of pairs, beyond the last.
  if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f)) return 0;
  if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)) return 0;
  return length;
}

// A text as the contract takes it: what is not UTF-8, as a target may have sent it, is replaced.
static bindings_string_t string(const char *text) {
  uint8_t *bytes = (uint8_t *)(text ? text : ""), *own = NULL;
  size_t length = strlen((char *)bytes), step;
  for (size_t i = 0; i < length; i += step) {
    if ((step = character((own ? own : bytes) + i))) continue;
    if (!own) own = (uint8_t *)copy(bytes, length);
    own[i] = '?', step = 1;
  }
  return (bindings_string_t){own ? own : bytes, length};
}

static bindings_option_string_t option(const char *text) {
  return (bindings_option_string_t){text != NULL, string(text)};
}

static const char *print(const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (length < 0) return "";
  char *text = memory((size_t)length + 1, 1);
  vsnprintf(text, (size_t)length + 1, format, values);
  return text;
}

#define PRINTED(format, text)      \
  const char *text;                \
  do {                             \
    va_list values;                \
    va_start(values, format);      \
    text = print(format, values);  \
    va_end(values);                \
  } while (0)

const char *wc_text(const char *format, ...) {
  PRINTED(format, text);
  return text;
}

// ── How it ends ─────────────────────────────────────────────────────────────────────────────────

wc_outcome wc_pass(const char *format, ...) {
  PRINTED(format, text);
  return (wc_outcome){false, WC_PASS, text};
}

wc_outcome wc_warn(const char *format, ...) {
  PRINTED(format, text);
  return (wc_outcome){false, WC_WARN, text};
}

wc_outcome wc_fail(const char *format, ...) {
  PRINTED(format, text);
  return (wc_outcome){false, WC_FAIL, text};
}

wc_outcome wc_answer(wc_status status, const char *format, ...) {
  PRINTED(format, text);
  return (wc_outcome){false, (int)status, text};
}

wc_outcome wc_fault(wc_reason reason, const char *format, ...) {
  PRINTED(format, text);
  return (wc_outcome){true, (int)reason, text};
}

void wc_observe_within(const char *name, double value, const char *unit, const char *warn, const char *fail) {
  if (observation_count == MOST) return;
  wellcheck_check_outcome_observation_t *observation = &observations[observation_count++];
  observation->name = string(wc_text("%s", name));
  observation->value = value;
  observation->unit = option(unit);
  observation->warn = option(warn);
  observation->fail = option(fail);
}

void wc_observe(const char *name, double value, const char *unit) {
  wc_observe_within(name, value, unit, NULL, NULL);
}

void wc_part(wc_status status, const char *name, const char *format, ...) {
  PRINTED(format, text);
  if (part_count == MOST) return;
  parts[part_count++] = (wellcheck_check_outcome_part_t){
      .name = string(wc_text("%s", name)), .status = (uint8_t)status, .message = string(text)};
}

void wc_detail(const char *name, const char *format, ...) {
  PRINTED(format, text);
  if (detail_count == MOST) return;
  details[detail_count].f0 = string(wc_text("%s", name));
  details[detail_count++].f1 = string(text);
}

// ── JSON: what stands where, by a bounded look that never goes beyond the text's end ────────────

static const char *space(const char *at) {
  while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') at++;
  return at;
}

// Behind the text that begins here; NULL if it has no end.
static const char *behind_text(const char *at) {
  for (at++; *at && *at != '"'; at++)
    if (*at == '\\' && *++at == 0) return NULL;
  return *at ? at + 1 : NULL;
}

// Behind the value that begins here; NULL if there is none. Brackets are counted, not matched.
static const char *behind_value(const char *at) {
  const char *start = at;
  for (size_t depth = 0; *at; ) {
    if (*at == '"') {
      at = behind_text(at);
      if (!at) return NULL;
      if (depth == 0) return at;
    } else if (*at == '{' || *at == '[') {
      depth++, at++;
    } else if (*at == '}' || *at == ']') {
      if (depth == 0) break;
      at++;
      if (--depth == 0) return at;
    } else if (depth == 0 && (*at == ',' || *at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
      break;
    } else {
      at++;
    }
  }
  return at > start ? at : NULL;
}

static void put_utf8(char **to, uint32_t c) {
  char *at = *to;
  if (c < 0x80) {
    *at++ = (char)c;
  } else if (c < 0x800) {
    *at++ = (char)(0xc0 | c >> 6);
    *at++ = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *at++ = (char)(0xe0 | c >> 12);
    *at++ = (char)(0x80 | (c >> 6 & 0x3f));
    *at++ = (char)(0x80 | (c & 0x3f));
  } else {
    *at++ = (char)(0xf0 | c >> 18);
    *at++ = (char)(0x80 | (c >> 12 & 0x3f));
    *at++ = (char)(0x80 | (c >> 6 & 0x3f));
    *at++ = (char)(0x80 | (c & 0x3f));
  }
  *to = at;
}

static bool hex4(const char *at, uint32_t *value) {
  *value = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    uint32_t digit;
    if (c >= '0' && c <= '9') digit = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f') digit = (uint32_t)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F') digit = (uint32_t)(c - 'A') + 10;
    else return false;
    *value = *value << 4 | digit;
  }
  return true;
}

// The text that begins here, its escapes resolved; NULL if it is none.
static const char *resolved(const char *at) {
  const char *end = *at == '"' ? behind_text(at) : NULL;
  if (!end) return NULL;
  // No escape is shorter than what it stands for.
  char *text = memory((size_t)(end - at), 1), *to = text;
  for (at++; at < end - 1; at++) {
    if (*at != '\\') {
      *to++ = *at;
      continue;
    }
    uint32_t c, low;
    switch (*++at) {
      case 'b': *to++ = '\b'; break;
      case 'f': *to++ = '\f'; break;
      case 'n': *to++ = '\n'; break;
      case 'r': *to++ = '\r'; break;
      case 't': *to++ = '\t'; break;
      case 'u':
        if (!hex4(at + 1, &c)) return NULL;
        at += 4;
        if (c >= 0xd800 && c < 0xdc00 && at[1] == '\\' && at[2] == 'u' && hex4(at + 3, &low) && low >= 0xdc00 && low < 0xe000) {
          c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
          at += 6;
        } else if (c >= 0xd800 && c < 0xe000) {
          c = 0xfffd;
        }
        // A text ends at its first zero.
        put_utf8(&to, c ? c : 0xfffd);
        break;
      default: *to++ = *at;
    }
  }
  *to = 0;
  return text;
}

const char *wc_json_member(const char *json, const char *name) {
  if (!json || *(json = space(json)) != '{') return NULL;
  do {
    json = space(json + 1);
    if (*json != '"') return NULL;
    const char *key = resolved(json);
    json = behind_text(json);
    if (!key || !json || *(json = space(json)) != ':') return NULL;
    json = space(json + 1);
    if (strcmp(key, name) == 0) return json;
    json = behind_value(json);
    if (!json) return NULL;
    json = space(json);
  } while (*json == ',');
  return NULL;
}

const char *wc_json_element(const char *json, size_t index) {
  if (!json || *(json = space(json)) != '[') return NULL;
  do {
    json = space(json + 1);
    if (*json == ']' || *json == 0) return NULL;
    if (index-- == 0) return json;
    json = behind_value(json);
    if (!json) return NULL;
    json = space(json);
  } while (*json == ',');
  return NULL;
}

const char *wc_json_text(const char *json, const char *name, const char *otherwise) {
  const char *value = wc_json_member(json, name);
  const char *text = value ? resolved(value) : NULL;
  return text ? text : otherwise;
}

double wc_json_number(const char *json, const char *name, double otherwise) {
  const char *value = wc_json_member(json, name), *end = value ? behind_value(value) : NULL;
  double number;
  return end && wc_number(copy(value, (size_t)(end - value)), &number) ? number : otherwise;
}

bool wc_json_bool(const char *json, const char *name, bool otherwise) {
  const char *value = wc_json_member(json, name);
  if (value && strncmp(value, "true", 4) == 0) return true;
  if (value && strncmp(value, "false", 5) == 0) return false;
  return otherwise;
}

const char *wc_trimmed(const char *text) {
  const char *start = space(text), *end = start + strlen(start);
  while (end > start && space(end - 1) == end) end--;
  return copy(start, (size_t)(end - start));
}

bool wc_number(const char *text, double *value) {
  text = space(text);
  char *rest;
  // strtod takes infinities and hexadecimal numbers besides.
  if (*space(text + strspn(text, "+-0123456789.eE"))) return false;
  *value = strtod(text, &rest);
  return rest > text && *space(rest) == 0 && isfinite(*value);
}

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────

wc_response wc_fetch(const wc_request *request) {
  size_t count = 0;
  while (request->headers && request->headers[count].name) count++;
  bindings_tuple2_string_string_t *headers = memory(count, sizeof *headers);
  for (size_t i = 0; i < count; i++) {
    headers[i].f0 = string(request->headers[i].name);
    headers[i].f1 = string(request->headers[i].value);
  }
  wellcheck_check_http_request_t asked = {
      .method = string(request->method ? request->method : "GET"),
      .url = string(request->url),
      .headers = {headers, count},
      .body = {(uint8_t *)request->body, request->body ? request->body_length : 0},
      .timeout_ms = {request->timeout_ms != 0, request->timeout_ms},
  };
  wellcheck_check_http_response_t answer;
  wellcheck_check_http_error_t error;
  if (!wellcheck_check_http_fetch(&asked, &answer, &error))
    return (wc_response){.error = text_of(error.message), .error_kind = text_of(error.kind), .body = ""};
  wc_header *got = memory(answer.headers.len + 1, sizeof *got);
  for (size_t i = 0; i < answer.headers.len; i++) {
    got[i].name = text_of(answer.headers.ptr[i].f0);
    got[i].value = text_of(answer.headers.ptr[i].f1);
  }
  return (wc_response){.status = answer.status,
                       .headers = got,
                       .body = copy(answer.body.ptr, answer.body.len),
                       .body_length = answer.body.len};
}

wc_response wc_get(const char *url) {
  wc_request request = {.url = url};
  return wc_fetch(&request);
}

const char *wc_header_of(const wc_response *response, const char *name) {
  for (const wc_header *header = response->headers; header && header->name; header++)
    if (strcmp(header->name, name) == 0) return header->value;
  return NULL;
}

// ── What else the host knows ────────────────────────────────────────────────────────────────────

uint64_t wc_remaining_ms(void) { return wellcheck_check_context_remaining_ms(); }

const char *wc_secret(const char *name) {
  bindings_string_t asked = string(name), value;
  wellcheck_check_secrets_error_t error;
  return wellcheck_check_secrets_get(&asked, &value, &error) ? text_of(value) : NULL;
}

const char *wc_kept(const char *key) {
  bindings_string_t asked = string(key);
  bindings_option_list_u8_t value;
  wellcheck_check_state_error_t error;
  if (!wellcheck_check_state_get(&asked, &value, &error) || !value.is_some) return NULL;
  return copy(value.val.ptr, value.val.len);
}

bool wc_keep(const char *key, const char *text) {
  bindings_string_t asked = string(key);
  bindings_list_u8_t value = {(uint8_t *)text, strlen(text)};
  wellcheck_check_state_error_t error;
  return wellcheck_check_state_set(&asked, &value, &error);
}

bool wc_latest(const char *name, wc_standing *standing) {
  bindings_string_t asked = string(name);
  wellcheck_check_checks_standing_t found;
  wellcheck_check_checks_error_t error;
  if (!wellcheck_check_checks_latest(&asked, &found, &error)) return false;
  *standing = (wc_standing){.state = (wc_state)found.state,
                            .message = text_of(found.message),
                            .has_run = found.age_ms.is_some,
                            .age_ms = found.age_ms.is_some ? found.age_ms.val : 0};
  return true;
}

// ── What the host calls ─────────────────────────────────────────────────────────────────────────

// Once an answer is in the host, the bindings give its memory back piece by piece; they are compiled
// with this in place of `free`. Ours is of constants and tables, and the instance ends then anyway.
void wc_keep_memory(void *pointer) { (void)pointer; }

void exports_wellcheck_check_checker_describe(exports_wellcheck_check_checker_description_t *out) {
  memset(out, 0, sizeof *out);
  out->name = string(WC_NAME);
  out->version = string(WC_VERSION);
  out->summary = string(wc_plugin.summary ? wc_plugin.summary : "");
  out->settings_schema = option(wc_plugin.schema);
  size_t most = sizeof wc_plugin.wants / sizeof *wc_plugin.wants, count = 0;
  while (count < most && wc_plugin.wants[count].grant) count++;
  exports_wellcheck_check_checker_want_t *wants = memory(count, sizeof *wants);
  for (size_t i = 0; i < count; i++) {
    wants[i].grant = string(wc_plugin.wants[i].grant);
    wants[i].value = string(wc_plugin.wants[i].value);
    wants[i].why = string(wc_plugin.wants[i].why);
  }
  out->wants.ptr = wants;
  out->wants.len = count;
}

bool exports_wellcheck_check_checker_run(exports_wellcheck_check_checker_invocation_t *invocation,
                                         exports_wellcheck_check_checker_report_t *out,
                                         exports_wellcheck_check_checker_fault_t *err) {
  wc_invocation asked = {text_of(invocation->check), text_of(invocation->settings)};
  wc_outcome outcome = wc_run(&asked);
  if (outcome.is_fault) {
    err->reason = (uint8_t)outcome.word;
    err->message = string(outcome.message);
    return false;
  }
  memset(out, 0, sizeof *out);
  out->status = (uint8_t)outcome.word;
  out->message = string(outcome.message);
  out->observations.ptr = observations;
  out->observations.len = observation_count;
  out->parts.ptr = parts;
  out->parts.len = part_count;
  out->details.ptr = details;
  out->details.len = detail_count;
  return true;
}
