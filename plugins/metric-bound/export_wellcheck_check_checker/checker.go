// Package export_wellcheck_check_checker is the plugin metric-bound: it finds a metric on a page of
// Prometheus's text format and holds it against bounds.
//
// For one number of an exporter where no Prometheus runs. The package's name is the one that the
// generated wit_exports.go calls.
package export_wellcheck_check_checker

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	"wit_component/wellcheck_check_checker"
	"wit_component/wellcheck_check_outcome"

	"go.bytecodealliance.org/pkg/wit/types"
)

// The contract's own limit, of parts and of observations.
const partLimit = 64

//go:embed schema.json
var schema string

type label = wit_types.Tuple2[string, string]

type settings struct {
	URL    string            `json:"url"`
	Metric string            `json:"metric"`
	Labels map[string]string `json:"labels"`
	Unit   string            `json:"unit"`
	Warn   bound             `json:"warn"`
	Fail   bound             `json:"fail"`
}

// An instance lives for one run, which ends long before the collector would pay off; the limit
// is there for a page that is larger than expected.
func init() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(40 << 20)
}

func Describe() wellcheck_check_checker.Description {
	return wellcheck_check_checker.Description{
		Name:           "metric-bound",
		Version:        "0.1.0",
		Summary:        "holds a metric of a Prometheus page against bounds",
		SettingsSchema: wit_types.Some(schema),
		Wants: []wellcheck_check_checker.Want{
			{Grant: "http", Value: "the origin of `url`", Why: "to get the page"},
		},
	}
}

func Run(invocation wellcheck_check_checker.Invocation) wit_types.Result[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault] {
	var s settings
	if err := json.Unmarshal([]byte(invocation.Settings), &s); err != nil {
		return fault(err.Error())
	}
	status, page, err := get(s.URL)
	if err != nil {
		return fail(err.Error())
	}
	if status < 200 || status > 299 {
		return fail(fmt.Sprintf("the target answered %d", status))
	}
	// The format wants a newline at the end of every line: without the last one, something is missing.
	if page != "" && !strings.HasSuffix(page, "\n") {
		return fail("the answer ends in the middle of a line")
	}
	report := wellcheck_check_outcome.Report{}
	for line := range strings.SplitSeq(page, "\n") {
		rest, ours := strings.CutPrefix(line, s.Metric)
		if !ours || !strings.ContainsAny(rest[:min(len(rest), 1)], "{ \t") {
			continue
		}
		labels, value, err := parse(rest)
		if err != nil {
			return fail(fmt.Sprintf("the answer is not in Prometheus's text format: %v", err))
		}
		if has(labels, s.Labels) {
			add(&report, labels, value, &s)
		}
	}
	if len(report.Parts) == 0 {
		return fail(fmt.Sprintf("the answer has no `%s` with these labels", s.Metric))
	}
	return wit_types.Ok[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault](report)
}

// add makes a part of the report from one series. The worst comes to stand for all of them.
func add(report *wellcheck_check_outcome.Report, labels []label, value float64, s *settings) {
	status := uint8(wellcheck_check_outcome.Status_Pass)
	if !s.Fail.accepts(value) {
		status = wellcheck_check_outcome.Status_Fail
	} else if !s.Warn.accepts(value) {
		status = wellcheck_check_outcome.Status_Warn
	}
	if report.Message != "" && status <= report.Status && len(report.Parts) == partLimit {
		return
	}
	series := seriesName(s.Metric, labels)
	message := fmt.Sprintf("%s is %s%s", series, strconv.FormatFloat(value, 'f', -1, 64), s.Unit)
	if report.Message == "" || status > report.Status {
		report.Status, report.Message = status, message
	}
	if len(report.Parts) == partLimit {
		return
	}
	report.Parts = append(report.Parts, wellcheck_check_outcome.Part{Name: series, Status: status, Message: message})
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	observation := wellcheck_check_outcome.Observation{
		Name:   observationName(s.Metric),
		Value:  value,
		Unit:   some(s.Unit),
		Labels: labels,
		Warn:   some(s.Warn.text),
		Fail:   some(s.Fail.text),
	}
	report.Observations = append(report.Observations, observation)
}

func seriesName(metric string, labels []label) string {
	var texts []string
	for _, label := range labels {
		texts = append(texts, fmt.Sprintf("%s=%q", label.F0, label.F1))
	}
	if texts == nil {
		return metric
	}
	return metric + "{" + strings.Join(texts, ",") + "}"
}

// observationName makes a name that the contract takes: Prometheus's may begin with `_` and hold `:`.
func observationName(metric string) string {
	name := strings.ReplaceAll(strings.TrimLeft(metric, "_:"), ":", "_")
	return name[:min(len(name), 64)]
}

func some(text string) wit_types.Option[string] {
	if text == "" {
		return wit_types.None[string]()
	}
	return wit_types.Some(text)
}

func fail(message string) wit_types.Result[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault] {
	return wit_types.Ok[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault](
		wellcheck_check_outcome.Report{Status: wellcheck_check_outcome.Status_Fail, Message: message})
}

func fault(message string) wit_types.Result[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault] {
	return wit_types.Err[wellcheck_check_outcome.Report](
		wellcheck_check_outcome.Fault{Reason: wellcheck_check_outcome.Reason_BadSettings, Message: message})
}

var unescape = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")

// parse reads what stands after a metric's name: labels, a value, and perhaps a time.
func parse(rest string) ([]label, float64, error) {
	var labels []label
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		for rest = strings.TrimLeft(inner, " ,"); !strings.HasPrefix(rest, "}"); rest = strings.TrimLeft(rest, " ,") {
			name, quoted, ok := strings.Cut(rest, "=")
			end := endOfText(strings.TrimLeft(quoted, " "))
			if !ok || end < 0 {
				return nil, 0, fmt.Errorf("found `%.100s`, expected labels", rest)
			}
			quoted = strings.TrimLeft(quoted, " ")
			labels = append(labels, label{F0: strings.TrimSpace(name), F1: unescape.Replace(quoted[1:end])})
			rest = quoted[end+1:]
		}
		rest = rest[1:]
	}
	fields := append(strings.Fields(rest), "")
	value, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return nil, 0, fmt.Errorf("found `%.100s`, expected a number", fields[0])
	}
	return labels, value, nil
}

// endOfText gives where the text ends that begins with a quote; -1 where none does.
func endOfText(text string) int {
	if !strings.HasPrefix(text, `"`) {
		return -1
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func has(labels []label, wanted map[string]string) bool {
	have := 0
	for _, label := range labels {
		if value, ok := wanted[label.F0]; ok && value == label.F1 {
			have++
		}
	}
	return have == len(wanted)
}

// A range in the notation of monitoring plugins; without a text it accepts every value.
type bound struct {
	text      string
	low, high float64
	inverted  bool
}

func (b *bound) accepts(value float64) bool {
	return b.text == "" || !math.IsNaN(value) && (b.low <= value && value <= b.high) != b.inverted
}

var boundPattern = regexp.MustCompile(`^(@?)(?:(~|[-+0-9.eE]+):)?([-+0-9.eE]*)$`)

// UnmarshalJSON takes a text or a plain number.
func (b *bound) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	parts := boundPattern.FindStringSubmatch(text)
	wrong := fmt.Errorf("`%s` is no range (for example `10`, `10:`, `~:10`, `10:20`, `@10:20`)", text)
	if parts == nil || parts[2] == "" && parts[3] == "" {
		return wrong
	}
	*b = bound{text: text, high: math.Inf(1), inverted: parts[1] != ""}
	for i, into := range []*float64{&b.low, &b.high} {
		if part := parts[2+i]; part == "~" {
			*into = math.Inf(-1)
		} else if part != "" {
			value, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return wrong
			}
			*into = value
		}
	}
	if b.low > b.high {
		return wrong
	}
	return nil
}
