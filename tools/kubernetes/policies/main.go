// Command policies enforces NetworkPolicies on a node whose pods hang on one bridge, by rules of iptables.
//
// All rules are made anew at each change. What is judged is each packet of a connection's own direction, not its first
// one alone: a new policy cuts the connections that there are, too.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os/exec"
	"sort"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	cores "k8s.io/client-go/listers/core/v1"
	networkings "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// chain is in the table mangle, which comes before what kube-proxy accepts, and after it chose a service's pod.
const chain = "POLICIES"

type cluster struct {
	pods       cores.PodLister
	namespaces cores.NamespaceLister
	policies   networkings.NetworkPolicyLister
}

// direction is the side of a policy that is looked at: who may come to a pod, or where a pod may go.
type direction struct {
	name     networking.PolicyType
	own, far string // the options of iptables that name the pod, and the other end
}

var directions = []direction{
	{networking.PolicyTypeIngress, "-d", "-s"},
	{networking.PolicyTypeEgress, "-s", "-d"},
}

type rule struct {
	peers []networking.NetworkPolicyPeer
	ports []networking.NetworkPolicyPort
}

func (d direction) rules(policy *networking.NetworkPolicy) (found []rule, applies bool) {
	for _, one := range policy.Spec.PolicyTypes {
		applies = applies || one == d.name
	}
	if d.name == networking.PolicyTypeIngress {
		for _, one := range policy.Spec.Ingress {
			found = append(found, rule{one.From, one.Ports})
		}
	} else {
		for _, one := range policy.Spec.Egress {
			found = append(found, rule{one.To, one.Ports})
		}
	}
	return found, applies
}

func matches(selector *meta.LabelSelector, of map[string]string) bool {
	found, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && found.Matches(labels.Set(of))
}

func (c cluster) running() []*core.Pod {
	all, err := c.pods.List(labels.Everything())
	if err != nil {
		log.Print(err)
	}
	var found []*core.Pod
	for _, pod := range all {
		over := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
		if pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !over {
			found = append(found, pod)
		}
	}
	sort.Slice(found, func(one, other int) bool { return found[one].Status.PodIP < found[other].Status.PodIP })
	return found
}

func (c cluster) selected(peer networking.NetworkPolicyPeer, namespace string, pod *core.Pod) bool {
	if peer.NamespaceSelector == nil {
		if pod.Namespace != namespace {
			return false
		}
	} else if found, err := c.namespaces.Get(pod.Namespace); err != nil || !matches(peer.NamespaceSelector, found.Labels) {
		return false
	}
	return peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels)
}

// end is what a rule says of the other end: addresses, and the pod that has them, where it is one.
type end struct {
	match string
	pod   *core.Pod
}

// prefixes are those of version 4: pods have no other addresses.
func prefixes(of ...string) (found []netip.Prefix) {
	for _, one := range of {
		if prefix, err := netip.ParsePrefix(one); err == nil && prefix.Addr().Is4() {
			found = append(found, prefix.Masked())
		}
	}
	return found
}

// without is what blocks have beyond these exceptions, as blocks: one rule cannot have both a block and what is not in it.
func without(blocks, exceptions []netip.Prefix) (found []netip.Prefix) {
	for _, block := range blocks {
		inside, covered := false, false
		for _, one := range exceptions {
			covered = covered || one.Bits() <= block.Bits() && one.Contains(block.Addr())
			inside = inside || block.Overlaps(one)
		}
		switch {
		case covered:
		case inside:
			found = append(found, without(halves(block), exceptions)...)
		default:
			found = append(found, block)
		}
	}
	return found
}

func halves(block netip.Prefix) []netip.Prefix {
	bits := block.Bits() + 1
	second := block.Addr().As4()
	second[(bits-1)/8] |= 1 << (7 - (bits-1)%8)
	return []netip.Prefix{netip.PrefixFrom(block.Addr(), bits), netip.PrefixFrom(netip.AddrFrom4(second), bits)}
}

func (c cluster) ends(peers []networking.NetworkPolicyPeer, namespace, option string, running []*core.Pod) []end {
	if len(peers) == 0 {
		found := []end{{"", nil}}
		if option == "-d" { // Only of a pod it is known which port a name means.
			for _, pod := range running {
				found = append(found, end{"-d " + pod.Status.PodIP, pod})
			}
		}
		return found
	}
	var found []end
	for _, peer := range peers {
		if block := peer.IPBlock; block != nil {
			for _, left := range without(prefixes(block.CIDR), prefixes(block.Except...)) {
				found = append(found, end{option + " " + left.String(), nil})
			}
			continue
		}
		for _, pod := range running {
			if c.selected(peer, namespace, pod) {
				found = append(found, end{option + " " + pod.Status.PodIP, pod})
			}
		}
	}
	return found
}

// portMatches are the options for the ports of a rule; `of` is the pod that listens, where it is known.
func portMatches(ports []networking.NetworkPolicyPort, of *core.Pod) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var found []string
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		switch {
		case port.Port == nil:
			found = append(found, "-p "+protocol)
		case port.Port.Type == intstr.Int && port.EndPort != nil:
			found = append(found, fmt.Sprintf("-p %s --dport %d:%d", protocol, port.Port.IntVal, *port.EndPort))
		case port.Port.Type == intstr.Int:
			found = append(found, fmt.Sprintf("-p %s --dport %d", protocol, port.Port.IntVal))
		case of != nil:
			for _, container := range of.Spec.Containers {
				for _, named := range container.Ports {
					if named.Name == port.Port.StrVal {
						found = append(found, fmt.Sprintf("-p %s --dport %d", protocol, named.ContainerPort))
					}
				}
			}
		}
	}
	return found
}

// table is the whole of it, as iptables-restore takes it.
func (c cluster) table() []byte {
	policies, err := c.policies.List(labels.Everything())
	if err != nil {
		log.Print(err)
	}
	running := c.running()
	var chains, rules bytes.Buffer
	fmt.Fprintf(&chains, "*mangle\n:%s - [0:0]\n", chain)
	fmt.Fprintf(&rules, "-A %s -m conntrack --ctdir REPLY -j RETURN\n", chain)
	for number, pod := range running {
		for _, way := range directions {
			own := fmt.Sprintf("%s-%s-%d", chain, way.own[1:], number)
			isolated := false
			for _, policy := range policies {
				allowed, applies := way.rules(policy)
				if !applies || policy.Namespace != pod.Namespace || !matches(&policy.Spec.PodSelector, pod.Labels) {
					continue
				}
				isolated = true
				for _, one := range allowed {
					for _, other := range c.ends(one.peers, policy.Namespace, way.far, running) {
						listens := pod
						if way.name == networking.PolicyTypeEgress {
							listens = other.pod
						}
						for _, ports := range portMatches(one.ports, listens) {
							fmt.Fprintf(&rules, "-A %s %s %s -j RETURN\n", own, other.match, ports)
						}
					}
				}
			}
			if isolated {
				fmt.Fprintf(&chains, ":%s - [0:0]\n", own)
				fmt.Fprintf(&rules, "-A %s -j DROP\n-A %s %s %s -j %s\n", own, chain, way.own, pod.Status.PodIP, own)
			}
		}
	}
	return append(append(chains.Bytes(), rules.Bytes()...), "COMMIT\n"...)
}

func restore(table []byte) {
	command := exec.Command("iptables-restore", "--noflush", "--wait")
	command.Stdin = bytes.NewReader(table)
	if said, err := command.CombinedOutput(); err != nil {
		log.Printf("%v: %s\n%s", err, said, table)
	}
}

func main() {
	config := flag.String("kubeconfig", "", "whom to ask")
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
	known := cluster{
		factory.Core().V1().Pods().Lister(),
		factory.Core().V1().Namespaces().Lister(),
		factory.Networking().V1().NetworkPolicies().Lister(),
	}
	changed := make(chan struct{}, 1)
	note := func() {
		select {
		case changed <- struct{}{}:
		default: // Noted already.
		}
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Pods().Informer(),
		factory.Core().V1().Namespaces().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { note() },
			UpdateFunc: func(any, any) { note() },
			DeleteFunc: func(any) { note() },
		}); err != nil {
			log.Fatal(err)
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	restore([]byte(fmt.Sprintf("*mangle\n:%s - [0:0]\n-A FORWARD -j %s\nCOMMIT\n", chain, chain)))
	var last []byte
	for range changed {
		if table := known.table(); !bytes.Equal(table, last) {
			restore(table)
			last = table
		}
		time.Sleep(100 * time.Millisecond) // Changes come in crowds.
	}
}
