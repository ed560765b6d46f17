// Package wellcheck is the kit for plugins in Go, for the contract 0.1: what a plugin says of
// itself, its settings as a struct, its report, HTTP in one line.
//
// A plugin calls Register in an init function. An instance lives for one run; what is printed to
// stderr is shown with the outcome.
package wellcheck

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"strings"

	witTypes "go.bytecodealliance.org/pkg/wit/types"

	exported "wellcheck/bindings/exports/export_wellcheck_check_checker"
	_ "wellcheck/bindings/exports/wit_exports"
	"wellcheck/bindings/imports/wellcheck_check_checker"
	"wellcheck/bindings/imports/wellcheck_check_checks"
	"wellcheck/bindings/imports/wellcheck_check_context"
	"wellcheck/bindings/imports/wellcheck_check_http"
	"wellcheck/bindings/imports/wellcheck_check_outcome"
	"wellcheck/bindings/imports/wellcheck_check_secrets"
	"wellcheck/bindings/imports/wellcheck_check_state"
)

// The plugin's name and version as plugin.toml has them, set by `wellcheck plugin build`.
var name, version string

// An instance lives for one run, which ends long before the collector would pay off. The limit, below
// the host's own of 64 MiB, is there for an answer that is larger than expected.
func init() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(40 << 20)
}

// Want is something outside that the plugin needs in order to work. It is shown to the person who
// decides, and grants nothing.
type Want struct {
	Grant string // `http`, `dirs`, `env`, ...
	Value string // `https://api.example.com`, or in words: "the origin of `url`"
	Why   string // one line
}

// Description is what a plugin says of itself. Its name and version are those of plugin.toml.
type Description struct {
	Summary string // one line: what it checks
	Schema  string // a JSON Schema for the settings; empty takes any
	Wants   []Want
}

// Status is how the target is.
type Status uint8

const (
	StatusPass Status = iota
	StatusWarn
	StatusFail
)

// Reason is why a run could not answer. It says nothing about the target.
type Reason uint8

const (
	BadSettings Reason = iota
	Inconclusive
	Internal
)

// Bounds of an observation, for display, as monitoring plugins write them: `10`, `10:20`.
type Bounds struct{ Warn, Fail string }

// Outcome is how a run ends: made by Pass, Warn, Fail and Fault, and returned.
type Outcome struct {
	report wellcheck_check_outcome.Report
	fault  *wellcheck_check_outcome.Fault
}

// Register makes a plugin of what it says of itself, the defaults of its settings, and the function
// that runs. Settings are read as JSON into a copy of the defaults.
func Register[Settings any](about Description, defaults Settings, run func(Settings) Outcome) {
	exported.Describer = func() wellcheck_check_checker.Description {
		found := wellcheck_check_checker.Description{Name: name, Version: version, Summary: about.Summary, SettingsSchema: some(about.Schema)}
		for _, want := range about.Wants {
			found.Wants = append(found.Wants, wellcheck_check_checker.Want(want))
		}
		return found
	}
	exported.Runner = func(asked wellcheck_check_checker.Invocation) witTypes.Result[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault] {
		check = asked.Check
		settings := defaults
		outcome := Outcome{}
		if err := json.Unmarshal([]byte(asked.Settings), &settings); err != nil {
			outcome = Fault(BadSettings, "the settings cannot be read: %v", err)
		} else {
			outcome = run(settings)
		}
		if outcome.fault != nil {
			return witTypes.Err[wellcheck_check_outcome.Report](*outcome.fault)
		}
		return witTypes.Ok[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault](outcome.report)
	}
}

var check string

// Check is the name of the check that is run.
func Check() string { return check }

// Pass says that the target is as it should be.
func Pass(format string, values ...any) Outcome { return Answer(StatusPass, format, values...) }

// Warn says that somebody should look before the target stops working.
func Warn(format string, values ...any) Outcome { return Answer(StatusWarn, format, values...) }

// Fail says that the target is not as it should be.
func Fail(format string, values ...any) Outcome { return Answer(StatusFail, format, values...) }

// Answer is an answer of any status.
func Answer(status Status, format string, values ...any) Outcome {
	return Outcome{report: wellcheck_check_outcome.Report{Status: uint8(status), Message: printed(format, values...)}}
}

// Fault says that the run could not answer.
func Fault(reason Reason, format string, values ...any) Outcome {
	return Outcome{fault: &wellcheck_check_outcome.Fault{Reason: uint8(reason), Message: printed(format, values...)}}
}

// Observe adds a number that this run measured. The unit may be empty.
func (o Outcome) Observe(name string, value float64, unit string, bounds ...Bounds) Outcome {
	found := wellcheck_check_outcome.Observation{Name: name, Value: value, Unit: some(unit), Warn: some(""), Fail: some("")}
	for _, b := range bounds {
		found.Warn, found.Fail = some(b.Warn), some(b.Fail)
	}
	o.report.Observations = append(o.report.Observations, found)
	return o
}

// Part adds one of several things that the check looked at.
func (o Outcome) Part(status Status, name, format string, values ...any) Outcome {
	found := wellcheck_check_outcome.Part{Name: text(name), Status: uint8(status), Message: printed(format, values...)}
	o.report.Parts = append(o.report.Parts, found)
	return o
}

// Detail adds a further fact.
func (o Outcome) Detail(name, format string, values ...any) Outcome {
	o.report.Details = append(o.report.Details, witTypes.Tuple2[string, string]{F0: text(name), F1: printed(format, values...)})
	return o
}

// Header is a name and a value.
type Header struct{ Name, Value string }

// Request is what Fetch sends.
type Request struct {
	Method        string // empty for GET
	URL           string // http:// or https://
	Headers       []Header
	Body          []byte
	TimeoutMillis uint32 // zero for what is left of the run
}

// Response is a whole answer.
type Response struct {
	Status  int
	Headers []Header // names in lower case
	Body    []byte
}

// Error says why there is no answer.
type Error struct {
	Kind    string // a word for it: `refused`, `timeout`, ...
	Message string // one line
}

func (e *Error) Error() string { return e.Message }

// Get asks for a URL, as far as the check's grant `http` goes. Redirects are not followed.
func Get(url string) (*Response, error) { return Fetch(Request{URL: url}) }

// Fetch sends a request and waits for the whole answer.
func Fetch(request Request) (*Response, error) {
	asked := wellcheck_check_http.Request{Method: request.Method, Url: request.URL, Body: request.Body, TimeoutMs: witTypes.None[uint32]()}
	if asked.Method == "" {
		asked.Method = "GET"
	}
	if request.TimeoutMillis > 0 {
		asked.TimeoutMs = witTypes.Some(request.TimeoutMillis)
	}
	for _, header := range request.Headers {
		asked.Headers = append(asked.Headers, witTypes.Tuple2[string, string]{F0: header.Name, F1: header.Value})
	}
	got := wellcheck_check_http.Fetch(asked)
	if got.IsErr() {
		return nil, &Error{Kind: got.Err().Kind, Message: got.Err().Message}
	}
	answer := got.Ok()
	response := &Response{Status: int(answer.Status), Body: answer.Body}
	for _, header := range answer.Headers {
		response.Headers = append(response.Headers, Header{Name: header.F0, Value: header.F1})
	}
	return response, nil
}

// Text is the body without spaces and line ends around it.
func (r *Response) Text() string { return strings.TrimSpace(string(r.Body)) }

// Number is the body as a number, and whether it is one.
func (r *Response) Number() (float64, bool) {
	value, err := strconv.ParseFloat(r.Text(), 64)
	return value, err == nil && !math.IsInf(value, 0) && !math.IsNaN(value)
}

// JSON reads the body into a value.
func (r *Response) JSON(into any) error { return json.Unmarshal(r.Body, into) }

// Header is the first header of that name (in lower case), or empty.
func (r *Response) Header(name string) string {
	for _, header := range r.Headers {
		if header.Name == name {
			return header.Value
		}
	}
	return ""
}

// RemainingMillis is the time until the host ends the run.
func RemainingMillis() uint64 { return wellcheck_check_context.RemainingMs() }

// Secret is a secret that the grant `secrets` names, and whether there is one.
func Secret(name string) (string, bool) {
	got := wellcheck_check_secrets.Get(name)
	if got.IsErr() {
		return "", false
	}
	return got.Ok(), true
}

// Kept is what the last run kept under a key (grant `state`), and whether it did.
func Kept(key string) ([]byte, bool) {
	got := wellcheck_check_state.Get(key)
	if got.IsErr() || got.Ok().IsNone() {
		return nil, false
	}
	return got.Ok().Some(), true
}

// Keep keeps bytes for the next run, and says whether they can be kept.
func Keep(key string, value []byte) bool { return wellcheck_check_state.Set(key, value).IsOk() }

// Standing is how another check is.
type Standing struct {
	State     string // `pass`, `warn`, `fail`, `unknown`
	Message   string
	HasRun    bool
	AgeMillis uint64 // since its last run, if there was one
}

// Latest is how another check is (grant `checks`), and whether there is one.
func Latest(name string) (Standing, bool) {
	got := wellcheck_check_checks.Latest(name)
	if got.IsErr() {
		return Standing{}, false
	}
	found := got.Ok()
	states := [...]string{"pass", "warn", "fail", "unknown"}
	return Standing{State: states[min(int(found.State), 3)], Message: found.Message, HasRun: found.AgeMs.IsSome(), AgeMillis: found.AgeMs.SomeOr(0)}, true
}

func some(value string) witTypes.Option[string] {
	if value == "" {
		return witTypes.None[string]()
	}
	return witTypes.Some(text(value))
}

// The contract takes UTF-8 alone; what a target sent may be anything.
func text(value string) string { return strings.ToValidUTF8(value, "?") }

func printed(format string, values ...any) string { return text(fmt.Sprintf(format, values...)) }
