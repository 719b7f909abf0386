// Package kubernetes has just what the provider names of the generated SDK.
//
// The provider registers the objects of charts and YAML files through the SDK, whose type for each kind of object takes
// five minutes to compile. None of their fields is used, so here one type stands for all kinds.
package kubernetes

import (
	"fmt"
	"reflect"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// UntypedArgs are the fields of any object.
type UntypedArgs map[string]any

// ElementType is what the arguments resolve to.
func (UntypedArgs) ElementType() reflect.Type {
	return reflect.TypeFor[map[string]any]()
}

type provider struct {
	pulumi.ProviderResourceState
}

type resourcePackage struct{}

func (resourcePackage) Version() semver.Version {
	return semver.Version{Major: 4}
}

func (resourcePackage) ConstructProvider(ctx *pulumi.Context, name, typ, urn string) (pulumi.ProviderResource, error) {
	if typ != "pulumi:providers:kubernetes" {
		return nil, fmt.Errorf("unknown provider type: %s", typ)
	}
	resource := &provider{}
	return resource, ctx.RegisterResource(typ, name, nil, resource, pulumi.URN_(urn))
}

func init() {
	pulumi.RegisterResourcePackage("kubernetes", resourcePackage{})
}
