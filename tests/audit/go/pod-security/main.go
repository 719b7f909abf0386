// Evaluates pods by the code with which the API server enforces Pod Security.
//
// Reads Deployments and Pods as a JSON array from standard input, and prints a line for each violation of `restricted`
// at its latest version: the object, what is forbidden, why.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type object struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              json.RawMessage `json:"spec"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var objects []object
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	strictest := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, each := range objects {
		metadata, pod, err := podOf(each)
		if err != nil {
			return fmt.Errorf("%s %s: %w", each.Kind, each.Name, err)
		}
		for _, result := range evaluator.EvaluatePod(strictest, metadata, pod) {
			if !result.Allowed {
				fmt.Printf("%s %s: %s: %s\n", each.Kind, each.Name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
	return nil
}

func podOf(each object) (*metav1.ObjectMeta, *corev1.PodSpec, error) {
	switch each.Kind {
	case "Pod":
		var pod corev1.PodSpec
		return &each.ObjectMeta, &pod, json.Unmarshal(each.Spec, &pod)
	case "Deployment":
		var deployment struct {
			Template corev1.PodTemplateSpec `json:"template"`
		}
		err := json.Unmarshal(each.Spec, &deployment)
		return &deployment.Template.ObjectMeta, &deployment.Template.Spec, err
	}
	return nil, nil, fmt.Errorf("accepted: Pod, Deployment")
}
