// The kit for plugins in C and C++, for the contract 0.1: what a plugin says of itself, its
// settings, its report, HTTP in one line.
//
// A plugin defines `wc_plugin` and `wc_run`; `wellcheck plugin build` compiles this kit beside it.
// An instance lives for one run, so nothing is ever freed: what a function returns stays valid.
// What is printed to stderr is shown with the outcome. For what is not here, include `bindings.h`:
// it has the whole contract, as generated from it (`wellcheck plugin build` leaves it in
// `target/wellcheck`).

#ifndef WELLCHECK_H
#define WELLCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__clang__) || defined(__GNUC__)
#define WC_FORMAT(text, values) __attribute__((format(printf, text, values)))
#else
#define WC_FORMAT(text, values)
#endif

// ── What a plugin defines ───────────────────────────────────────────────────────────────────────

// Something outside that the plugin needs in order to work. Shown to who decides; grants nothing.
typedef struct {
  const char *grant;  // "http", "dirs", "env", ...
  const char *value;  // "https://api.example.com", or in words: "the origin of `url`"
  const char *why;    // one line
} wc_want;

// What a plugin says of itself. Its name and version are those of plugin.toml.
typedef struct {
  const char *summary;  // one line: what it checks
  const char *schema;   // a JSON Schema for the settings; NULL takes any
  wc_want wants[8];     // until the first without a grant
} wc_description;

typedef enum { WC_PASS, WC_WARN, WC_FAIL } wc_status;

// Why a run could not answer. It says nothing about the target.
typedef enum { WC_BAD_SETTINGS, WC_INCONCLUSIVE, WC_INTERNAL } wc_reason;

// How a run ends: made by the functions below, and returned.
typedef struct {
  bool is_fault;
  int word;             // a wc_status or, for a fault, a wc_reason
  const char *message;  // one line for a person
} wc_outcome;

// The check as it is asked to run.
typedef struct {
  const char *check;     // its name
  const char *settings;  // a JSON object, already matched against the schema
} wc_invocation;

extern const wc_description wc_plugin;
wc_outcome wc_run(const wc_invocation *invocation);

// ── How it ends ─────────────────────────────────────────────────────────────────────────────────

wc_outcome wc_pass(const char *format, ...) WC_FORMAT(1, 2);
wc_outcome wc_warn(const char *format, ...) WC_FORMAT(1, 2);
wc_outcome wc_fail(const char *format, ...) WC_FORMAT(1, 2);
wc_outcome wc_answer(wc_status status, const char *format, ...) WC_FORMAT(2, 3);
wc_outcome wc_fault(wc_reason reason, const char *format, ...) WC_FORMAT(2, 3);

// ── What else goes into the report: said before it ends, at most 64 of each ─────────────────────

// A number that this run measured. `unit` may be NULL.
void wc_observe(const char *name, double value, const char *unit);
// Likewise, with bounds for display as monitoring plugins write them (`10`, `10:20`); NULL for none.
void wc_observe_within(const char *name, double value, const char *unit, const char *warn, const char *fail);
// One of several things that the check looked at.
void wc_part(wc_status status, const char *name, const char *format, ...) WC_FORMAT(3, 4);
// A further fact.
void wc_detail(const char *name, const char *format, ...) WC_FORMAT(2, 3);

// A text like printf's, in memory of its own.
const char *wc_text(const char *format, ...) WC_FORMAT(1, 2);

// ── Settings, and other JSON ────────────────────────────────────────────────────────────────────

// The value of an object's member, as JSON from where it stands; NULL if there is none.
const char *wc_json_member(const char *json, const char *name);
// The value of an array's element; NULL if there is none.
const char *wc_json_element(const char *json, size_t index);
// A member that is a text (its escapes resolved), a number, or true or false; else `otherwise`.
const char *wc_json_text(const char *json, const char *name, const char *otherwise);
double wc_json_number(const char *json, const char *name, double otherwise);
bool wc_json_bool(const char *json, const char *name, bool otherwise);

// The same text without spaces and line ends around it.
const char *wc_trimmed(const char *text);
// Reads a whole text as a number, with spaces around it. False if it is none, or not finite.
bool wc_number(const char *text, double *value);

// ── HTTP, as far as the check's grant `http` goes ───────────────────────────────────────────────

typedef struct {
  const char *name, *value;
} wc_header;

typedef struct {
  const char *method;         // NULL for GET
  const char *url;            // http:// or https://
  const wc_header *headers;   // until the first without a name; NULL for none
  const void *body;           // NULL for none
  size_t body_length;
  uint32_t timeout_ms;        // 0 for what is left of the run
} wc_request;

typedef struct {
  const char *error;          // why there is no answer, as one line; NULL if there is one
  const char *error_kind;     // a word for it: "refused", "timeout", ...
  int status;                 // 200
  const wc_header *headers;   // names in lower case, until the first without one
  const char *body;           // with a zero behind it
  size_t body_length;
} wc_response;

wc_response wc_get(const char *url);
wc_response wc_fetch(const wc_request *request);
// The first header of that name (in lower case); NULL if there is none.
const char *wc_header_of(const wc_response *response, const char *name);

// ── What else the host knows ────────────────────────────────────────────────────────────────────

// Milliseconds until the host ends the run.
uint64_t wc_remaining_ms(void);
// A secret that the grant `secrets` names; NULL if there is none, or it is not granted.
const char *wc_secret(const char *name);
// What the last run kept under a key (grant `state`), with a zero behind it; NULL if there is nothing.
const char *wc_kept(const char *key);
// Keeps a text for the next run. False if it cannot be kept.
bool wc_keep(const char *key, const char *text);

// How another check is (grant `checks`).
typedef enum { WC_STATE_PASS, WC_STATE_WARN, WC_STATE_FAIL, WC_STATE_UNKNOWN } wc_state;

typedef struct {
  wc_state state;
  const char *message;
  bool has_run;
  uint64_t age_ms;  // since its last run, if there was one
} wc_standing;

// False if there is no such check, or it is not granted.
bool wc_latest(const char *name, wc_standing *standing);

#ifdef __cplusplus
}
#endif

#endif
