// Package v2 registers objects of every kind.
package v2

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource registers an object under the type that the SDK of each language gives its kind.
func RegisterResource(
	ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input, opts ...pulumi.ResourceOption,
) (pulumi.CustomResource, error) {
	if !strings.Contains(apiVersion, "/") { // the group without a name
		apiVersion = "core/" + apiVersion
	}
	var resource pulumi.CustomResourceState
	if err := ctx.RegisterResource("kubernetes:"+apiVersion+":"+kind, name, props, &resource, opts...); err != nil {
		return nil, err
	}
	return &resource, nil
}
