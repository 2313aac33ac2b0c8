// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// daemons are the node's programs, with containerd first.
func (a nodeArg) daemons() [][]string {
	bin := func(name string) string { return filepath.Join(a.Bin, name) }
	return [][]string{
		{"/usr/bin/containerd", "-c", "/run/containerd.toml"},
		{bin("kubelet"), "--config=/run/kubelet.yaml", "--kubeconfig=" + filepath.Join(a.PKI, a.Name+".kubeconfig"),
			"--hostname-override=" + a.Name, fmt.Sprintf("--node-ip=%s,%s", a.Addr4, a.Addr6), "--root-dir=/var/lib/kubelet", "--v=2"},
		{bin("kube-proxy"), "--config=/run/kube-proxy.yaml", "--v=2"},
	}
}

// writeConfigs writes the configuration of the daemons below /run.
func (a nodeArg) writeConfigs() error {
	files := map[string]string{
		"/run/containerd.toml":           containerdConfig("/var/lib/containerd", "/run/containerd"),
		"/run/kubelet.yaml":              strings.ReplaceAll(kubeletConfig, "CA_FILE", filepath.Join(a.PKI, "ca.crt")),
		"/run/kube-proxy.yaml":           fmt.Sprintf(proxyConfig, filepath.Join(a.PKI, "proxy.kubeconfig"), a.ProxyMode, a.Name, podCIDRs),
		"/run/resolv.conf":               "nameserver 10.96.0.10\n",
		"/run/cni/net.d/10-lab.conflist": fmt.Sprintf(cniConfig, a.Pods[0], a.Pods[1]),
	}
	for _, d := range []string{"/run/lock", "/run/netns", "/run/containerd", "/var/lib/kubelet/volumeplugins"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	// Not there where the kernel has no bridge filter; the pods' bridge then
	// has no use for it either.
	for _, f := range []string{"iptables", "ip6tables"} {
		err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+f, []byte("1"), 0)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// containerdConfig is for containerd 1.6 and later 1.x. It does not lower
// out-of-memory scores, which not every machine lets root do.
func containerdConfig(root, state string) string {
	return fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.blockfile", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.nri.v1.nri"]
[grpc]
  address = "%s/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "lab.local/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`, root, state, state)
}

const kubeletConfig = `kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
failCgroupV1: false
cgroupDriver: cgroupfs
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: /run/resolv.conf
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
volumePluginDir: /var/lib/kubelet/volumeplugins
authentication: {anonymous: {enabled: false}, webhook: {enabled: true, cacheTTL: 10s}, x509: {clientCAFile: CA_FILE}}
authorization: {mode: Webhook}
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 12
syncFrequency: 10s
shutdownGracePeriod: 0s
registryPullQPS: 0
eventRecordQPS: 0
`

// proxyConfig wants the client configuration, the mode, the node's name and the
// pods' networks. The connection tracking settings are the machine's, not the
// namespace's, and stay as they are.
const proxyConfig = `kind: KubeProxyConfiguration
apiVersion: kubeproxy.config.k8s.io/v1alpha1
clientConnection: {kubeconfig: %s, qps: 100, burst: 200}
mode: %s
hostnameOverride: %s
clusterCIDR: %s
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 200ms}
nftables: {minSyncPeriod: 200ms}
`

// cniConfig wants the node's IPv4 and IPv6 pod networks.
const cniConfig = `{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "%s"}], [{"subnet": "%s"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
`
