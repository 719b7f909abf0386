// One end of a connection, for tests of what pods can reach, and a neighbour to others.
//
//	probe -tcp 8080,8082 -udp 8080
//
// On every TCP port it is the same HTTP server. Health paths and anything unknown answer 200 with the name of the host.
//
//	/dial   dials the targets in the body, a JSON list such as [{"protocol": "tcp", "address": "10.0.0.1:80"}], at once
//	        and returns for each whether it was reached: for UDP, whether it answered.
//	/burn   keeps every core busy for the rest of its life, and its memory, /tmp and /dev/shm filled up to the given MiB.
//
// On every UDP port it answers each datagram with the same.
//
//	probe -load http://10.0.0.1:8080/ -rate 100 -seconds 10
//
// Sends requests at a constant rate, each over a connection of its own, waits for nobody (so a slow answer hides no
// other) and prints how many failed and how long they took.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

type target struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	// A question in DNS's own form, so that a name server answers it; other listeners return whatever they get.
	Question []byte `json:"question"`
}

const timeout = 800 * time.Millisecond

func main() {
	tcp := flag.String("tcp", "8080,8082,9999", "TCP ports, divided by commas")
	udp := flag.String("udp", "8080,9999", "UDP ports, divided by commas")
	url := flag.String("load", "", "URL to send requests to")
	rate := flag.Int("rate", 100, "requests per second")
	seconds := flag.Int("seconds", 10, "how long")
	flag.Parse()
	if *url != "" {
		load(*url, *rate, *seconds)
		return
	}
	http.HandleFunc("/dial", dialAll)
	http.HandleFunc("/burn", burn)
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(answer, name)
	})
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		fail(err)
	}
	for _, port := range ports(*udp) {
		for _, address := range addresses {
			go echo(address.(*net.IPNet).IP, port)
		}
	}
	failures := make(chan error)
	for _, port := range ports(*tcp) {
		go func() { failures <- http.ListenAndServe(":"+port, nil) }()
	}
	fail(<-failures)
}

func ports(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// One socket for each address, so that an answer comes from the address that was asked.
func echo(address net.IP, port string) {
	if address.IsLinkLocalUnicast() && address.To4() == nil {
		return
	}
	socket, err := net.ListenPacket("udp", net.JoinHostPort(address.String(), port))
	if err != nil {
		fail(err)
	}
	buffer := make([]byte, 1500)
	for {
		count, from, err := socket.ReadFrom(buffer)
		if err != nil {
			fail(err)
		}
		socket.WriteTo(buffer[:count], from)
	}
}

func dialAll(answer http.ResponseWriter, request *http.Request) {
	var targets []target
	if err := json.NewDecoder(request.Body).Decode(&targets); err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	reached := make([]bool, len(targets))
	var all sync.WaitGroup
	for index, each := range targets {
		all.Add(1)
		go func() {
			defer all.Done()
			reached[index] = dial(each)
		}()
	}
	all.Wait()
	json.NewEncoder(answer).Encode(reached)
}

func dial(to target) bool {
	connection, err := net.DialTimeout(to.Protocol, to.Address, timeout)
	if err != nil {
		return false
	}
	defer connection.Close()
	if to.Protocol == "tcp" {
		return true
	}
	// Twice, for a datagram may be lost.
	for range 2 {
		connection.SetDeadline(time.Now().Add(timeout / 2))
		if _, err := connection.Write(to.Question); err != nil {
			continue
		}
		if _, err := connection.Read(make([]byte, 1500)); err == nil {
			return true
		}
	}
	return false
}

var held [][]byte

func burn(answer http.ResponseWriter, request *http.Request) {
	for range runtime.NumCPU() {
		go func() {
			for {
			}
		}()
	}
	memory, _ := strconv.Atoi(request.FormValue("memory"))
	for range memory {
		block := make([]byte, 1<<20)
		for index := 0; index < len(block); index += 4096 {
			block[index] = 1
		}
		held = append(held, block)
	}
	err := errors.Join(filled(os.TempDir(), request.FormValue("tmp")), filled("/dev/shm", request.FormValue("shm")))
	fmt.Fprintln(answer, len(held), err)
}

func filled(folder, text string) error {
	size, _ := strconv.Atoi(text)
	if size == 0 {
		return nil
	}
	file, err := os.Create(filepath.Join(folder, "filling"))
	if err == nil {
		_, err = io.CopyN(file, endless{}, int64(size)<<20)
	}
	return err
}

type endless struct{}

func (endless) Read(buffer []byte) (int, error) { return len(buffer), nil }

func load(url string, rate, seconds int) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	took := make([]float64, rate*seconds)
	failed := make([]string, rate*seconds)
	var all sync.WaitGroup
	begun := time.Now()
	for index := range took {
		due := begun.Add(time.Duration(index) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		all.Add(1)
		go func() {
			defer all.Done()
			answer, err := client.Get(url)
			if err != nil {
				failed[index] = err.Error()
			} else {
				if answer.StatusCode != http.StatusOK {
					failed[index] = answer.Status
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			took[index] = time.Since(due).Seconds()
		}()
	}
	all.Wait()
	errors := slices.DeleteFunc(failed, func(text string) bool { return text == "" })
	slices.Sort(took)
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": len(took),
		"errors":   errors,
		"p50":      took[len(took)/2],
		"p99":      took[len(took)*99/100],
	})
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
