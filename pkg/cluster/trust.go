// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clientcache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TrustOptions of a Trust. All are required but Deployment.
type TrustOptions struct {
	Namespace     string
	Secret        string // name of the Secret with the webhook's certificate
	Service       string // name of the Service that the API server calls
	Configuration string // name of the ValidatingWebhookConfiguration
	// Deployment is the controller's own, with which a Secret goes that is made
	// here; empty: it stays.
	Deployment string
	// FieldOwner of the Secret's data and of each caBundle, and of nothing else,
	// so that who applies the rest of the configuration has no conflict with it.
	FieldOwner string
}

// Trust is the two objects by which the API server trusts the admission webhook:
// a Secret with the certificate and its authority, which the replicas share, and
// the ValidatingWebhookConfiguration, whose caBundle names the authority. They
// alone are watched, by name.
type Trust struct {
	options TrustOptions
	client  client.Client
	cache   cache.Cache
	changed chan struct{} // capacity 1
}

// NewTrust returns a Trust that reads and writes through cfg. It asks nothing of
// the API server yet.
func NewTrust(cfg *rest.Config, o TrustOptions) (*Trust, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, admissionv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("open webhook configuration: %w", err)
		}
	}
	mapper := restMapper()
	t := &Trust{options: o, changed: make(chan struct{}, 1)}
	var err error
	if t.client, err = client.New(cfg, client.Options{Scheme: scheme, Mapper: mapper}); err != nil {
		return nil, fmt.Errorf("open webhook configuration: %w", err)
	}
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector(metav1.ObjectNameField, name) }
	t.cache, err = cache.New(cfg, cache.Options{Scheme: scheme, Mapper: mapper, ByObject: map[client.Object]cache.ByObject{
		&corev1.Secret{}: {Namespaces: map[string]cache.Config{o.Namespace: {FieldSelector: named(o.Secret)}}},
		&admissionv1.ValidatingWebhookConfiguration{}: {Field: named(o.Configuration)},
	}})
	if err != nil {
		return nil, fmt.Errorf("open webhook configuration: %w", err)
	}
	return t, nil
}

// Start watches until ctx ends. Watches that break are taken up again.
func (t *Trust) Start(ctx context.Context) error {
	for _, object := range []client.Object{&corev1.Secret{}, &admissionv1.ValidatingWebhookConfiguration{}} {
		informer, err := t.cache.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watch webhook configuration: %w", err)
		}
		if _, err := informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { wake(t.changed) },
			UpdateFunc: func(any, any) { wake(t.changed) },
			DeleteFunc: func(any) { wake(t.changed) },
		}); err != nil {
			return fmt.Errorf("watch webhook configuration: %w", err)
		}
	}
	return t.cache.Start(ctx)
}

// WaitSynced reports whether both objects have been asked for, so that Read tells
// whether they are there; false: ctx ended before.
func (t *Trust) WaitSynced(ctx context.Context) bool { return t.cache.WaitForCacheSync(ctx) }

// Changed receives a value after one of the objects has changed since the value
// before.
func (t *Trust) Changed() <-chan struct{} { return t.changed }

// Read returns the two objects as they were last seen; one that is not there is
// nil. They must not be changed. Call it after WaitSynced.
func (t *Trust) Read(ctx context.Context) (*corev1.Secret, *admissionv1.ValidatingWebhookConfiguration, error) {
	secret, config := &corev1.Secret{}, &admissionv1.ValidatingWebhookConfiguration{}
	err := t.cache.Get(ctx, types.NamespacedName{Namespace: t.options.Namespace, Name: t.options.Secret}, secret)
	if secret, err = orNil(secret, err); err != nil {
		return nil, nil, fmt.Errorf("read Secret %s/%s: %w", t.options.Namespace, t.options.Secret, err)
	}
	err = t.cache.Get(ctx, types.NamespacedName{Name: t.options.Configuration}, config)
	if config, err = orNil(config, err); err != nil {
		return nil, nil, fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", t.options.Configuration, err)
	}
	return secret, config, nil
}

func orNil[T any](object *T, err error) (*T, error) {
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return object, err
}

// WriteSecret puts data into the Secret; old is the one that was read, nil: there
// is none, and it is made. The error wraps ErrOutdated where it has changed since.
func (t *Trust) WriteSecret(ctx context.Context, old *corev1.Secret, data map[string][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	owner := client.FieldOwner(t.options.FieldOwner)
	if old != nil {
		s := old.DeepCopy()
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		maps.Copy(s.Data, data)
		err := t.client.Update(ctx, s, owner)
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			err = fmt.Errorf("%w: %w", ErrOutdated, err)
		}
		return wrap(err, "write Secret %s/%s", t.options.Namespace, t.options.Secret)
	}
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.options.Namespace, Name: t.options.Secret}, Data: data}
	if t.options.Deployment != "" {
		reference, err := deploymentOwner(ctx, t.client, t.options.Namespace, t.options.Deployment)
		if err != nil {
			return wrap(err, "make Secret %s/%s", s.Namespace, s.Name)
		}
		s.OwnerReferences = []metav1.OwnerReference{reference}
	}
	err := t.client.Create(ctx, s, owner)
	if apierrors.IsAlreadyExists(err) {
		err = fmt.Errorf("%w: %w", ErrOutdated, err)
	}
	return wrap(err, "make Secret %s/%s", s.Namespace, s.Name)
}

// WriteBundle makes bundle (PEM) the caBundle of each webhook in config that
// calls the Service, and reports whether anything had to be written. config is
// the one that was read. The error wraps ErrOutdated where it has changed since.
func (t *Trust) WriteBundle(ctx context.Context, config *admissionv1.ValidatingWebhookConfiguration, bundle []byte) (bool, error) {
	var webhooks []any
	same := true
	for _, w := range t.Ours(config) {
		webhooks = append(webhooks, map[string]any{"name": w.Name, "clientConfig": map[string]any{"caBundle": bundle}})
		same = same && bytes.Equal(w.ClientConfig.CABundle, bundle)
	}
	if same {
		return false, nil
	}
	// All of ours in one apply: what is left out of one is given up.
	body, err := json.Marshal(map[string]any{
		"apiVersion": admissionv1.SchemeGroupVersion.String(), "kind": "ValidatingWebhookConfiguration",
		"metadata": map[string]any{"name": config.Name, "resourceVersion": config.ResourceVersion},
		"webhooks": webhooks,
	})
	if err != nil {
		return false, wrap(err, "write caBundle of ValidatingWebhookConfiguration %s", config.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	target := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: config.Name}}
	err = t.client.Patch(ctx, target, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(t.options.FieldOwner), client.ForceOwnership)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		err = fmt.Errorf("%w: %w", ErrOutdated, err)
	}
	return err == nil, wrap(err, "write caBundle of ValidatingWebhookConfiguration %s", config.Name)
}

// Ours returns the webhooks in config that call the Service.
func (t *Trust) Ours(config *admissionv1.ValidatingWebhookConfiguration) []admissionv1.ValidatingWebhook {
	var ours []admissionv1.ValidatingWebhook
	for _, w := range config.Webhooks {
		if s := w.ClientConfig.Service; s != nil && s.Namespace == t.options.Namespace && s.Name == t.options.Service {
			ours = append(ours, w)
		}
	}
	return ours
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
