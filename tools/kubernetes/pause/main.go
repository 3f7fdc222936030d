// Command pause holds a pod's namespaces open: it waits to be told to end.
//
// So that tests of a network need no other image, `pause serve PORT` takes connections while it waits, and `pause dial
// ADDRESS:PORT` ends with status 0 if it gets one within a second. For tests of autoscalers, `pause work PORT` keeps a
// processor busy for as long as somebody is connected.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "dial" {
		connection, err := net.DialTimeout("tcp", os.Args[2], time.Second)
		if err != nil {
			log.Fatal(err)
		}
		connection.Close()
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		go serve(os.Args[2], func(net.Conn) {})
	}
	if len(os.Args) == 3 && os.Args[1] == "work" {
		go serve(os.Args[2], work)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
}

func serve(port string, each func(net.Conn)) {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			each(connection)
			connection.Close()
		}()
	}
}

func work(connection net.Conn) {
	var gone atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, connection) // Ends when the other end does.
		gone.Store(true)
	}()
	for !gone.Load() {
	}
}
