// Package export_wellcheck_check_checker is where the generated bindings look for what a plugin
// exports. It is handed on to what package wellcheck has set here, since that one stands above the
// bindings.
package export_wellcheck_check_checker

import (
	witTypes "go.bytecodealliance.org/pkg/wit/types"

	"wellcheck/bindings/imports/wellcheck_check_checker"
	"wellcheck/bindings/imports/wellcheck_check_outcome"
)

// Describer says what the plugin is.
var Describer func() wellcheck_check_checker.Description

// Runner looks at the target once.
var Runner func(wellcheck_check_checker.Invocation) witTypes.Result[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault]

// Describe is called by the host when the plugin is loaded.
func Describe() wellcheck_check_checker.Description { return Describer() }

// Run is called by the host for each run.
func Run(invocation wellcheck_check_checker.Invocation) witTypes.Result[wellcheck_check_outcome.Report, wellcheck_check_outcome.Fault] {
	return Runner(invocation)
}
