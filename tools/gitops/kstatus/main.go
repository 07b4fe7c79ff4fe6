// kstatus says how Flux's health checks judge an object.
//
//	kstatus [EXPRESSIONS.json] <OBJECT.json
//
// prints Current, InProgress, Failed, Terminating or Unknown, a tab, and why. EXPRESSIONS is one of
// a Kustomization's healthCheckExprs, in place of kstatus's own rules.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	result, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
	fmt.Printf("%s\t%s\n", result.Status, result.Message)
}

func run() (*status.Result, error) {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(input); err != nil {
		return nil, err
	}
	if len(os.Args) < 2 {
		return status.Compute(&object)
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return nil, err
	}
	var expressions struct{ InProgress, Failed, Current string }
	if err := json.Unmarshal(text, &expressions); err != nil {
		return nil, err
	}
	observed, ok, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if err != nil {
		return nil, err
	}
	if ok && observed != object.GetGeneration() {
		return &status.Result{Status: status.InProgressStatus}, nil
	}
	for _, rule := range []struct {
		expression string
		status     status.Status
	}{
		{expressions.InProgress, status.InProgressStatus},
		{expressions.Failed, status.FailedStatus},
		{expressions.Current, status.CurrentStatus},
	} {
		if rule.expression == "" {
			continue
		}
		holds, err := evaluate(rule.expression, object.Object)
		if err != nil {
			// Flux looks again until the time is over.
			return &status.Result{Status: status.UnknownStatus, Message: err.Error()}, nil
		}
		if holds {
			return &status.Result{Status: rule.status}, nil
		}
	}
	return &status.Result{Status: status.InProgressStatus}, nil
}

// evaluate knows the object's fields as variables, and no types, for the kinds of cluster have any.
func evaluate(expression string, object map[string]any) (bool, error) {
	environment, err := cel.NewEnv(cel.OptionalTypes(), ext.Strings())
	if err != nil {
		return false, err
	}
	parsed, issues := environment.Parse(expression)
	if issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := environment.Program(parsed)
	if err != nil {
		return false, err
	}
	value, _, err := program.Eval(object)
	if err != nil {
		return false, err
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%q is no condition", expression)
	}
	return holds, nil
}
