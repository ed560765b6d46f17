// The plugin `{{name}}`: holds a number that a URL answers with against a limit.

#include "wellcheck.h"

static const char SCHEMA[] =
    "{\"type\": \"object\", \"required\": [\"url\"], \"additionalProperties\": false, \"properties\": {"
    "  \"url\": {\"type\": \"string\", \"pattern\": \"^https?://\", \"description\": \"Answers with a number.\"},"
    "  \"limit\": {\"type\": \"number\", \"default\": 100, \"description\": \"A number above it is a failure.\"}}}";

const wc_description wc_plugin = {
    .summary = "holds a number that a URL answers with against a limit",
    .schema = SCHEMA,
    .wants = {{"http", "the origin of `url`", "to get the number"}},
};

wc_outcome wc_run(const wc_invocation *invocation) {
  double limit = wc_json_number(invocation->settings, "limit", 100), value;

  wc_response answer = wc_get(wc_json_text(invocation->settings, "url", ""));
  if (answer.error) return wc_fail("%s", answer.error);
  if (answer.status != 200) return wc_fail("answered %d, expected 200", answer.status);
  if (!wc_number(answer.body, &value)) return wc_fail("found `%.40s`, expected a number", wc_trimmed(answer.body));

  wc_observe("value", value, NULL);
  if (value > limit) return wc_fail("%g is above %g", value, limit);
  return wc_pass("%g is within %g", value, limit);
}
