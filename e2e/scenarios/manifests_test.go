// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"fmt"
	"strings"

	"metallb.io/metallb-frr/e2e/product"
)

// object is a document of the product's API; spec is in YAML's flow style.
func object(kind, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: metallb.io/v1beta1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", kind, name, product.Namespace, spec)
}

// torConfig makes all nodes announce prod-pool, 203.0.113.0/24, to both routers,
// with BFD. It is the handbook's, with the lab's addresses.
func (w *world) torConfig() string { return product.Config(w.Lab, product.ConfigOptions{}) }

// service is a Service of type LoadBalancer for the pods of webPods with the
// same name: port 80, TCP and UDP. more are further fields of the spec.
func service(namespace, name, policy string, more ...string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  type: LoadBalancer
  externalTrafficPolicy: %[3]s
  selector: {app: %[1]s}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: udp, protocol: UDP, port: 80, targetPort: 8080}]
  %[4]s
`, name, namespace, policy, strings.Join(more, "\n  "))
}

// webPods are pods of the test application, one on each node named. A node named
// twice has two.
func webPods(namespace, app string, nodes ...string) string {
	var b strings.Builder
	for i, node := range nodes {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s-%[2]d, namespace: %[3]s, labels: {app: %[1]s}}
spec:
  nodeName: %[4]s
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: lab.local/web:1
    imagePullPolicy: IfNotPresent
    resources: {requests: {cpu: 100m}}
    securityContext: {runAsUser: 0, capabilities: {add: [NET_ADMIN]}} # for room for datagrams
    env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
    readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
`, app, i, namespace, node)
	}
	return b.String()
}

// plain is a Service whose endpoints, one on each node named, are written by
// hand. Nobody answers there; it is for looking at routes.
func plain(namespace, name string, nodes []string, more ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `---
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: %s%s}
spec:
  type: LoadBalancer
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s, namespace: %[2]s, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{port: 8080}]
endpoints:
`, name, namespace, strings.Join(more, ""))
	for i, node := range nodes {
		fmt.Fprintf(&b, "- {addresses: [10.244.%d.250], nodeName: %s, conditions: {ready: true}}\n", i+1, node)
	}
	return b.String()
}

// webDeployment is a Deployment of the test application that spreads over the
// nodes and moves away from one that is drained.
func webDeployment(namespace, app string, replicas int) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: %[1]s}}}
      containers:
      - name: web
        image: lab.local/web:1
        imagePullPolicy: IfNotPresent
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
`, app, namespace, replicas)
}
