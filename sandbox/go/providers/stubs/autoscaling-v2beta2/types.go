// Package v2beta2 has just what github.com/fluxcd/pkg/ssa names of a version of the API that Kubernetes 1.36 dropped.
package v2beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// HorizontalPodAutoscaler is in no scheme, so no object of this kind is ever decoded.
type HorizontalPodAutoscaler struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	Spec HorizontalPodAutoscalerSpec
}

// HorizontalPodAutoscalerSpec says when to scale.
type HorizontalPodAutoscalerSpec struct {
	Metrics []MetricSpec
}

// MetricSpec is one target.
type MetricSpec struct {
	Type string
}

// DeepCopyObject makes it a runtime.Object.
func (h *HorizontalPodAutoscaler) DeepCopyObject() runtime.Object {
	return &HorizontalPodAutoscaler{TypeMeta: h.TypeMeta, Spec: HorizontalPodAutoscalerSpec{Metrics: append([]MetricSpec(nil), h.Spec.Metrics...)}}
}
