// A model's server, for tests of what happens to requests while pods come and go. Its name decides what it does:
//
//	good   takes 2 seconds (or START_SECONDS) to start, then serves; asked to stop, it takes nothing new and finishes what it has begun
//	crash  ends with an error instead of serving
//	moment is ready for a moment, then ends with an error
//	never  runs, but never becomes ready
//
// /?ms=N answers after N milliseconds; /burn/N/ (and /burn/N/?ms=N) first uses N microseconds of a core; /hold/N keeps N
// MiB of memory for the rest of its life. With HOLD_MIB it does so when it starts.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const moment = 3 * time.Second

func startUp() time.Duration {
	if seconds, err := strconv.Atoi(os.Getenv("START_SECONDS")); err == nil {
		return time.Duration(seconds) * time.Second
	}
	return 2 * time.Second
}

func hold(number string) {
	mebibytes, _ := strconv.Atoi(number)
	block := make([]byte, mebibytes<<20)
	for index := 0; index < len(block); index += 4096 {
		block[index] = 1
	}
	held = append(held, block)
}

func main() {
	behaviour := filepath.Base(os.Args[0])
	time.Sleep(startUp())
	hold(os.Getenv("HOLD_MIB"))
	damaged := errors.New("the model's file is damaged")
	if behaviour == "crash" {
		fail(damaged)
	}
	if behaviour == "never" {
		fmt.Fprintln(os.Stderr, "the model is not loaded")
	}
	http.HandleFunc("/ready", func(answer http.ResponseWriter, _ *http.Request) {
		if behaviour == "never" {
			http.Error(answer, "the model is not loaded", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/live", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/hold/{mebibytes}", func(_ http.ResponseWriter, request *http.Request) {
		hold(request.PathValue("mebibytes"))
	})
	http.HandleFunc("/burn/{microseconds}/", func(answer http.ResponseWriter, request *http.Request) {
		burn(request.PathValue("microseconds"))
		serve(answer, request)
	})
	http.HandleFunc("/", serve)
	if behaviour == "moment" {
		time.AfterFunc(moment, func() { fail(damaged) })
	}

	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	server := http.Server{Addr: ":8080"}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		fail(err)
	case <-stop.Done():
	}
	drain, _ := strconv.Atoi(os.Getenv("HOMEPORT_DRAIN_SECONDS"))
	limit, cancel := context.WithTimeout(context.Background(), time.Duration(drain)*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		fail(err)
	}
}

var held [][]byte

func serve(answer http.ResponseWriter, request *http.Request) {
	wait, _ := strconv.Atoi(request.FormValue("ms"))
	time.Sleep(time.Duration(wait) * time.Millisecond)
	name, _ := os.Hostname()
	fmt.Fprintln(answer, name)
}

// Uses so much of a core, as the kernel counts it for this thread: on every machine the same.
func burn(microseconds string) {
	amount, _ := strconv.Atoi(microseconds)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for until := used() + time.Duration(amount)*time.Microsecond; used() < until; {
	}
}

func used() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_THREAD, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
