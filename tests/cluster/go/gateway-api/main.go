// Prints the custom resource definitions of Gateway API's standard channel that routes need, as YAML.
//
// They are laid over this directory from the module they belong to (see the overlay in build.py).
package main

import (
	_ "embed"
	"fmt"
)

//go:embed gateway.networking.k8s.io_gatewayclasses.yaml
var gatewayClasses string

//go:embed gateway.networking.k8s.io_gateways.yaml
var gateways string

//go:embed gateway.networking.k8s.io_httproutes.yaml
var httpRoutes string

//go:embed gateway.networking.k8s.io_referencegrants.yaml
var referenceGrants string

//go:embed gateway.networking.k8s.io_backendtlspolicies.yaml
var backendTLSPolicies string

//go:embed gateway.networking.k8s.io_grpcroutes.yaml
var grpcRoutes string

func main() {
	for _, definition := range []string{
		gatewayClasses, gateways, httpRoutes, referenceGrants, backendTLSPolicies, grpcRoutes,
	} {
		fmt.Printf("---\n%s\n", definition)
	}
}
