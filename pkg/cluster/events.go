// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func (c *Cluster) openEvents(cfg *rest.Config, hc *http.Client, scheme *runtime.Scheme) error {
	core, err := typedcorev1.NewForConfigAndClient(cfg, hc)
	if err != nil {
		return fmt.Errorf("open cluster: client for events: %w", err)
	}
	c.sink = record.NewBroadcaster()
	c.sink.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: core.Events("")})
	c.events = c.sink.NewRecorder(scheme, corev1.EventSource{Component: c.options.FieldOwner, Host: c.options.Host})
	return nil
}

// Event records an event about obj. kind is corev1.EventTypeNormal or
// EventTypeWarning. It is sent in the background: repeated ones are counted in
// one object, floods about one object are dropped, and what is not sent when
// Start returns is lost.
func (c *Cluster) Event(obj client.Object, kind, reason, message string) {
	c.events.Event(obj, kind, reason, message)
}
