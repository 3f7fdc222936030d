// Command dns answers for a cluster's services, as CoreDNS does: NAME.NAMESPACE.svc.cluster.local, addresses alone.
//
// It runs on the node, not in a pod: tests of names are not what it is for.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	core "k8s.io/client-go/listers/core/v1"
	slices "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	zone = ".svc.cluster.local."
	ttl  = 2 // seconds: a service may be made anew at any time
)

type names struct {
	services core.ServiceLister
	slices   slices.EndpointSliceLister
}

// addresses are those of a service; of its ready pods, where it is headless.
func (n names) addresses(name string) (found []net.IP, known bool) {
	parts := strings.Split(strings.TrimSuffix(name, zone), ".")
	if !strings.HasSuffix(name, zone) || len(parts) != 2 {
		return nil, false
	}
	service, err := n.services.Services(parts[1]).Get(parts[0])
	if err != nil {
		return nil, false
	}
	if address := net.ParseIP(service.Spec.ClusterIP); address != nil {
		return []net.IP{address}, true
	}
	of := labels.Set{discovery.LabelServiceName: parts[0]}.AsSelector()
	there, err := n.slices.EndpointSlices(parts[1]).List(of)
	if err != nil {
		return nil, true
	}
	for _, slice := range there {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				found = append(found, net.ParseIP(endpoint.Addresses[0]))
			}
		}
	}
	return found, true
}

func (n names) answer(query []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	addresses, known := n.addresses(strings.ToLower(question.Name.String()))
	reply := dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired}
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	message := dnsmessage.Message{Header: reply, Questions: []dnsmessage.Question{question}}
	for _, address := range addresses {
		if four := address.To4(); four != nil && question.Type == dnsmessage.TypeA {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: ttl},
				Body:   &dnsmessage.AResource{A: [4]byte(four)},
			})
		}
	}
	return message.Pack()
}

func main() {
	config := flag.String("kubeconfig", "", "whom to ask")
	listen := flag.String("listen", "", "ADDRESS:PORT, for UDP")
	flag.Parse()
	access, err := clientcmd.BuildConfigFromFlags("", *config)
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	known := names{factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister()}
	factory.Core().V1().Services().Informer()
	factory.Discovery().V1().EndpointSlices().Informer()
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	socket, err := net.ListenPacket("udp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	for {
		query := make([]byte, 4096)
		size, from, err := socket.ReadFrom(query)
		if err != nil {
			log.Fatal(err)
		}
		answer, err := known.answer(query[:size])
		if err != nil {
			log.Printf("%s: %v", from, err)
			continue
		}
		if _, err := socket.WriteTo(answer, from); err != nil {
			log.Printf("%s: %v", from, err)
		}
	}
}
