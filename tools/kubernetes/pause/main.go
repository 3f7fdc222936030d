// Command pause holds a pod's namespaces open: it waits to be told to end.
//
// So that tests of a network need no other image, `pause serve PORT` takes connections while it waits, and `pause dial
// ADDRESS:PORT` ends with status 0 if it gets one within a second.
package main

import (
	"log"
	"net"
	"os"
	"os/signal"
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
		listener, err := net.Listen("tcp", ":"+os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		go serve(listener)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
}

func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		connection.Close()
	}
}
