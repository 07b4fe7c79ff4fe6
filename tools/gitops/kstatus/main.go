// kstatus says how Flux's health checks judge an object.
//
//	kstatus <OBJECT.json
//
// prints Current, InProgress, Failed, Terminating or Unknown, a tab, and why.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	var object unstructured.Unstructured
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	if err := object.UnmarshalJSON(input); err != nil {
		fail(err)
	}
	result, err := status.Compute(&object)
	if err != nil {
		fail(err)
	}
	fmt.Printf("%s\t%s\n", result.Status, result.Message)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "kstatus:", err)
	os.Exit(1)
}
