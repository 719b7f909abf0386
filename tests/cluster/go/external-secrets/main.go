// Prints the custom resource definition of the External Secrets Operator's ExternalSecret, as YAML.
//
// It is laid over this directory from the module it belongs to (see the overlay in build.py).
package main

import (
	_ "embed"
	"fmt"
)

//go:embed external-secrets.io_externalsecrets.yaml
var externalSecrets string

func main() {
	fmt.Println(externalSecrets)
}
