// The plugin `{{name}}`: holds a number that a URL answers with against a limit.
package main

import "wellcheck"

const schema = `{
  "type": "object", "required": ["url"], "additionalProperties": false, "properties": {
    "url": {"type": "string", "pattern": "^https?://", "description": "Answers with a number."},
    "limit": {"type": "number", "default": 100, "description": "A number above it is a failure."}
  }
}`

type settings struct {
	URL   string  `json:"url"`
	Limit float64 `json:"limit"`
}

func init() {
	wellcheck.Register(wellcheck.Description{
		Summary: "holds a number that a URL answers with against a limit",
		Schema:  schema,
		Wants:   []wellcheck.Want{{Grant: "http", Value: "the origin of `url`", Why: "to get the number"}},
	}, settings{Limit: 100}, run)
}

func run(s settings) wellcheck.Outcome {
	answer, err := wellcheck.Get(s.URL)
	if err != nil {
		return wellcheck.Fail("%v", err)
	}
	if answer.Status != 200 {
		return wellcheck.Fail("answered %d, expected 200", answer.Status)
	}
	value, ok := answer.Number()
	if !ok {
		return wellcheck.Fail("found `%.40s`, expected a number", answer.Text())
	}
	if value > s.Limit {
		return wellcheck.Fail("%g is above %g", value, s.Limit).Observe("value", value, "")
	}
	return wellcheck.Pass("%g is within %g", value, s.Limit).Observe("value", value, "")
}

// Go wants one; the host calls what is registered.
func main() {}
