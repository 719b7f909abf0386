// Prints the custom resource definitions of KEDA that scaling needs, as YAML.
//
// They are laid over this directory from the module they belong to (see the overlay in build.py).
package main

import (
	_ "embed"
	"fmt"
)

//go:embed keda.sh_scaledobjects.yaml
var scaledObjects string

//go:embed keda.sh_clustertriggerauthentications.yaml
var clusterTriggerAuthentications string

//go:embed keda.sh_triggerauthentications.yaml
var triggerAuthentications string

//go:embed keda.sh_scaledjobs.yaml
var scaledJobs string

//go:embed eventing.keda.sh_cloudeventsources.yaml
var cloudEventSources string

//go:embed eventing.keda.sh_clustercloudeventsources.yaml
var clusterCloudEventSources string

func main() {
	for _, definition := range []string{
		scaledObjects, clusterTriggerAuthentications, triggerAuthentications, scaledJobs, cloudEventSources,
		clusterCloudEventSources,
	} {
		fmt.Printf("---\n%s\n", definition)
	}
}
