// SPDX-License-Identifier: Apache-2.0

package product

import (
	"fmt"
	"strings"

	"metallb.io/metallb-frr/e2e/lab"
)

// ConfigOptions vary [Config].
type ConfigOptions struct {
	// Addresses are prod-pool's ranges. Default 203.0.113.0/24.
	Addresses []string
	// NoBFD leaves out the BFD profile; a dead node is then noticed after the
	// hold time.
	NoBFD bool
	// IPv6 adds a session to each router over IPv6 (tor1-v6 and so on) and,
	// unless Addresses says otherwise, the range 2001:db8:113::/120.
	IPv6 bool
}

// Config returns what makes the lab's nodes announce Services to all of its
// routers: prod-pool, a BGPPeer per router named after it, tor-bfd (300 ms x 3)
// and prod-adv. The first router's session has a hold time of 90 s.
func Config(l *lab.Lab, o ConfigOptions) string {
	addresses := o.Addresses
	if addresses == nil {
		addresses = []string{"203.0.113.0/24"}
		if o.IPv6 {
			addresses = append(addresses, "2001:db8:113::/120")
		}
	}
	var b strings.Builder
	b.WriteString(object("IPAddressPool", "prod-pool", "addresses:", "- "+strings.Join(addresses, "\n  - "), "autoAssign: true"))
	for i, r := range l.Routers() {
		lines := []string{fmt.Sprintf("myASN: %d", l.Spec.NodeASN), fmt.Sprintf("peerASN: %d", l.Spec.RouterASN)}
		var more []string
		if i == 0 {
			more = append(more, "holdTime: 90s")
		}
		if !o.NoBFD {
			more = append(more, "bfdProfile: tor-bfd")
		}
		peer := func(name, address string) {
			b.WriteString(object("BGPPeer", name, append(append(lines, "peerAddress: "+address), more...)...))
		}
		peer(r.Name, r.Addr4.String())
		if o.IPv6 {
			peer(r.Name+"-v6", fmt.Sprintf("%q", r.Addr6))
		}
	}
	if !o.NoBFD {
		b.WriteString(object("BFDProfile", "tor-bfd", "receiveInterval: 300", "transmitInterval: 300", "detectMultiplier: 3"))
	}
	b.WriteString(object("BGPAdvertisement", "prod-adv",
		"ipAddressPools:", "- prod-pool", "aggregationLength: 32", "communities:", "- 65000:100", "localPref: 100"))
	return b.String()
}

// object returns one document of the product's API with the lines of its spec.
func object(kind, name string, spec ...string) string {
	return fmt.Sprintf("---\napiVersion: metallb.io/v1beta1\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s\nspec:\n  %s\n",
		kind, name, Namespace, strings.Join(spec, "\n  "))
}

// WebApp returns a Deployment of the test application and a Service of type
// LoadBalancer for it, port 80, both with that name. The replicas spread evenly
// over the nodes, or over those named. Policy is the externalTrafficPolicy. The
// application answers with one line that names the pod and its node.
func WebApp(name, namespace string, replicas int, policy string, nodes ...string) string {
	return WebDeployment(name, namespace, replicas, nodes...) + WebService(name, namespace, name, policy)
}

// WebDeployment is the Deployment of [WebApp] alone.
func WebDeployment(name, namespace string, replicas int, nodes ...string) string {
	affinity := ""
	if len(nodes) > 0 {
		affinity = fmt.Sprintf(`
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
            - matchExpressions:
              - {key: kubernetes.io/hostname, operator: In, values: [%s]}`, strings.Join(nodes, ", "))
	}
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
      terminationGracePeriodSeconds: 1%[4]s
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: DoNotSchedule
        labelSelector: {matchLabels: {app: %[1]s}}
      containers:
      - name: web
        image: lab.local/web:1
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
`, name, namespace, replicas, affinity)
}

// WebService is a Service like that of [WebApp] for the Pods of Deployment app.
func WebService(name, namespace, app, policy string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: %s}
spec:
  type: LoadBalancer
  externalTrafficPolicy: %s
  selector: {app: %s}
  ports: [{port: 80, targetPort: 8080}]
`, name, namespace, policy, app)
}
