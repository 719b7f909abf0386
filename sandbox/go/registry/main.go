// An image registry that keeps its images in a folder.
//
// Upstream's own main links a driver for the storage of each cloud.
package main

import (
	"context"
	"log"
	"os"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// Takes the address to listen on and the folder.
func main() {
	address, folder := os.Args[1], os.Args[2]
	config := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{"filesystem": configuration.Parameters{"rootdirectory": folder}},
	}
	config.HTTP.Addr = address
	config.HTTP.Secret = "shared" // whoever shares the folder may finish the other's uploads
	config.Log.Level = "warn"
	server, err := registry.NewRegistry(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.ListenAndServe())
}
