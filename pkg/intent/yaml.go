// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/bgp"
)

// ReadYAML reads manifests, separated by "---", into a Snapshot. Objects of our
// kinds count when they are in namespace or name none; kinds that Resolve does
// not look at are skipped. A field that the kind does not have is an error, as
// is text that is no YAML; each names the document by its number.
func ReadYAML(r io.Reader, namespace string) (*Snapshot, error) {
	s := &Snapshot{Namespace: namespace, PeerPasswords: map[string]bgp.Password{}, Secrets: map[string]Secret{}}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(r))
	for n := 1; ; n++ {
		text, err := docs.Read()
		if errors.Is(err, io.EOF) {
			s.Sort()
			return s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading manifests, document %d: %w", n, err)
		}
		if err := s.add(text); err != nil {
			return nil, fmt.Errorf("reading manifests, document %d: %w", n, err)
		}
	}
}

func (s *Snapshot) add(text []byte) error {
	var meta struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Items             []json.RawMessage `json:"items"`
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		return err
	}
	if meta.Kind == "List" {
		for _, item := range meta.Items {
			if err := s.add(item); err != nil {
				return err
			}
		}
		return nil
	}
	foreign := meta.Namespace != "" && meta.Namespace != s.Namespace
	read, ok := readers[meta.Kind]
	if !ok || read.own && foreign {
		return nil
	}
	if err := read.into(s, text); err != nil {
		return fmt.Errorf("%s %s: %w", meta.Kind, meta.Name, err)
	}
	return nil
}

// readers say how a kind is read; own: only from the product's namespace.
var readers = map[string]struct {
	own  bool
	into func(*Snapshot, []byte) error
}{
	v1beta1.KindIPAddressPool:      {true, func(s *Snapshot, t []byte) error { return read(&s.Pools, t) }},
	v1beta1.KindBGPPeer:            {true, readPeer},
	v1beta1.KindBGPAdvertisement:   {true, func(s *Snapshot, t []byte) error { return read(&s.BGPAds, t) }},
	v1beta1.KindL2Advertisement:    {true, func(s *Snapshot, t []byte) error { return read(&s.L2Ads, t) }},
	v1beta1.KindBFDProfile:         {true, func(s *Snapshot, t []byte) error { return read(&s.BFDProfiles, t) }},
	v1beta1.KindCommunity:          {true, func(s *Snapshot, t []byte) error { return read(&s.Communities, t) }},
	v1beta1.KindConfigurationState: {true, func(s *Snapshot, t []byte) error { return read(&s.States, t) }},
	"Secret":                       {true, readSecret},
	"ConfigMap":                    {true, readExtras},
	"Node":                         {false, func(s *Snapshot, t []byte) error { return read(&s.Nodes, t) }},
	"Namespace":                    {false, func(s *Snapshot, t []byte) error { return read(&s.Namespaces, t) }},
	"Service":                      {false, readService},
	"EndpointSlice":                {false, func(s *Snapshot, t []byte) error { return read(&s.EndpointSlices, t) }},
}

func read[T any](list *[]*T, text []byte) error {
	o := new(T)
	if err := yaml.UnmarshalStrict(text, o); err != nil {
		return err
	}
	*list = append(*list, o)
	return nil
}

func readPeer(s *Snapshot, text []byte) error {
	if err := read(&s.Peers, text); err != nil {
		return err
	}
	p := s.Peers[len(s.Peers)-1]
	if p.Spec.Password != "" {
		s.PeerPasswords[p.Name] = bgp.NewPassword(p.Spec.Password)
		p.Spec.Password = ""
	}
	return nil
}

func readSecret(s *Snapshot, text []byte) error {
	var o corev1.Secret
	if err := yaml.UnmarshalStrict(text, &o); err != nil {
		return err
	}
	s.Secrets[o.Name] = SecretOf(&o)
	return nil
}

// readExtras keeps the one ConfigMap that counts.
func readExtras(s *Snapshot, text []byte) error {
	o := new(corev1.ConfigMap)
	if err := yaml.UnmarshalStrict(text, o); err != nil {
		return err
	}
	if o.Name == ExtrasName {
		s.Extras = o
	}
	return nil
}

// SecretOf keeps of a Secret what a BGPPeer may need.
func SecretOf(o *corev1.Secret) Secret {
	password, has := o.Data["password"]
	if text, plain := o.StringData["password"]; plain {
		password, has = []byte(text), true
	}
	return Secret{Type: o.Type, Password: bgp.NewPassword(string(password)), HasPassword: has}
}

// readService applies the API server's default namespace and policy.
func readService(s *Snapshot, text []byte) error {
	if err := read(&s.Services, text); err != nil {
		return err
	}
	o := s.Services[len(s.Services)-1]
	if o.Namespace == "" {
		o.Namespace = metav1.NamespaceDefault
	}
	return nil
}

// Sort puts the lists into the order that Resolve requires.
func (s *Snapshot) Sort() {
	sortByName(s.Pools)
	sortByName(s.Peers)
	sortByName(s.BGPAds)
	sortByName(s.L2Ads)
	sortByName(s.BFDProfiles)
	sortByName(s.Communities)
	sortByName(s.Nodes)
	sortByName(s.Namespaces)
	sortByName(s.States)
	slices.SortStableFunc(s.Services, CompareServices)
	slices.SortStableFunc(s.EndpointSlices, CompareEndpointSlices)
}

func sortByName[T metav1.Object](list []T) {
	slices.SortStableFunc(list, func(a, b T) int { return compareNames(a.GetName(), b.GetName()) })
}

// CompareServices orders Services as a Snapshot holds them.
func CompareServices(a, b *corev1.Service) int {
	return Key{a.Namespace, a.Name}.Compare(Key{b.Namespace, b.Name})
}

// CompareEndpointSlices orders EndpointSlices as a Snapshot holds them: by the
// Service that they belong to, then by name.
func CompareEndpointSlices(a, b *discoveryv1.EndpointSlice) int {
	if c := sliceKey(a).Compare(sliceKey(b)); c != 0 {
		return c
	}
	return compareNames(a.Name, b.Name)
}
