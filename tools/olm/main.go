// Judges an OLM bundle by the validators of the Operator Framework, as `operator-sdk bundle validate` does.
//
//	olm-validate FOLDER
//
// Prints each error and warning; fails where there is an error.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: olm-validate FOLDER")
		os.Exit(2)
	}
	if err := validate(os.Args[1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func validate(folder string) error {
	if err := checkAnnotations(folder); err != nil {
		return err
	}
	bundle, err := manifests.GetBundleFromDir(filepath.Join(folder, "manifests"))
	if err != nil {
		return err
	}
	validators := validation.DefaultBundleValidators.WithValidators(
		validation.OperatorHubV2Validator,
		validation.StandardCategoriesValidator,
		validation.GoodPracticesValidator,
		validation.AlphaDeprecatedAPIsValidator,
	)
	failed := false
	for _, result := range validators.Validate(bundle.ObjectsToValidate()...) {
		for _, found := range result.Errors {
			fmt.Println("error:", found.Error())
			failed = true
		}
		for _, found := range result.Warnings {
			fmt.Println("warning:", found.Error())
		}
	}
	if failed {
		return fmt.Errorf("%s isn't valid", folder)
	}
	return nil
}

// The labels by which a catalog takes a bundle in.
func checkAnnotations(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, "metadata", "annotations.yaml"))
	if err != nil {
		return err
	}
	var metadata manifests.AnnotationsFile
	if err := yaml.Unmarshal(text, &metadata); err != nil {
		return err
	}
	annotations := metadata.Annotations
	for name, value := range map[string]string{
		"package":         annotations.PackageName,
		"channels":        annotations.Channels,
		"default channel": annotations.DefaultChannelName,
	} {
		if value == "" {
			return fmt.Errorf("annotations.yaml names no %s", name)
		}
	}
	return nil
}
