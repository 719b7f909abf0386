// A process that does nothing until it is told to stop: it holds the namespaces of a pod, and those of the whole sandbox.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// As process 1 of its namespace it inherits orphans; ignoring their end lets the kernel clear them away.
	signal.Ignore(syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
