// SPDX-License-Identifier: Apache-2.0

package product

import (
	"fmt"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// ConfigOptions vary the configuration of a cluster with two top-of-rack routers.
type ConfigOptions struct {
	// Pool is the pool's address range; 203.0.113.0/24 where empty.
	Pool string
	// NoBFD leaves out the BFD profile.
	NoBFD bool
	// BFD is what the BFD profile says; 300x3 where zero.
	BFD BFD
}

// Config returns the pool, the peers, the BFD profile and the advertisement that
// the handbook gives for two top-of-rack routers, with the addresses of the lab's
// routers.
func Config(l *lab.Lab, o ConfigOptions) string {
	if o.Pool == "" {
		o.Pool = "203.0.113.0/24"
	}
	var b strings.Builder
	fmt.Fprintf(&b, poolAndAdvertisement, o.Pool)
	bfd := "  bfdProfile: tor-bfd\n"
	if o.NoBFD {
		bfd = ""
	} else {
		if o.BFD == (BFD{}) {
			o.BFD = BFD{300 * time.Millisecond, 3}
		}
		fmt.Fprintf(&b, bfdProfile, o.BFD.Interval.Milliseconds(), o.BFD.Multiplier)
	}
	for i, r := range l.Routers() {
		hold := ""
		if i == 0 {
			hold = "  holdTime: 90s\n"
		}
		fmt.Fprintf(&b, `---
apiVersion: metallb.io/v1beta1
kind: BGPPeer
metadata:
  name: %s
  namespace: metallb-system
spec:
  myASN: 65100
  peerASN: 65000
  peerAddress: %s
%s%s`, r.Name, r.Addr4, hold, bfd)
	}
	return b.String()
}

// WebApp returns a Deployment of the lab's web server, spread over the nodes, and
// its Service of type LoadBalancer: port 80 to 8080. policy is the Service's
// externalTrafficPolicy.
func WebApp(name, namespace string, replicas int, policy string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  namespace: %[2]s
spec:
  replicas: %[3]d
  selector:
    matchLabels: {app: %[1]s}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels: {app: %[1]s}
      containers:
      - name: web
        image: lab.local/web:1
        imagePullPolicy: IfNotPresent
        resources: {requests: {cpu: 100m}}
        securityContext: {runAsUser: 0, capabilities: {add: [NET_ADMIN]}}
        env:
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        ports:
        - containerPort: 8080
        readinessProbe:
          httpGet: {path: /, port: 8080}
          periodSeconds: 1
---
apiVersion: v1
kind: Service
metadata:
  name: %[1]s
  namespace: %[2]s
spec:
  type: LoadBalancer
  externalTrafficPolicy: %[4]s
  selector: {app: %[1]s}
  ports:
  - port: 80
    targetPort: 8080
`, name, namespace, replicas, policy)
}

// poolAndAdvertisement takes the pool's range.
const poolAndAdvertisement = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata:
  name: prod-pool
  namespace: metallb-system
spec:
  addresses:
  - %s
  autoAssign: true
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata:
  name: prod-adv
  namespace: metallb-system
spec:
  ipAddressPools:
  - prod-pool
  aggregationLength: 32
  communities:
  - 65000:100
  localPref: 100
`

// bfdProfile takes the interval in milliseconds and the multiplier.
const bfdProfile = `---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata:
  name: tor-bfd
  namespace: metallb-system
spec:
  receiveInterval: %[1]d
  transmitInterval: %[1]d
  detectMultiplier: %[2]d
`
