// The Pulumi provider for Kubernetes.
//
// Upstream's own main embeds files that its Makefile generates. This one embeds what they are generated from; the build
// lays both files over this directory (see the overlay in build.py) from the module they belong to.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

//go:embed schema.json
var schema []byte

//go:embed terraform-mapping.json
var terraformMapping []byte

func main() {
	provider.Serve("kubernetes", version.Version, schema, terraformMapping)
}
