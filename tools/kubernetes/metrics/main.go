// Command metrics answers metrics.k8s.io/v1beta1 for the nodes of a test cluster, as metrics-server does.
//
// It is our own because CI cannot have metrics-server: the release that fits the servers here (v0.8.0) is missing from the
// checksum database of Go's modules there, and v0.9.0 needs the libraries of Kubernetes 1.36, all compiled once more.
//
// Every kubelet is asked through the API server for its summary. A figure for a processor is the mean between the last
// two different samples that the kubelet has; a pod without two of every container is not reported yet. The API server
// has judged who may ask; nobody else is let in (its certificate says so).
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	cores "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

const interval = 5 * time.Second

var version = metrics.SchemeGroupVersion

// sample is what a container, or a node, has used up to a moment.
type sample struct {
	at     time.Time
	cpu    uint64 // nanoseconds, since it started
	memory uint64 // bytes of the working set, at that moment
}

// span is the last two samples of one, if they are of the same start.
type span struct{ before, last sample }

func (s span) next(one sample) span {
	switch {
	case !one.at.After(s.last.at):
		return s
	case one.cpu < s.last.cpu: // Started anew.
		return span{last: one}
	}
	return span{s.last, one}
}

func (s span) known() bool { return !s.before.at.IsZero() }

func (s span) window() time.Duration { return s.last.at.Sub(s.before.at) }

func (s span) usage() core.ResourceList {
	perSecond := float64(s.last.cpu-s.before.cpu) / s.window().Seconds()
	return core.ResourceList{
		core.ResourceCPU:    *resource.NewScaledQuantity(int64(perSecond), resource.Nano),
		core.ResourceMemory: *resource.NewQuantity(int64(s.last.memory), resource.BinarySI),
	}
}

type key struct{ namespace, name string }

// spans are those of a pod's containers by name; of a node there is one, by the name "".
type spans map[string]span

type server struct {
	client *kubernetes.Clientset
	nodes  cores.NodeLister
	pods   cores.PodLister

	lock    sync.Mutex
	ofNodes map[string]spans
	ofPods  map[key]spans
}

func read(cpu *stats.CPUStats, memory *stats.MemoryStats) (sample, bool) {
	if cpu == nil || cpu.UsageCoreNanoSeconds == nil || memory == nil || memory.WorkingSetBytes == nil {
		return sample{}, false
	}
	return sample{cpu.Time.Time, *cpu.UsageCoreNanoSeconds, *memory.WorkingSetBytes}, true
}

func (s *server) summary(ctx context.Context, node string) (found stats.Summary, err error) {
	ask := s.client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("stats/summary")
	said, err := ask.Param("only_cpu_and_memory", "true").DoRaw(ctx)
	if err == nil {
		err = json.Unmarshal(said, &found)
	}
	return found, err
}

// look asks every node once. What a node no longer tells of is forgotten.
func (s *server) look(ctx context.Context) {
	nodes, err := s.nodes.List(labels.Everything())
	if err != nil {
		log.Print(err)
	}
	ofNodes, ofPods := map[string]spans{}, map[key]spans{}
	for _, node := range nodes {
		found, err := s.summary(ctx, node.Name)
		if err != nil {
			log.Printf("%s: %v", node.Name, err)
			continue
		}
		if one, there := read(found.Node.CPU, found.Node.Memory); there {
			ofNodes[node.Name] = spans{"": s.ofNodes[node.Name][""].next(one)}
		}
		for _, pod := range found.Pods {
			of := key{pod.PodRef.Namespace, pod.PodRef.Name}
			ofPods[of] = spans{}
			for _, container := range pod.Containers {
				if one, there := read(container.CPU, container.Memory); there {
					ofPods[of][container.Name] = s.ofPods[of][container.Name].next(one)
				}
			}
		}
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.ofNodes, s.ofPods = ofNodes, ofPods
}

func (s *server) node(node *core.Node) (metrics.NodeMetrics, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	one := s.ofNodes[node.Name][""]
	if !one.known() {
		return metrics.NodeMetrics{}, false
	}
	return metrics.NodeMetrics{
		TypeMeta:   meta.TypeMeta{Kind: "NodeMetrics", APIVersion: version.String()},
		ObjectMeta: meta.ObjectMeta{Name: node.Name, Labels: node.Labels, CreationTimestamp: meta.Now()},
		Timestamp:  meta.NewTime(one.last.at), Window: meta.Duration{Duration: one.window()}, Usage: one.usage(),
	}, true
}

func (s *server) pod(pod *core.Pod) (found metrics.PodMetrics, known bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	of := s.ofPods[key{pod.Namespace, pod.Name}]
	found = metrics.PodMetrics{
		TypeMeta: meta.TypeMeta{Kind: "PodMetrics", APIVersion: version.String()},
		ObjectMeta: meta.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, CreationTimestamp: meta.Now(),
		},
	}
	for _, container := range pod.Spec.Containers {
		one := of[container.Name]
		if !one.known() {
			return found, false
		}
		// Of several containers it is the oldest moment, and the window that goes with it.
		if found.Timestamp.IsZero() || one.last.at.Before(found.Timestamp.Time) {
			found.Timestamp, found.Window = meta.NewTime(one.last.at), meta.Duration{Duration: one.window()}
		}
		found.Containers = append(found.Containers, metrics.ContainerMetrics{Name: container.Name, Usage: one.usage()})
	}
	return found, pod.Status.Phase == core.PodRunning
}

func selector(request *http.Request) (by labels.Selector, named fields.Selector, err error) {
	if by, err = labels.Parse(request.FormValue("labelSelector")); err == nil {
		named, err = fields.ParseSelector(request.FormValue("fieldSelector"))
	}
	if err != nil {
		err = errors.NewBadRequest(err.Error())
	}
	return by, named, err
}

func (s *server) listNodes(request *http.Request) (any, error) {
	by, named, err := selector(request)
	if err != nil {
		return nil, err
	}
	nodes, err := s.nodes.List(by)
	items := []metrics.NodeMetrics{}
	for _, node := range nodes {
		if one, known := s.node(node); known && named.Matches(fields.Set{"metadata.name": node.Name}) {
			items = append(items, one)
		}
	}
	sort.Slice(items, func(one, other int) bool { return items[one].Name < items[other].Name })
	of := meta.TypeMeta{Kind: "NodeMetricsList", APIVersion: version.String()}
	return metrics.NodeMetricsList{TypeMeta: of, Items: items}, err
}

func (s *server) getNode(request *http.Request) (any, error) {
	node, err := s.nodes.Get(request.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if one, known := s.node(node); known {
		return one, nil
	}
	return nil, errors.NewNotFound(version.WithResource("nodes").GroupResource(), node.Name)
}

func (s *server) listPods(request *http.Request) (any, error) {
	by, named, err := selector(request)
	if err != nil {
		return nil, err
	}
	pods, err := s.pods.Pods(request.PathValue("namespace")).List(by) // All, where none is named.
	items := []metrics.PodMetrics{}
	for _, pod := range pods {
		of := fields.Set{"metadata.name": pod.Name, "metadata.namespace": pod.Namespace}
		if one, known := s.pod(pod); known && named.Matches(of) {
			items = append(items, one)
		}
	}
	sort.Slice(items, func(one, other int) bool {
		return items[one].Namespace+"/"+items[one].Name < items[other].Namespace+"/"+items[other].Name
	})
	of := meta.TypeMeta{Kind: "PodMetricsList", APIVersion: version.String()}
	return metrics.PodMetricsList{TypeMeta: of, Items: items}, err
}

func (s *server) getPod(request *http.Request) (any, error) {
	pod, err := s.pods.Pods(request.PathValue("namespace")).Get(request.PathValue("name"))
	if err != nil {
		return nil, err
	}
	if one, known := s.pod(pod); known {
		return one, nil
	}
	return nil, errors.NewNotFound(version.WithResource("pods").GroupResource(), pod.Name)
}

func resources(*http.Request) (any, error) {
	verbs := meta.Verbs{"get", "list"}
	return meta.APIResourceList{
		TypeMeta:     meta.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: version.String(),
		APIResources: []meta.APIResource{
			{Name: "nodes", Kind: "NodeMetrics", Verbs: verbs},
			{Name: "pods", Kind: "PodMetrics", Verbs: verbs, Namespaced: true},
		},
	}, nil
}

func nothing(request *http.Request) (any, error) {
	return nil, errors.NewGenericServerResponse(http.StatusNotFound, request.Method, schema.GroupResource{}, "", "", 0, true)
}

func answered(by func(*http.Request) (any, error)) http.HandlerFunc {
	return func(writer http.ResponseWriter, request *http.Request) {
		code := http.StatusOK
		said, err := by(request)
		if err != nil {
			status, known := err.(errors.APIStatus)
			if !known {
				status = errors.NewInternalError(err)
			}
			of := status.Status()
			of.TypeMeta = meta.TypeMeta{Kind: "Status", APIVersion: "v1"}
			code, said = int(of.Code), of
		}
		writer.Header().Set("Content-Type", "application/json")
		writer.WriteHeader(code)
		if err := json.NewEncoder(writer).Encode(said); err != nil {
			log.Print(err)
		}
	}
}

func (s *server) handler() http.Handler {
	root := "/apis/" + version.String()
	routes := http.NewServeMux()
	for path, by := range map[string]func(*http.Request) (any, error){
		"GET " + root:                                         resources,
		"GET " + root + "/nodes":                              s.listNodes,
		"GET " + root + "/nodes/{name}":                       s.getNode,
		"GET " + root + "/pods":                               s.listPods,
		"GET " + root + "/namespaces/{namespace}/pods":        s.listPods,
		"GET " + root + "/namespaces/{namespace}/pods/{name}": s.getPod,
		"/": nothing,
	} {
		routes.Handle(path, answered(by))
	}
	return routes
}

func main() {
	config := flag.String("kubeconfig", "", "whom to ask")
	listen := flag.String("listen", "", "ADDRESS:PORT")
	certificate := flag.String("certificate", "", "what it shows, a file")
	private := flag.String("key", "", "its key, a file")
	callers := flag.String("callers", "", "who signs for those that may ask, a file")
	flag.Parse()
	access, err := clientcmd.BuildConfigFromFlags("", *config)
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		log.Fatal(err)
	}
	trusted, err := os.ReadFile(*callers)
	if err != nil {
		log.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(trusted)
	factory := informers.NewSharedInformerFactory(client, 0)
	found := &server{
		client: client,
		nodes:  factory.Core().V1().Nodes().Lister(),
		pods:   factory.Core().V1().Pods().Lister(),
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	go func() {
		for range time.Tick(interval) {
			ctx, cancel := context.WithTimeout(context.Background(), interval)
			found.look(ctx)
			cancel()
		}
	}()
	door := http.Server{
		Addr:              *listen,
		Handler:           found.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities},
	}
	log.Fatal(door.ListenAndServeTLS(*certificate, *private))
}
